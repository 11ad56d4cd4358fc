// ZooKeeper: one sequential znode per append, sent to the leader through its C library.

#include <zookeeper/zookeeper.h>

#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <mutex>
#include <stdexcept>

#include "bench/cluster/cluster.h"
#include "bench/peers/peer.h"

namespace stele::bench {
namespace {

using asio::ip::tcp;

constexpr const char* kParent = "/log";

/// The library's answers, which come on its own threads, brought to the thread of the load.
/// put() may be called from any thread; `tell` is called on the context's.
class Handover {
 public:
  using Answer = std::pair<std::uint64_t, bool>;

  Handover(asio::io_context& context, std::function<void(std::uint64_t, bool)> tell)
      : context_(context), tell_(std::move(tell)) {}

  void put(std::uint64_t id, bool acknowledged) {
    const std::lock_guard lock(mutex_);
    answers_.emplace_back(id, acknowledged);
    if (answers_.size() == 1) asio::post(context_, [this] { drain(); });
  }

 private:
  void drain() {
    std::vector<Answer> answers;
    {
      const std::lock_guard lock(mutex_);
      answers.swap(answers_);
    }
    for (const auto& [id, acknowledged] : answers) tell_(id, acknowledged);
  }

  asio::io_context& context_;
  std::function<void(std::uint64_t, bool)> tell_;
  std::mutex mutex_;
  std::vector<Answer> answers_;
};

class Handle {
 public:
  explicit Handle(std::uint16_t port)
      : handle_(zookeeper_init(("127.0.0.1:" + std::to_string(port)).c_str(), nullptr, 30000,
                               nullptr, nullptr, 0)) {
    if (handle_ == nullptr) throw std::runtime_error("no ZooKeeper handle");
  }
  ~Handle() { zookeeper_close(handle_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  [[nodiscard]] zhandle_t* get() const { return handle_; }
  [[nodiscard]] bool connected() const { return zoo_state(handle_) == ZOO_CONNECTED_STATE; }

 private:
  zhandle_t* handle_;
};

class ZookeeperTarget final : public Target {
 public:
  ZookeeperTarget(asio::io_context& context, std::uint16_t port, std::size_t connections)
      : handover_(context, [this](std::uint64_t id, bool ok) { tell(id, ok); }) {
    for (std::size_t i = 0; i < connections; ++i) {
      handles_.push_back(std::make_unique<Handle>(port));
    }
    const bool up = test::eventually([&] {
      return std::all_of(handles_.begin(), handles_.end(),
                         [](const auto& handle) { return handle->connected(); });
    });
    if (!up) throw std::runtime_error("no connection to ZooKeeper");
  }

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    next_ = next_ + 1 == handles_.size() ? 0 : next_ + 1;
    auto call = std::make_unique<Call>(Call{this, id});
    const std::string path = std::string(kParent) + "/e";
    const int sent =
        zoo_acreate(handles_[next_]->get(), path.c_str(),
                    reinterpret_cast<const char*>(payload.data()), static_cast<int>(payload.size()),
                    &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL, created, call.get());
    if (sent != ZOK) throw std::runtime_error(zerror(sent));
    (void)call.release();  // created() takes it.
  }
  void close() override { handles_.clear(); }

 private:
  struct Call {
    ZookeeperTarget* target;
    std::uint64_t id;
  };
  static void created(int result, const char*, const void* data) {
    const std::unique_ptr<const Call> call(static_cast<const Call*>(data));
    call->target->handover_.put(call->id, result == ZOK);
  }

  Handover handover_;
  std::vector<std::unique_ptr<Handle>> handles_;  // Their threads end before the handover goes.
  std::size_t next_ = 0;
};

class Zookeeper final : public PeerSubject {
 public:
  explicit Zookeeper(const std::string& directory) : PeerSubject(directory) {
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    const test::Ports ports(3 * kNodes);
    for (std::size_t i = 0; i < kNodes; ++i) {
      const std::string own = node_directory(i);
      std::string text = "dataDir=" + own + "\nclientPort=" + std::to_string(ports[i]) +
                         "\nclientPortAddress=127.0.0.1\ntickTime=2000\ninitLimit=10\nsyncLimit=5\n"
                         "maxClientCnxns=0\nadmin.enableServer=false\n"
                         "4lw.commands.whitelist=srvr\n";
      for (std::size_t j = 0; j < kNodes; ++j) {
        text += "server." + std::to_string(j + 1) +
                "=127.0.0.1:" + std::to_string(ports[kNodes + j]) + ":" +
                std::to_string(ports[2 * kNodes + j]) + "\n";
      }
      test::write_file(own + "/zoo.cfg", text);
      test::write_file(own + "/myid", std::to_string(i + 1) + "\n");
      // Its own directory first in the path: no settings of the machine apply, and it logs nothing.
      start(i, {installed("java"), "-cp", own + ":/usr/share/java/zookeeper.jar",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", own + "/zoo.cfg"});
    }
    await("ZooKeeper has no leader", [&] {
      for (std::size_t i = 0; i < kNodes && leader_ == 0; ++i) {
        if (leads(ports[i])) leader_ = ports[i];
      }
      return leader_ != 0;
    });
    const Handle handle(leader_);
    await("ZooKeeper takes no writes", [&] {
      if (!handle.connected()) return false;
      const int made = zoo_create(handle.get(), kParent, "", 0, &ZOO_OPEN_ACL_UNSAFE,
                                  ZOO_PERSISTENT, nullptr, 0);
      return made == ZOK || made == ZNODEEXISTS;
    });
  }

  std::unique_ptr<Target> target(asio::io_context& context, std::size_t,
                                 std::size_t connections) override {
    return std::make_unique<ZookeeperTarget>(context, leader_, connections);
  }

 private:
  static bool leads(std::uint16_t port) {
    asio::io_context context(1);
    tcp::socket socket(context);
    asio::error_code error;
    socket.connect({asio::ip::address_v4::loopback(), port}, error);
    if (error) return false;
    asio::write(socket, asio::buffer("srvr", 4), error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer.find("Mode: leader") != std::string::npos;
  }

  std::uint16_t leader_ = 0;
};

}  // namespace

std::unique_ptr<Subject> start_zookeeper(const std::string& directory) {
  return std::make_unique<Zookeeper>(directory);
}

}  // namespace stele::bench
