// Real nodes on one loop in this process: LMDB, TCP on loopback, no child processes.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>

#include <stele/client.h>
#include "bench/cluster/ports.h"
#include "log/node/host.h"
#include "net/link/tcp.h"
#include "net/link/tcp_listener.h"
#include "tests/support/directory.h"
#include "tests/support/listen.h"

namespace stele::log {

/// Says nothing; remembers the names of the events.
class QuietEvents final : public Events {
 public:
  void event(EventLevel, std::string_view name, std::initializer_list<EventField>) override {
    ++counts[std::string(name)];
  }
  std::map<std::string, int> counts;
};

class NodesInProcess {
 public:
  explicit NodesInProcess(std::uint64_t count, Sections sections = known_sections(),
                          StoreFiles::Options files = {})
      : ports_(count), sections_(std::move(sections)), files_(std::move(files)) {
    files_.map_bytes = kTestMapBytes;
    files_.sections = tables_of(sections_);
    for (std::uint64_t id = 1; id <= count; ++id) addresses[{id}] = {"127.0.0.1", ports_[id - 1]};
    for (std::uint64_t id = 1; id <= count; ++id) start({id});
  }
  ~NodesInProcess() {
    for (auto& [id, server] : servers_) server.node.reset();
  }

  void start(NodeId id) {
    Server& server = servers_[id];
    auto directory = DataDirectory::open(this->directory(id));
    REQUIRE(directory.has_value());
    auto store = LmdbStore::open(*std::move(directory), {.files = files_}, loop,
                                 [](const Error& error) { FAIL(error.detail); });
    REQUIRE(store.has_value());
    Host::Options options;
    options.self = id;
    options.cluster = addresses;
    options.entry_bytes_max = 64 << 10;
    options.disk_reserve_bytes = 1 << 20;
    options.sections = sections_;
    auto node = Host::make(options, {loop, dialer_, events}, *std::move(store));
    REQUIRE_MESSAGE(node.has_value(), node.error().detail);
    server.node = *std::move(node);
    auto listener = net::listen_at(loop, addresses[id], {},
                                   [node = server.node.get()](std::unique_ptr<net::Link> link) {
                                     node->on_link(std::move(link));
                                   });
    REQUIRE_MESSAGE(listener.has_value(), listener.error().detail);
    server.listener = *std::move(listener);
  }
  /// Drops the node as a crash would: without a word to anybody.
  void crash(NodeId id) { servers_.erase(id); }
  [[nodiscard]] std::string directory(NodeId id) const {
    return directory_.sub(std::to_string(id.value));
  }
  [[nodiscard]] Host& node(NodeId id) { return *servers_.at(id).node; }

  [[nodiscard]] bool run(const std::function<bool()>& done) { return run_until(context, done); }
  [[nodiscard]] NodeId leader() {
    for (auto& [id, server] : servers_) {
      const Replica* replica = server.node->replica();
      if (replica != nullptr && replica->proposer().leads() && replica->caught_up()) return id;
    }
    return {};
  }
  [[nodiscard]] bool has_leader() {
    return run([this] { return leader() != NodeId{}; });
  }
  [[nodiscard]] bool settle() {
    return run([this] {
      for (auto& [id, server] : servers_) {
        const Replica* replica = server.node->replica();
        if (replica == nullptr) return false;
        if (replica->state().numbers() !=
            servers_.begin()->second.node->replica()->state().numbers()) {
          return false;
        }
      }
      return true;
    });
  }
  [[nodiscard]] ClientOptions client_options() const {
    ClientOptions options;
    for (const auto& [id, address] : addresses) options.addresses.push_back(address);
    return options;
  }

  asio::io_context context{1};
  net::AsioLoop loop{context};
  QuietEvents events;
  std::map<NodeId, Address> addresses;

 private:
  struct Server {
    std::unique_ptr<Host> node;
    std::unique_ptr<net::TcpListener> listener;
  };
  test::Ports ports_;
  Sections sections_;
  StoreFiles::Options files_;
  TestDirectory directory_;
  net::TcpDialer dialer_{loop, {}};
  std::map<NodeId, Server> servers_;
};

}  // namespace stele::log
