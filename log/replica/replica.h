// The three roles of one node, wired together over loop, store and transport.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <stele/events.h>
#include "log/replica/acceptor_actor.h"
#include "log/replica/learner_actor.h"
#include "log/replica/proposer_actor.h"
#include "log/replica/remote/catching_up.h"
#include "log/replica/upkeep.h"
#include "log/store/store.h"
#include "net/link/peers.h"

namespace stele::log {

/// What a replica tells the service of its clients. All calls come from turns of the loop.
class ReplicaListener {
 public:
  virtual ~ReplicaListener() = default;
  /// One slot was applied, in order.
  virtual void on_applied(const LogState::Applied& applied) = 0;
  /// After the last on_applied of a turn.
  virtual void on_turn_end() = 0;
  /// A command that was submitted and never proposed: not_leader, before on_stopped(); or no_space
  /// or overloaded, if room is short.
  virtual void on_dropped(const Slice& command, Outcome why) = 0;
  /// This node does not lead any more: what was submitted may yet be chosen.
  virtual void on_stopped() = 0;
};

/// Sees everything that the roles send, also to each other, at the moment it leaves. For checkers.
class SendObserver {
 public:
  virtual ~SendObserver() = default;
  virtual void on_send(const paxos::Send& send) = 0;
};

/// Loop thread only. Store, transport and listener outlive it.
class Replica final : AcceptorListener, LearnerListener, ProposerListener {
 public:
  struct Options {
    NodeId self;
    paxos::Configuration configuration;
    paxos::Proposer::Options proposer;
    ProposerActor::Limits limits;
    /// Below that much free space a leader takes no appends; below half of it no new batch is voted
    /// for.
    std::uint64_t reserve_bytes = 0;
    /// Bytes of a promise or of chosen values in one message; one record may exceed it.
    std::size_t piece_bytes_max = paxos::kPieceBytesMax;
    std::uint64_t fetch_bytes_per_second = paxos::Learner::FetchOptions{}.bytes_per_second;
    SnapshotPace::Options snapshots = {};
    /// As of Upkeep.
    std::uint64_t keep_for_members_bytes = 1 << 30;
    /// With so many bytes of votes that are not applied it votes for nothing after them.
    std::uint64_t unapplied_bytes_max = 1 << 30;
    Sections sections = known_sections();  ///< Of the state.
    /// The node must end: newer_format, if this program does not know what was chosen; corrupt, if
    /// a row of the state cannot be read. Without it, the process ends.
    std::function<void(Error)> on_failure = {};
    SendObserver* observer = nullptr;
  };

  Replica(Options options, net::Loop& loop, Store& store, net::Transport& transport, Events& events,
          const paxos::Acceptor::State& acceptor, LogState state, ReplicaListener& listener);

  /// A message from another node (or this one).
  void deliver(NodeId from, paxos::Message message);

  /// Takes a valid command. ok: its outcome comes by on_applied, or on_stopped. Else: not_leader,
  /// overloaded, no_space.
  Outcome submit(CommandKind kind, Slice command);
  /// Calls back once a linearizable read may be served from the applied state. With false if this
  /// node does not lead, or leads no more, or has not worked off phase 1, or too many reads wait.
  void read_barrier(std::function<void(bool)> done);
  /// The node's own applied state.
  void read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
            std::function<void(EntriesRead)> done);
  /// Another node cannot be reached any more.
  void on_peer_gone(NodeId node) { proposer_.on_peer_gone(node); }
  /// Another node can be reached (again): what was sent to it before may be lost.
  void on_peer_connected(NodeId node) { proposer_.on_connected(node); }
  void hand_over() { proposer_.hand_over(); }
  /// It lags so far that it will read back what it votes for now. False once for each stretch that
  /// it has read back.
  [[nodiscard]] bool reads_votes_back();
  /// `part`: it says and hears what others do. `no_part`: it says and hears nothing, as if it were
  /// cut off. `questions`: it only serves the chosen values that others lack.
  enum class Takes : std::uint8_t { part, no_part, questions };
  void set_takes(Takes takes) { takes_ = ended_ ? Takes::no_part : takes; }
  /// Whether it takes no part: what it holds is not to be served to clients.
  [[nodiscard]] bool halted() const { return takes_ != Takes::part; }
  /// Whether there is a connection to each other node.
  void set_all_connected(bool all);
  /// Another node says that it has applied the slots below `chosen_end`.
  void hear_of(NodeId node, Slot chosen_end);
  /// As of Upkeep.
  void on_durable_end(NodeId node, Slot durable_end) { upkeep_.on_durable_end(node, durable_end); }
  /// As of CatchingUp.
  [[nodiscard]] bool copying() const { return catching_up_.copying(state().numbers()); }
  /// As of Trimmer.
  [[nodiscard]] std::uint64_t retained_bytes() const {
    return upkeep_.retained_bytes(state().numbers());
  }
  /// Bytes of commands that are in no batch yet.
  [[nodiscard]] std::size_t waiting_bytes() const { return proposer_.waiting_bytes(); }
  /// Linearizable reads that are not confirmed yet.
  [[nodiscard]] std::size_t reads_waiting() const { return unconfirmed_reads_.size(); }

  [[nodiscard]] const LogState& state() const { return learner_.state(); }
  [[nodiscard]] const StateTrail& trail() const { return learner_.trail(); }
  [[nodiscard]] const paxos::Proposer& proposer() const { return proposer_.role(); }
  [[nodiscard]] const paxos::Acceptor& acceptor() const { return acceptor_.role(); }
  [[nodiscard]] std::optional<NodeId> leader() const;
  /// Everything acknowledged before this leadership is applied.
  [[nodiscard]] bool caught_up() const;
  /// What must be true between turns of the roles and the state, or what is not, as a sentence.
  [[nodiscard]] std::string check() const;
  /// What is wrong with this node, as a sentence; empty if nothing.
  [[nodiscard]] std::string fault() const;

 private:
  // As of RoleListener.
  void send(paxos::Send message) override;
  [[nodiscard]] paxos::Progress progress(NodeId node) const override {
    return transport_.progress(node);
  }
  // As of AcceptorListener.
  void on_voted(const paxos::SlotRecord& record) override;
  void on_heard(Ballot ballot) override { proposer_.on_heard(ballot); }
  void on_faulty_slot(Slot slot) override;
  void on_far_ahead(bool far) override;
  // As of LearnerListener.
  void on_cannot_go_on(const Error& error) override;
  void on_applied(const LogState::Applied& applied) override { listener_.on_applied(applied); }
  void on_chosen_end(Slot chosen_end) override;
  void on_fetch_failed(bool gone) override;
  void on_not_installed(Slot slot, const Error& why) override {
    events_.event(EventLevel::warning, "snapshot_not_installed",
                  {{"slot", slot.value}, {"reason", why.detail}});
  }
  void on_installed(Slot chosen_end) override;
  void on_repaired_slot(Slot slot) override;
  // As of ProposerListener.
  void on_began(Ballot ballot) override;
  void on_dropped(const Slice& command, Outcome why) override {
    listener_.on_dropped(command, why);
  }
  void on_stopped(std::string_view why) override;
  void on_slow_disk(paxos::Proposer::SlowDisk disk) override;
  void on_read_ready(std::uint64_t read, Slot barrier) override;
  void on_read_refused(std::uint64_t read) override;
  [[nodiscard]] std::size_t backlog_bytes() const override { return store_.backlog_bytes(); }
  [[nodiscard]] bool lags_far() const override {
    return acceptor_.unapplied().bytes() > options_.unapplied_bytes_max;
  }

  void tick();
  void let_loop_commit();
  void check_space();
  void check_faulty_slots();
  void check_lag();
  void do_upkeep();
  [[nodiscard]] std::string lag() const;
  [[nodiscard]] std::string lacks() const;
  void release_reads();

  Options options_;
  net::Loop& loop_;
  Store& store_;
  net::Transport& transport_;
  Events& events_;
  ReplicaListener& listener_;

  AcceptorActor acceptor_;
  LearnerActor learner_;
  ProposerActor proposer_;
  Upkeep upkeep_;
  CatchingUp catching_up_;

  std::unique_ptr<net::Timer> timer_;
  std::uint64_t reads_ = 0;
  std::map<std::uint64_t, std::function<void(bool)>> unconfirmed_reads_;
  std::multimap<Slot, std::function<void(bool)>> confirmed_reads_;  // By barrier.
  Takes takes_ = Takes::part;
  Slot reads_back_until_;  // It lags, and began to at the latest with that slot; {}: it does not.
  bool ended_ = false;     // It came upon what this program does not know.
  bool all_connected_ = false;
  bool space_low_ = false;
  Time space_measured_at_{};
  std::uint64_t space_seen_ = 0;
  std::set<Slot> faulty_slots_;      // Not yet repaired.
  std::string slow_disk_;            // Why it has handed over, in words.
  std::optional<Time> led_at_;       // When a heartbeat came last.
  Time level_at_{};                  // When it had last applied all that it had heard of.
  std::optional<Time> unled_since_;  // Since when no leader is known.
  bool lags_ = false;                // The node has told that it lags.
  Time faulty_since_{};  // When the first of faulty_slots_ was found, or asked for again.
  int hand_overs_ = 0;   // Hand-overs for it: the next one comes later and later.
};

}  // namespace stele::log
