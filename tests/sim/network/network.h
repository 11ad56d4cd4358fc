// The network of the simulated world: connections between processes, and what befalls them.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "net/link/link.h"
#include "net/loop/loop.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/checker/trace.h"
#include "tests/sim/nodes/process.h"
#include "tests/sim/world/random.h"

namespace stele::sim {

/// A process that has an address. Nodes have their own ids, clients those from kFirstClient on.
using Host = std::uint64_t;
inline constexpr Host kFirstClient = 100;

[[nodiscard]] std::string name_of(Host host);

/// Messages travel as bytes, through the real codec and back. A connection keeps them in order, as
/// TCP does; what nodes say to nodes may besides be lost, doubled and reordered within it, as the
/// protocol promises to bear.
class Network {
 public:
  struct Options {
    Duration latency_min = std::chrono::microseconds(50);
    Duration latency_max = std::chrono::microseconds(500);
    std::uint64_t drop_ppm = 0;  ///< Of messages between nodes, in millionths.
    std::uint64_t duplicate_ppm = 0;
    std::uint64_t reorder_ppm = 0;
    std::size_t queue_bytes_max = 16 << 20;  ///< Of one direction of a connection.
    /// What each host can send in a second; its connections take turns. 0: everything.
    std::uint64_t line_bytes_per_s = 0;
  };
  using OnLink = std::function<void(std::unique_ptr<net::Link>)>;
  /// Sees every message at the moment its receiver does.
  using Witness = std::function<void(Host from, Host to, const net::Message&)>;

  Network(Scheduler& scheduler, Random random, Options options, Coverage& coverage, Trace& trace,
          Witness witness);
  ~Network();

  /// The host has (re)started; it listens at `address`, if there is an `on_link`.
  void up(Host host, std::shared_ptr<Process> process, const Address& address, OnLink on_link);
  /// Its process has ended. The system closes its connections, unless the power has failed: then
  /// nobody is told.
  void down(Host host, bool power);
  [[nodiscard]] std::unique_ptr<net::Dialer> dialer(Host host);

  /// No bytes from `from` to `to` until heal(); what was sent waits, as TCP has it.
  void cut(Host from, Host to) { cut_.insert({from, to}); }
  void heal(Host from, Host to) {
    if (cut_.erase({from, to}) != 0) release(from, to);
  }
  void heal_all();
  [[nodiscard]] bool reaches(Host from, Host to) const { return !cut_.contains({from, to}); }
  /// Every message from `from` to `to` takes `extra` longer.
  void clog(Host from, Host to, Duration extra) {
    if (extra == Duration(0)) {
      clogged_.erase({from, to});
    } else {
      clogged_[{from, to}] = extra;
    }
  }
  /// Connections between the two end at once, with what was on its way.
  void reset(Host a, Host b);
  /// Nothing is lost, doubled or reordered any more, and nothing takes longer than this.
  void be_kind(Duration latency_max);

  static constexpr Duration kUnacknowledged = std::chrono::seconds(4);
  static constexpr std::size_t kClientQueueBytes = 4 << 20;
  static constexpr Duration kConnectTimeout = std::chrono::seconds(3);

 private:
  class SimLink;
  class SimDialer;
  struct Frame;
  struct End;
  struct Connection;
  struct Machine {
    std::shared_ptr<Process> process;  // Null while it is down.
    bool no_power = false;
    OnLink on_link;
    std::uint64_t boots = 0;
    // Its line: ends of connections that have something to send, in turn.
    std::deque<std::pair<std::shared_ptr<Connection>, int>> sending;
    bool busy = false;
  };
  using Shared = std::shared_ptr<Connection>;

  std::unique_ptr<net::Link> dial(Host from, const Address& address, net::LinkHandler& handler);
  void try_connect(const Shared& connection, Time until);
  void establish(const Shared& connection);
  bool send(const Shared& connection, int side, const net::Message& message);
  void launch(const Shared& connection, int side, std::shared_ptr<Frame> frame);
  void send_next(Host host);
  void depart(const Shared& connection, int side, std::shared_ptr<Frame> frame);
  void arrive(const Shared& connection, int side, const std::shared_ptr<Frame>& frame);
  void take(const Shared& connection, int side, const std::shared_ptr<Frame>& frame);
  void hold(const Shared& connection, int side, const std::shared_ptr<Frame>& frame);
  void release(Host from, Host to);
  void close(const Shared& connection, int side);
  void fail(const Shared& connection, int side, const std::string& reason);
  void forget_closed();
  [[nodiscard]] Duration latency(Host from, Host to);

  Scheduler& scheduler_;
  Random random_;
  Options options_;
  Coverage& coverage_;
  Trace& trace_;
  Witness witness_;
  std::map<Host, Machine> machines_;
  std::map<std::string, Host> hosts_;  // By address.
  std::map<std::uint64_t, Shared> connections_;
  std::uint64_t made_ = 0;
  std::set<std::pair<Host, Host>> cut_;
  std::map<std::pair<Host, Host>, Duration> clogged_;
};

}  // namespace stele::sim
