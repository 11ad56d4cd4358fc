// The proposer: wins a ballot, proposes again what may have been chosen, then leads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/leader/acceptors.h"
#include "paxos/leader/election.h"
#include "paxos/leader/flow.h"
#include "paxos/leader/hand_over.h"
#include "paxos/leader/phase_one.h"
#include "paxos/leader/read_confirmation.h"
#include "paxos/leader/slot_window.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Scout, commander and leader of PMMC in one state machine, with the election beside it. Pure.
class Proposer {
 public:
  /// How far this node is in its own ballot.
  enum class Standing : std::uint8_t {
    follower,
    preparing,  ///< Waits for its own acceptor's durable promise; no other node knows the ballot
                ///< yet.
    candidate,  ///< Phase 1 with everybody.
    leader,     ///< Phase 1 is won; may still be proposing what it found.
  };

  using SlowDisk = HandOver::SlowDisk;
  using ReadReady = ReadConfirmation::Ready;

  /// What a step asks its owner to do and to tell.
  struct Effects {
    std::vector<Send> sends;
    std::vector<ReadReady> reads;
    std::vector<std::uint64_t> reads_refused;  ///< It does not lead, or is in phase 1.
    std::optional<Ballot> began;  ///< Leads now; proposes clients' batches once window_open().
    /// No longer leads: what was proposed may yet be chosen. `stopped` comes before `began`.
    bool stopped = false;
    std::string_view why_stopped;       ///< As a sentence. The text is static.
    std::optional<SlowDisk> slow_disk;  ///< Set if this is why it hands over.
  };

  struct Options {
    Timing timing;
    std::uint64_t seed = 0;                     ///< All the randomness there is.
    std::uint64_t window = 16;                  ///< Slots in flight at most.
    std::size_t in_flight_bytes_max = 8 << 20;  ///< Bytes in flight; or one larger slot.
  };

  /// `promised` is the own acceptor's durable promise: a new round is always above it.
  Proposer(NodeId self, Configuration configuration, Options options, Ballot promised,
           Slot chosen_end, Time now);

  /// Handles a message for a proposer; others, and those of other epochs, are ignored.
  void step(Time now, NodeId source, const Message& message, Effects& out);
  /// Call about every quarter of a heartbeat.
  void tick(Time now, Effects& out);

  /// The own acceptor heard of `ballot`, which is not below its promise.
  void on_heard(Time now, Ballot ballot, Effects& out);
  /// The own learner has marked all slots below `chosen_end`.
  void on_chosen_end(Time now, Slot chosen_end, Effects& out);
  /// Nobody reachable serves a chosen slot that the own learner needs: phase 1 again, from there.
  void on_fetch_failed(Time now, Effects& out);

  /// The connection to another node has been made (again): what was sent before may be lost.
  void on_connected(Time now, NodeId node, Effects& out) {
    if (standing_ == Standing::follower || !acceptors_.contains(node)) return;
    acceptors_.on_connected(now, node);
    if (leads()) resend_to(node, out);
  }
  /// How far what was sent to a node has come. To be told before each tick.
  void set_progress(NodeId node, Progress progress) { acceptors_.set_progress(node, progress); }

  /// Whether propose() may be called.
  [[nodiscard]] bool window_open() const;
  /// Whether lines and disks can do with another batch (see Flow). Asked when one waits.
  [[nodiscard]] bool has_room();
  /// A good size of the next batch.
  [[nodiscard]] std::size_t batch_bytes() const { return flow_.batch_bytes(); }
  /// Proposes a value for the next slot. Requires window_open().
  Slot propose(Time now, Value value, Effects& out) {
    return propose(now, std::move(value), false, out);
  }

  /// Confirms leadership for a linearizable read (Raft thesis 6.4, for Paxos: see
  /// docs/protocol.md). Answered by `reads` or `reads_refused` of this call or a later one.
  void read(Time now, std::uint64_t id, Effects& out);

  /// Starts no new slot; once everything is applied, or an election time-out later at the latest,
  /// asks the best follower to take over and gives up. Goes on leading if there is no follower.
  void hand_over(Time now);

  /// What must be true after each step, or what is not, as a sentence.
  [[nodiscard]] std::string check() const {
    const bool follows = standing_ == Standing::follower;
    if (follows && (!window_.empty() || phase_one_)) return "a follower has something in flight";
    if (!follows && ballot_.node != self_) return "it campaigns in a foreign ballot";
    if (!follows && !leads() && !phase_one_) return "a candidate is not in phase 1";
    if (ballot_.round > round_seen_ || heard_.round > round_seen_)
      return "a ballot has a round above all that were seen";
    if (window_.size() > options_.window) return "more is in flight than the window allows";
    if (recovered() && recovered_slot_ > window_.next())
      return "phase 1 is worked off, and its slots are not proposed";
    return window_.check();
  }

  [[nodiscard]] const std::vector<NodeId>& members() const { return configuration_.members(); }
  [[nodiscard]] Standing standing() const { return standing_; }
  [[nodiscard]] bool leads() const { return standing_ == Standing::leader; }
  [[nodiscard]] Ballot ballot() const { return ballot_; }
  /// Bytes of the values that are in flight.
  [[nodiscard]] std::size_t in_flight_bytes() const { return window_.bytes(); }
  /// The leader, as far as this node has heard of it within two time-outs.
  [[nodiscard]] std::optional<NodeId> leader(Time now) const {
    if (leads()) return self_;
    if (heard_ == Ballot{} || heard_.node == self_ || election_.suspects()) return std::nullopt;
    if (now - heard_at_ >= 2 * options_.timing.election_timeout) return std::nullopt;
    return heard_.node;
  }
  /// Another node cannot be reached any more: it may have ended.
  void on_peer_gone(Time now, NodeId node) {
    if (standing_ == Standing::follower && leader(now) == node) election_.suspect(now);
  }
  using Room = Acceptors::Room;
  /// As of Acceptors; unknown while it does not lead.
  [[nodiscard]] Room room(Time now) const {
    return leads() ? acceptors_.room(now, slots_take()) : Room::unknown;
  }
  [[nodiscard]] Room room_for_upkeep(Time now) const {
    return leads() ? acceptors_.room_for_upkeep(now, slots_take()) : Room::unknown;
  }
  /// Whether another node that answers has said that it knows of chosen slots that this one lacks.
  [[nodiscard]] bool others_know_more(Time now) const {
    return leads() && acceptors_.any_above(now, chosen_end_);
  }
  /// A slot that it has proposed is the next to be chosen, and is not.
  [[nodiscard]] bool waits_for_votes() const {
    return leads() && !window_.empty() && chosen_end_ >= window_.begin();
  }
  /// An acceptor has said that it has no room.
  [[nodiscard]] bool anybody_full() const { return acceptors_.anybody_full(); }
  /// q2 acceptors other than this node's have room, and answer.
  [[nodiscard]] bool others_have_space(Time now) const {
    return leads() && acceptors_.others_have_space(now);
  }
  /// This node had better not lead: its disk is low. Delays a candidacy, as lag does.
  void set_space_low(bool low) { space_low_ = low; }
  /// This node lacks slots that are gone everywhere, and fetches a snapshot: others may lead.
  void set_lacks_slots(Time now, bool lacks, Effects& out) {
    const bool before = std::exchange(lacks_slots_, lacks);
    if (lacks && !before && standing_ != Standing::follower) {
      give_up(now, "it lacks slots that are gone everywhere", out);
    }
  }
  /// It has handed over because its disk is slow, and had better not lead for a while.
  [[nodiscard]] bool disk_is_slow(Time now) const { return hand_over_.is_reluctant(now); }
  /// Everything that was acknowledged before this leadership lies below; nothing until phase 1 has
  /// been worked off.
  [[nodiscard]] std::optional<Slot> recovered_slot() const {
    return recovered() ? std::optional(recovered_slot_) : std::nullopt;
  }

 private:
  void on_promise(Time now, NodeId source, const Promise& promise, Effects& out);
  void on_accepted(Time now, NodeId source, const Accepted& accepted, Effects& out);
  void on_nack(Time now, NodeId source, const Nack& nack, Effects& out);
  void on_heartbeat_ack(Time now, NodeId source, const HeartbeatAck& ack, Effects& out);
  void on_heard_message(Time now, NodeId source, const Heard& heard);
  void on_take_over(Time now, const TakeOver& message, Effects& out) {
    if (standing_ == Standing::follower && message.ballot == heard_) campaign(now, out);
  }

  void campaign(Time now, Effects& out, bool ignore_ahead = false);
  void give_up(Time now, std::string_view why, Effects& out);
  [[nodiscard]] bool campaign_fails(Time now) const;
  void pull_promises(Time now, Effects& out);
  void begin_leading(Time now, Effects& out);
  void repropose(Time now, Effects& out);
  Slot propose(Time now, Value value, bool recovers, Effects& out);
  [[nodiscard]] bool fits();
  void send_accept(Slot slot, const SlotWindow::InFlight& in_flight, NodeId to, Effects& out);
  void tell_chosen(Effects& out);
  void resend(Time now, Effects& out);
  void resend_to(NodeId node, Effects& out);
  void start_beat(Time now, Effects& out);
  void confirm_reads(Time now, Effects& out);
  void finish_hand_over(Time now, Effects& out);
  [[nodiscard]] bool gets_nowhere(Time now) const;
  [[nodiscard]] bool hears_promises(Time now) const;
  [[nodiscard]] bool hears_quorum(Time now) const {
    return acceptors_.hears_quorum(now, slots_take());
  }
  [[nodiscard]] Duration slots_take() const { return 2 * flow_.target(); }
  [[nodiscard]] bool recovered() const { return leads() && !phase_one_; }
  void see_round(std::uint64_t round) { round_seen_ = std::max(round_seen_, round); }
  void send(NodeId to, Body body, Effects& out) const {
    out.sends.push_back({to, {configuration_.epoch(), std::move(body)}});
  }
  void send_all(const Body& body, Effects& out) const {
    for (NodeId node : configuration_.members()) send(node, body, out);
  }

  NodeId self_;
  Configuration configuration_;
  Options options_;
  Election election_;
  Flow flow_;
  Acceptors acceptors_;
  HandOver hand_over_;
  bool lacks_slots_ = false;
  bool space_low_ = false;

  Standing standing_ = Standing::follower;
  Ballot ballot_;             // The own ballot; meaningless while follower.
  std::uint64_t round_seen_;  // The highest round of any ballot.
  Ballot heard_;              // The highest ballot heard of.
  Time heard_at_{};           // When heard_ was heard last.
  Slot chosen_end_;           // The own learner's.
  Time campaigned_at_{};
  std::optional<PhaseOne> phase_one_;  // Until all it found is proposed.

  SlotWindow window_;
  Slot recovered_slot_;
  std::vector<Chosen> untold_;  // Chosen in this ballot, and not yet told to the others.

  ReadConfirmation confirmation_;
};

}  // namespace stele::paxos
