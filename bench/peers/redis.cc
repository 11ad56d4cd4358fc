// Redis: one XADD per append; appends that wait while others are on their way share one WAIT.

#include <hiredis/hiredis.h>

#include <array>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>
#include <stdexcept>

#include "bench/cluster/cluster.h"
#include "bench/peers/peer.h"

namespace stele::bench {
namespace {

using asio::ip::tcp;

using Reply = std::unique_ptr<redisReply, void (*)(void*)>;

void add_command(std::string& to, const std::vector<std::string_view>& words) {
  std::vector<const char*> data;
  std::vector<std::size_t> sizes;
  for (const std::string_view word : words) {
    data.push_back(word.data());
    sizes.push_back(word.size());
  }
  sds command = nullptr;
  const int bytes = redisFormatSdsCommandArgv(&command, static_cast<int>(words.size()), data.data(),
                                              sizes.data());
  if (bytes < 0) throw std::bad_alloc();
  to.append(command, static_cast<std::size_t>(bytes));
  redisFreeSdsCommand(command);
}

/// One connection. While a group of appends is on its way, the next group gathers.
class RedisConnection {
 public:
  using Tell = std::function<void(std::uint64_t id, bool acknowledged)>;

  RedisConnection(asio::io_context& context, std::uint16_t port, Tell tell)
      : socket_(context), tell_(std::move(tell)), reader_(redisReaderCreate(), redisReaderFree) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
    read();
  }

  void append(std::uint64_t id, std::string_view payload) {
    add_command(waiting_, {"XADD", "log", "*", "e", payload});
    waiting_ids_.push_back(id);
    if (send_posted_) return;
    send_posted_ = true;
    asio::post(socket_.get_executor(), [this] {
      send_posted_ = false;
      send();
    });
  }
  void close() {
    asio::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void send() {
    if (!sent_ids_.empty() || waiting_ids_.empty()) return;
    sent_ids_.swap(waiting_ids_);
    add_command(waiting_, {"WAIT", "1", "10000"});
    out_.swap(waiting_);
    waiting_.clear();
    asio::async_write(socket_, asio::buffer(out_), [](asio::error_code, std::size_t) {});
  }
  void read() {
    socket_.async_read_some(asio::buffer(in_), [this](asio::error_code error, std::size_t bytes) {
      if (!socket_.is_open()) return;
      if (error) throw std::runtime_error("Redis has closed the connection");
      redisReaderFeed(reader_.get(), in_.data(), bytes);
      take_replies();
      read();
    });
  }
  void take_replies() {
    void* reply = nullptr;
    while (redisReaderGetReply(reader_.get(), &reply) == REDIS_OK && reply != nullptr) {
      const Reply owned(static_cast<redisReply*>(reply), freeReplyObject);
      if (owned->type == REDIS_REPLY_ERROR) throw std::runtime_error(owned->str);
      if (replies_++ < sent_ids_.size()) continue;  // Of an XADD: its id.
      const bool durable = owned->type == REDIS_REPLY_INTEGER && owned->integer >= 1;
      const auto ids = std::exchange(sent_ids_, {});
      replies_ = 0;
      for (const std::uint64_t id : ids) tell_(id, durable);
      send();
    }
  }

  tcp::socket socket_;
  Tell tell_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::array<char, 1 << 16> in_{};
  std::string waiting_;
  std::string out_;
  std::vector<std::uint64_t> waiting_ids_;
  std::vector<std::uint64_t> sent_ids_;
  std::size_t replies_ = 0;
  bool send_posted_ = false;
};

class RedisTarget final : public Target {
 public:
  RedisTarget(asio::io_context& context, std::uint16_t port, std::size_t connections) {
    for (std::size_t i = 0; i < connections; ++i) {
      connections_.push_back(std::make_unique<RedisConnection>(
          context, port, [this](std::uint64_t id, bool acknowledged) { tell(id, acknowledged); }));
    }
  }

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    next_ = next_ + 1 == connections_.size() ? 0 : next_ + 1;
    connections_[next_]->append(id,
                                {reinterpret_cast<const char*>(payload.data()), payload.size()});
  }
  void close() override {
    for (auto& connection : connections_) connection->close();
  }

 private:
  std::vector<std::unique_ptr<RedisConnection>> connections_;
  std::size_t next_ = 0;
};

class Redis final : public PeerSubject {
 public:
  explicit Redis(const std::string& directory) : PeerSubject(directory) {
    const test::Ports ports(kNodes);
    primary_ = ports[0];
    for (std::size_t i = 0; i < kNodes; ++i) {
      std::vector<std::string> arguments{installed("redis-server"),
                                         "--bind",
                                         "127.0.0.1",
                                         "--port",
                                         std::to_string(ports[i]),
                                         "--dir",
                                         node_directory(i),
                                         "--appendonly",
                                         "yes",
                                         "--appendfsync",
                                         "always",
                                         "--save",
                                         "",
                                         "--repl-diskless-sync-delay",
                                         "0"};
      if (i > 0) {
        arguments.insert(arguments.end(), {"--replicaof", "127.0.0.1 " + std::to_string(primary_)});
      }
      start(i, arguments);
    }
    await("the replicas of Redis are not there", [&] {
      const std::unique_ptr<redisContext, void (*)(redisContext*)> connection(
          redisConnect("127.0.0.1", primary_), redisFree);
      if (connection == nullptr || connection->err != 0) return false;
      const Reply added(
          static_cast<redisReply*>(redisCommand(connection.get(), "XADD ready * e 1")),
          freeReplyObject);
      const Reply waited(static_cast<redisReply*>(redisCommand(connection.get(), "WAIT 2 1000")),
                         freeReplyObject);
      return waited && waited->type == REDIS_REPLY_INTEGER && waited->integer == kNodes - 1;
    });
  }

  std::unique_ptr<Target> target(asio::io_context& context, std::size_t,
                                 std::size_t connections) override {
    return std::make_unique<RedisTarget>(context, primary_, connections);
  }
  std::optional<std::uint64_t> entries() override {
    const std::unique_ptr<redisContext, void (*)(redisContext*)> connection(
        redisConnect("127.0.0.1", primary_), redisFree);
    if (connection == nullptr || connection->err != 0) throw std::runtime_error("Redis has gone");
    const Reply length(static_cast<redisReply*>(redisCommand(connection.get(), "XLEN log")),
                       freeReplyObject);
    if (!length) throw std::runtime_error("Redis has gone");
    return static_cast<std::uint64_t>(length->integer);
  }

 private:
  std::uint16_t primary_ = 0;
};

}  // namespace

std::unique_ptr<Subject> start_redis(const std::string& directory) {
  return std::make_unique<Redis>(directory);
}

}  // namespace stele::bench
