// NATS JetStream: a stream with three replicas; one message per append, sent to the stream's
// leader.

#include <nats/nats.h>

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

constexpr const char* kStream = "log";
constexpr const char* kSubject = "log.e";

void must(natsStatus status) {
  if (status != NATS_OK) throw std::runtime_error(natsStatus_GetText(status));
}

using Connection = std::unique_ptr<natsConnection, void (*)(natsConnection*)>;
using Context = std::unique_ptr<jsCtx, void (*)(jsCtx*)>;
using StreamInfo = std::unique_ptr<jsStreamInfo, void (*)(jsStreamInfo*)>;

/// Null if it cannot be made.
Connection connect(std::uint16_t port) {
  const std::string url = "nats://127.0.0.1:" + std::to_string(port);
  natsConnection* connection = nullptr;
  if (natsConnection_ConnectTo(&connection, url.c_str()) != NATS_OK) connection = nullptr;
  return {connection, natsConnection_Destroy};
}

Context jetstream(natsConnection* connection) {
  jsCtx* context = nullptr;
  must(natsConnection_JetStream(&context, connection, nullptr));
  return {context, jsCtx_Destroy};
}

StreamInfo stream_info(jsCtx* context) {
  jsStreamInfo* info = nullptr;
  if (js_GetStreamInfo(&info, context, kStream, nullptr, nullptr) != NATS_OK) info = nullptr;
  return {info, jsStreamInfo_Destroy};
}

/// A connection that publishes, in NATS's own protocol: the library's threads would take a quarter
/// of the machine from the servers. Appends carry their number in the subject that the answer comes
/// to.
class Publisher {
 public:
  using Tell = std::function<void(std::uint64_t id, bool acknowledged)>;

  Publisher(asio::io_context& context, std::uint16_t port, std::size_t number, Tell tell)
      : socket_(context),
        inbox_("_INBOX.bench" + std::to_string(number) + "."),
        tell_(std::move(tell)) {
    socket_.connect({asio::ip::address_v4::loopback(), port});
    socket_.set_option(tcp::no_delay(true));
    waiting_ =
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\"}\r\nSUB " +
        inbox_ + "* 1\r\n";
    send();
    read();
  }

  void publish(std::uint64_t id, std::span<const std::byte> payload) {
    waiting_ += "PUB " + std::string(kSubject) + " " + inbox_ + std::to_string(id) + " " +
                std::to_string(payload.size()) + "\r\n";
    waiting_.append(reinterpret_cast<const char*>(payload.data()), payload.size());
    waiting_ += "\r\n";
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
    if (sending_ || waiting_.empty()) return;
    sending_ = true;
    out_.swap(waiting_);
    waiting_.clear();
    asio::async_write(socket_, asio::buffer(out_), [this](asio::error_code error, std::size_t) {
      sending_ = false;
      if (!error) send();
    });
  }
  void read() {
    socket_.async_read_some(
        asio::buffer(chunk_), [this](asio::error_code error, std::size_t bytes) {
          if (!socket_.is_open()) return;
          if (error) throw std::runtime_error("NATS has closed the connection");
          in_.append(chunk_.data(), bytes);
          std::size_t done = 0;
          while (const std::size_t taken = take(std::string_view(in_).substr(done))) done += taken;
          in_.erase(0, done);
          read();
        });
  }
  /// Handles what `text` begins with; how long that is, or 0 if it is not all there yet.
  std::size_t take(std::string_view text) {
    const std::size_t line_end = text.find("\r\n");
    if (line_end == std::string_view::npos) return 0;
    const std::string_view line = text.substr(0, line_end);
    if (line.substr(0, 4) == "-ERR") throw std::runtime_error(std::string(line));
    if (line == "PING") {
      waiting_ += "PONG\r\n";
      send();
    }
    if (line.substr(0, 4) != "MSG ") return line_end + 2;
    // MSG <subject> <sid> <bytes>
    const std::size_t bytes = std::strtoul(&line[line.rfind(' ') + 1], nullptr, 10);
    const std::size_t all = line_end + 2 + bytes + 2;
    if (text.size() < all) return 0;
    const std::string_view answer = text.substr(line_end + 2, bytes);
    tell_(std::strtoull(&line[4 + inbox_.size()], nullptr, 10),
          answer.find("\"seq\"") != std::string_view::npos &&
              answer.find("\"error\"") == std::string_view::npos);
    return all;
  }

  tcp::socket socket_;
  std::string inbox_;
  Tell tell_;
  std::array<char, 1 << 16> chunk_{};
  std::string in_;
  std::string waiting_;
  std::string out_;
  bool sending_ = false;
  bool send_posted_ = false;
};

class NatsTarget final : public Target {
 public:
  NatsTarget(asio::io_context& context, std::uint16_t port, std::size_t connections) {
    for (std::size_t i = 0; i < connections; ++i) {
      publishers_.push_back(std::make_unique<Publisher>(
          context, port, i, [this](std::uint64_t id, bool stored) { tell(id, stored); }));
    }
  }

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    next_ = next_ + 1 == publishers_.size() ? 0 : next_ + 1;
    publishers_[next_]->publish(id, payload);
  }
  void close() override {
    for (auto& publisher : publishers_) publisher->close();
  }

 private:
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::size_t next_ = 0;
};

class Nats final : public PeerSubject {
 public:
  explicit Nats(const std::string& directory) : PeerSubject(directory) {
    const test::Ports ports(2 * kNodes);
    std::string routes;
    for (std::size_t i = 0; i < kNodes; ++i) {
      routes += (i == 0 ? "" : ",") + ("nats://127.0.0.1:" + std::to_string(ports[kNodes + i]));
    }
    for (std::size_t i = 0; i < kNodes; ++i) {
      const std::string own = node_directory(i);
      test::write_file(
          own + "/nats.conf",
          "server_name: n" + std::to_string(i) + "\nlisten: 127.0.0.1:" + std::to_string(ports[i]) +
              "\njetstream { store_dir: \"" + own + "\" }\ncluster { name: c, listen: 127.0.0.1:" +
              std::to_string(ports[kNodes + i]) + ", routes: [" + routes + "] }\n");
      start(i, {installed("nats-server"), "-c", own + "/nats.conf"});
    }
    await("JetStream takes no stream", [&] { return make_stream(ports[0]); });
    await("JetStream's stream has no leader", [&] {
      const Connection connection = connect(ports[0]);
      const StreamInfo info = stream_info(jetstream(connection.get()).get());
      if (!info || info->Cluster == nullptr || info->Cluster->Leader == nullptr) return false;
      if (info->Cluster->ReplicasLen != kNodes - 1) return false;
      leader_ = ports[std::strtoul(info->Cluster->Leader + 1, nullptr, 10)];
      return true;
    });
  }

  std::unique_ptr<Target> target(asio::io_context& context, std::size_t,
                                 std::size_t connections) override {
    return std::make_unique<NatsTarget>(context, leader_, connections);
  }
  std::optional<std::uint64_t> entries() override {
    const Connection connection = connect(leader_);
    if (!connection) throw std::runtime_error("NATS has gone");
    const StreamInfo info = stream_info(jetstream(connection.get()).get());
    if (!info) throw std::runtime_error("the stream has gone");
    return info->State.Msgs;
  }

 private:
  static bool make_stream(std::uint16_t port) {
    const Connection connection = connect(port);
    if (!connection) return false;
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subject = kSubject;
    config.Name = kStream;
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Replicas = kNodes;
    return js_AddStream(nullptr, jetstream(connection.get()).get(), &config, nullptr, nullptr) ==
           NATS_OK;
  }

  std::uint16_t leader_ = 0;
};

}  // namespace

std::unique_ptr<Subject> start_nats(const std::string& directory) {
  return std::make_unique<Nats>(directory);
}

}  // namespace stele::bench
