// One replicated log in a process: its store, its members, its replica, and what it serves.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <stele/events.h>
#include "log/node/birth.h"
#include "log/node/links.h"
#include "log/node/soundness.h"
#include "log/node/surroundings.h"
#include "log/replica/replica.h"
#include "log/service/service.h"
#include "log/store/store.h"

namespace stele::log {

/// Joins the parts of one log, from the handshake to the clients. Loop thread only.
class Group final : LinksListener, NodeView {
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
    std::size_t in_flight_bytes_max = 8 << 20;  ///< Bytes in flight at most.
    ProposerActor::Limits limits;
    std::size_t piece_bytes_max = paxos::kPieceBytesMax;
    std::uint64_t fetch_bytes_per_second = paxos::Learner::FetchOptions{}.bytes_per_second;
    SnapshotPace::Options snapshots = {};            ///< As of the replica.
    std::uint64_t keep_for_members_bytes = 1 << 30;  ///< As of the replica.
    std::uint64_t unapplied_bytes_max = 1 << 30;     ///< The same.
    std::size_t answer_bytes_max = ClientService::Options{}.answer_bytes_max;
    std::size_t clients_max = ClientService::Options{}.connections_max;
    Sections sections = known_sections();  ///< As of the store.
    SendObserver* observer = nullptr;      ///< As of Replica.
  };

  /// What the directory says of this node: its identity, and the members that it was born with.
  struct Origin {
    Membership membership;
    Lineage lineage;
    /// The directory says nothing yet, or it was told another id or cluster before its birth.
    bool fresh;
  };
  /// Errors: foreign_directory, invalid_argument.
  static Result<Origin> origin(const Options& options, const Store& store, net::Loop& loop);

  /// `links` outlives it.
  Group(Options options, const Surroundings& surroundings, Links& links,
        std::unique_ptr<Store> store, Origin origin);
  ~Group() override;

  /// Starts with what the directory holds; once others may hear of this start, begins to take part.
  /// Errors: corrupt.
  Result<void> start();
  /// Hands over leadership if it leads, answers what is in flight, then calls `done`: at the latest
  /// after kStopWithin.
  void stop(std::function<void()> done);

  [[nodiscard]] NodeReport status() const override;
  [[nodiscard]] const Replica* replica() const { return replica_.get(); }
  /// Why it neither votes nor serves, as a sentence; empty if it may.
  [[nodiscard]] const std::string& halted() const { return soundness_.halted(); }

  static constexpr Duration kStopWithin = std::chrono::seconds(3);
  /// So often nodes tell each other of their directories and states.
  static constexpr Duration kReportEvery = std::chrono::seconds(1);

 private:
  // As of LinksListener.
  [[nodiscard]] net::Hello hello() const override;
  [[nodiscard]] Result<bool> admit(const net::Hello& hello) override;
  void on_heard(NodeId node, std::uint64_t start_id, std::function<void()> durable) override {
    soundness_.keep_heard(node, start_id, std::move(durable));
  }
  [[nodiscard]] Result<void> check(NodeId node, std::uint64_t start_id) const override {
    return soundness_.check(node, start_id);
  }
  [[nodiscard]] std::optional<Sighting> seen(NodeId node) const override {
    return soundness_.seen(node);
  }
  void on_message(NodeId from, std::uint64_t start_id, paxos::Message&& message) override;
  void on_report(NodeId from, const net::Report& report) override;
  void on_told(const net::Report& report) override;
  void on_connected(NodeId node) override;
  void on_gone(NodeId node) override;
  void on_client(std::unique_ptr<net::Link> link) override { service_.add(std::move(link)); }
  // As of NodeView.
  [[nodiscard]] std::string leader_address() const override;

  void begin();
  void be_born();
  Result<void> start_replica();
  void tick();
  void report();
  void check_state();
  void tell_waiting();
  void tell_leader();
  void check_stopped();
  void report_replica(NodeReport& report) const;
  [[nodiscard]] std::string fault() const;
  [[nodiscard]] std::string fault_before_birth() const;
  [[nodiscard]] std::string address_of(NodeId node) const;

  Options options_;
  Surroundings surroundings_;
  net::Loop& loop_;
  Events& events_;
  Links& links_;
  std::unique_ptr<Store> store_;
  Membership membership_;
  Soundness soundness_;
  ClientService service_;
  std::unique_ptr<Replica> replica_;  // Null before birth.

  /// Why a node was refused.
  struct Refusal {
    std::string reason;
    int times = 0;  // In a row.
  };
  std::map<NodeId, Refusal> refusals_;  // The last of each node: no line per try.
  std::map<NodeId, net::Report> reports_before_birth_;
  std::unique_ptr<net::Timer> timer_;
  Time started_at_;
  Time waiting_told_at_;
  NodeId leader_told_;
  bool ready_told_ = false;
  Time reported_at_{};
  Time kept_at_{};
  std::function<void()> stopped_;
  Time stop_by_{};
};

}  // namespace stele::log
