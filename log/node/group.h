// One member of a cluster: handshakes, birth, the replica and its clients. Everything but the
// program.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <stele/events.h>
#include "log/node/birth.h"
#include "log/node/lineage.h"
#include "log/replica/replica.h"
#include "log/replica/state_comparison.h"
#include "log/service/service.h"
#include "log/store/store.h"
#include "net/link/link.h"
#include "net/link/peers.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Loop thread only.
class Node {
 public:
  struct Options {
    NodeId self;
    std::map<NodeId, Address> cluster;  ///< All members, this one too.
    std::string cluster_name = "stele";
    std::size_t entry_bytes_max = 1 << 20;
    std::uint64_t disk_reserve_bytes = 256ULL << 20;
    paxos::Timing timing;
    /// Quorums, equal on all nodes; 0 is a majority.
    std::size_t q1 = 0;
    std::size_t q2 = 0;
    std::uint64_t window = 32;                  ///< Slots in flight at most.
    std::size_t in_flight_bytes_max = 8 << 20;  ///< The same in bytes.
    ProposerActor::Limits limits;
    std::size_t piece_bytes_max = paxos::kPieceBytesMax;
    std::uint64_t fetch_bytes_per_second = paxos::Learner::FetchOptions{}.bytes_per_second;
    std::size_t answer_bytes_max = ClientService::Options{}.answer_bytes_max;
    std::size_t clients_max = ClientService::Options{}.connections_max;
    std::size_t inbound_max = 1024;  ///< Connections of other nodes, and of who has not said hello.
    Sections sections = known_sections();              ///< As of the store.
    std::function<void(Error)> on_failure = {};        ///< As of Replica.
    std::function<void(const paxos::Send&)> tap = {};  ///< The same.
  };

  /// Takes an open store. Errors: foreign_directory, corrupt, invalid_argument.
  static Result<std::unique_ptr<Node>> make(Options options, net::Loop& loop, net::Dialer& dialer,
                                            Events& events, std::unique_ptr<Store> store);
  ~Node();

  /// A connection that somebody has opened to this node.
  void on_link(std::unique_ptr<net::Link> link);
  /// Hands over leadership if it leads, answers what is in flight, then calls `done`: at the latest
  /// after kStopWithin.
  void stop(std::function<void()> done);

  [[nodiscard]] NodeReport status() const;
  [[nodiscard]] const Replica* replica() const { return replica_.get(); }
  [[nodiscard]] bool connected(NodeId node) const { return peers_.connected(node); }
  /// Why it neither votes nor serves, as a sentence; empty if it may.
  [[nodiscard]] const std::string& halted() const { return halted_; }

  static constexpr Duration kHelloWithin = std::chrono::seconds(5);
  static constexpr Duration kStopWithin = std::chrono::seconds(3);
  /// What the nodes tell each other of their directories and states, so often.
  static constexpr Duration kReportEvery = std::chrono::seconds(1);

 private:
  class Inbound;
  friend class Inbound;

  Node(Options options, net::Loop& loop, net::Dialer& dialer, Events& events,
       std::unique_ptr<Store> store, Membership membership, Lineage lineage);
  void begin();
  void be_born();
  [[nodiscard]] bool reaches_all() const;
  [[nodiscard]] std::string unreached() const;
  Result<void> start_replica();
  void tick();
  void drop(Inbound& inbound);
  void tell_refused(const std::string& who, const std::string& reason);
  /// ok: true if it must not be acted upon before keep_history() is done.
  Result<bool> admit(const net::Hello& hello);
  void keep_history(std::function<void()> durable);
  void keep_all_heard(std::function<void()> durable);
  void report();
  void on_refused_for(const net::Report& report);
  void on_report(NodeId from, const net::Report& report);
  void drop_forked();
  void check_state();
  [[nodiscard]] net::Hello hello() const;
  [[nodiscard]] std::string leader_address() const;
  [[nodiscard]] std::string address_of(NodeId node) const;

  Options options_;
  net::Loop& loop_;
  Events& events_;
  std::unique_ptr<Store> store_;
  Membership membership_;
  Lineage lineage_;
  StateComparison comparison_;
  ClientService service_;
  net::Peers peers_;
  std::unique_ptr<Replica> replica_;
  std::map<std::uint64_t, std::unique_ptr<Inbound>> inbound_;  // In the order of their coming.
  std::uint64_t inbound_seen_ = 0;
  struct Refusal {
    std::string reason;
    int times = 0;  // In a row.
  };
  std::map<NodeId, Refusal> refusals_;        // The last of each node: no line per try.
  std::map<NodeId, std::string> refused_by_;  // Why others do not talk to this node.
  Time refusal_told_at_{};
  std::unique_ptr<net::Timer> timer_;
  Time started_at_;
  Time waiting_told_at_;
  NodeId leader_told_;
  bool begun_ = false;  // The own incarnation is durable.
  bool ready_told_ = false;
  std::string halted_;
  std::optional<StatePoint> disputed_;  // As it was reported last.
  std::set<NodeId> outvoted_;           // The same.
  Time reported_at_{};
  Time kept_at_{};
  std::map<NodeId, net::Report> reports_before_birth_;
  std::function<void()> stopped_;
  Time stop_by_{};
};

}  // namespace stele::log
