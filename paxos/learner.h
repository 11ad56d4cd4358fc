// The learner: knows which slots are chosen, hands their values on in order, fetches what it
// missed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Applies chosen slots in order. It never counts votes: a leader's Chosen marks the own vote
/// chosen if that is of the same or a higher ballot; everything else is fetched as a value. Pure.
class Learner {
 public:
  /// A chosen record, to be applied.
  struct Delivery {
    SlotRecord record;
    bool learned = false;  ///< Not the own vote: the record itself must be written, too.
  };
  /// A Fetch to answer.
  struct Serve {
    NodeId to;
    Slot slot_begin;
    bool copies = false;

    bool operator==(const Serve&) const = default;
  };
  /// A range of slots whose own votes are to be read back.
  struct ReadVotes {
    Slot slot_begin;
    Slot slot_end;
    bool latest = false;  ///< Also what is still being written; else what is read at once.

    bool operator==(const ReadVotes&) const = default;
  };

  struct Effects {
    std::vector<Delivery> applied;  ///< In order, dense; chosen_end() is past the last one.
    std::vector<Send> sends;
    std::vector<Serve> serves;            ///< Read chosen records from the store and send Fetched.
    std::vector<SlotRecord> repaired;     ///< Chosen records to be written over faulty ones.
    std::optional<ReadVotes> read_votes;  ///< Read own votes back; answer with on_votes.
    bool fetch_failed = false;            ///< No reachable node serves the slot chosen_end().
    bool slots_gone = false;  ///< With that: one of them serves later ones, and has a snapshot.
  };

  /// How chosen values are fetched from others.
  struct FetchOptions {
    Duration timeout;  ///< For an answer at first; up to four times as long later.
    /// Fetched on average: catching up must leave others their share of disk and network.
    std::uint64_t bytes_per_second = 220'000'000;
  };

  Learner(NodeId self, Configuration configuration, Slot chosen_end, FetchOptions fetching);

  void step(Time now, NodeId source, const Message& message, Effects& out);
  void tick(Time now, Effects& out);

  /// The own acceptor votes for `record` (its write stands before any of the learner's).
  void on_voted(Time now, const SlotRecord& record, Effects& out);
  /// The answer to `read_votes`: what the store holds in that range, dense or not. If the latest
  /// ones were asked for, there are no others below `read_end`.
  void on_votes(Time now, const ReadVotes& asked, const std::vector<SlotRecord>& votes,
                Slot read_end, Effects& out);
  /// The record of `slot`, below chosen_end, cannot be read: fetches it from others (Protocol-Aware
  /// Recovery: faulty is not absent, and the others have it).
  void repair(Time now, Slot slot, Effects& out);
  /// While paused (the disk lags), nothing is fetched.
  void set_paused(bool paused) { paused_ = paused; }

  /// While held (what applies waits for a disk), nothing more of the own votes is handed on; votes
  /// that memory has no room for meanwhile are read back later.
  void set_held(Time now, bool held, Effects& out);

  /// While moving (a snapshot is installed), nothing at all is handed on.
  void set_moving(bool moving) { moving_ = moving; }
  /// A snapshot of the state after all slots below `chosen_end` was installed: goes on from there.
  void move_to(Slot chosen_end);

  /// What must be true after each step, or what is not, as a sentence.
  [[nodiscard]] std::string check() const;

  /// All slots below are handed on.
  [[nodiscard]] Slot chosen_end() const { return chosen_end_; }
  /// The largest chosen_end heard of from anyone.
  [[nodiscard]] Slot known_end() const { return known_end_; }

  static constexpr std::size_t kVotesBytesMax = 16 << 20;
  static constexpr std::size_t kRangesMax = 256;
  static constexpr std::size_t kRepairsMax = 64;
  /// A node that has missed more slots than this leaves the leader to its work and asks others
  /// first.
  static constexpr std::uint64_t kLagsFar = 64;

 private:
  static constexpr Slot kNoSlot{UINT64_MAX};

  struct FetchUnderWay {
    NodeId to;
    Slot slot_begin;
    Time sent_at;
    bool preferred = false;  ///< Asked because it does not lead; it may lack the slot.
  };

  void on_chosen(const Chosen& chosen);
  void on_hint(NodeId source, Slot chosen_end);
  void on_fetched(Time now, NodeId source, const Fetched& fetched, Effects& out);
  void advance(Time now, Effects& out);
  void take_votes(const std::vector<SlotRecord>& votes);
  void apply(SlotRecord record, bool learned, Effects& out);
  bool apply_own_vote(Effects& out);
  void fetch(Time now, Effects& out);
  [[nodiscard]] bool may_fetch(Time now);
  void take_fetched(const Fetched& fetched, Effects& out);
  void fetch_from_others(Time now, Slot slot, Effects& out);
  [[nodiscard]] std::optional<NodeId> preferred_source(Slot slot) const;
  void send_fetch(Time now, NodeId to, Slot slot, bool preferred, Effects& out);
  void fetch_failed(Time now, Effects& out);
  [[nodiscard]] std::optional<Ballot> chosen_ballot(Slot slot) const;
  [[nodiscard]] bool missing(Slot slot) const {
    return slot >= missing_begin_ && slot < missing_end_;
  }

  NodeId self_;
  Configuration configuration_;
  FetchOptions fetching_;
  Slot chosen_end_;
  Slot known_end_;

  std::map<Slot, SlotRecord> votes_;  // Own votes from chosen_end_ on, as far as they fit.
  std::size_t votes_bytes_ = 0;
  std::vector<Chosen> ranges_;  // What leaders have said is chosen, not yet applied.
  std::optional<ReadVotes> reading_;
  Slot latest_at_ = kNoSlot;  // The vote for that slot was not among those that are read at once.
  // The own store holds no usable vote for the slots of [missing_begin_, missing_end_).
  Slot missing_begin_;
  Slot missing_end_;
  Slot dropped_ = kNoSlot;  // The lowest vote that memory had no room for while votes were read.
  Slot dropped_end_;        // Memory had no room for votes up to there.

  std::map<NodeId, Slot> hints_;  // Largest chosen_end heard; an answer to a fetch replaces it.
  NodeId leader_;                 // The node whose heartbeat came last.
  std::set<NodeId> unhelpful_;    // Nodes that were preferred once, and did not serve.
  std::optional<FetchUnderWay> fetch_;
  std::set<Slot> repairs_;        // Slots below chosen_end_ to be fetched again.
  std::size_t fetch_target_ = 0;  // Rotates over the members.
  std::size_t fetch_failures_ = 0;
  Time fetch_again_at_{};
  Duration fetch_patience_;  // How long an answer may take; longer after one that was late.
  Time fetched_until_{};     // When what has been fetched would have come at the allowed pace.
  bool paused_ = false;
  bool held_ = false;
  bool moving_ = false;
  std::set<NodeId> beyond_;  // Nodes that serve later slots than chosen_end_ only.
};

}  // namespace stele::paxos
