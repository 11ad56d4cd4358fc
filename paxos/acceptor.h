// The acceptor: promises ballots, votes for values, and forgets neither.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Persist that no ballot below `ballot` will be voted for.
struct WritePromised {
  Ballot ballot;

  bool operator==(const WritePromised&) const = default;
};

/// Persist a vote, and with it the promise of its ballot, in one transaction.
struct WriteAccepted {
  SlotRecord record;

  bool operator==(const WriteAccepted&) const = default;
};

/// The memory of the cluster (Paxos Made Simple 2.2; PMMC 2.2). Pure: what it wants written and
/// sent is in Effects.
class Acceptor {
 public:
  using Write = std::variant<WritePromised, WriteAccepted>;

  /// An answer to a Prepare that still lacks its content: the votes from `slot_begin` on, to be
  /// read after all earlier writes, in the place where it stands among them.
  struct PromiseRead {
    NodeId to;
    Ballot ballot;
    Slot slot_begin;

    bool operator==(const PromiseRead&) const = default;
  };

  /// Write before send: `sends` and `promises` leave only when `writes`, and the writes of all
  /// earlier steps, are durable, even if this step wrote nothing.
  struct Effects {
    std::vector<Write> writes;
    std::vector<Send> sends;
    std::vector<PromiseRead> promises;
    std::vector<Send> at_once;  // Tells of nothing durable, so it waits for no disk.
    Ballot heard;  // The highest ballot ≥ the promise that this step heard of; {} if none.
  };

  /// What survives a restart, read back from the store.
  struct State {
    Ballot promised{};
    Slot chosen_end{1};
    bool promise_faulty = false;  // The record cannot be read: no promise and no vote, ever.
  };

  Acceptor(Configuration configuration, const State& state);

  /// Handles a message for an acceptor; others, and those of other epochs, are ignored.
  void step(NodeId source, const Message& message, Effects& out);

  /// The own learner has marked all slots below `chosen_end`.
  void on_chosen_end(Slot chosen_end);
  /// The vote at `slot` cannot be read back: should it come again, it is written again.
  void on_faulty(Slot slot) { voted_.erase(slot); }
  /// `low`: told to the leader, which takes no more appends. `full`: new batches are refused; noops
  /// and stop-signs are not, nor is upkeep.
  void set_space(bool low, bool full) {
    space_low_ = low;
    space_full_ = full;
  }
  /// On a full disk, values are voted for within so many bytes: those that recover
  /// (Accept::recovers), and those that make room (ValueKind::upkeep). The less of it is left for
  /// the ones, the less for the others.
  struct SpaceKept {
    std::uint64_t to_recover = 0;
    std::uint64_t for_upkeep = 0;
  };
  void set_space_kept(const SpaceKept& kept) { space_kept_ = kept; }
  /// A write has found the disk full before it was measured. At most so much is kept.
  void found_full(const SpaceKept& kept) {
    if (!space_full_) {
      space_kept_.to_recover = std::min(space_kept_.to_recover, kept.to_recover);
      space_kept_.for_upkeep = std::min(space_kept_.for_upkeep, kept.for_upkeep);
    }
    set_space(true, true);
  }

  /// What must be true after each step, or what is not, as a sentence (PMMC 2.2, A1 to A3).
  [[nodiscard]] std::string check() const;

  [[nodiscard]] Ballot promised() const { return promised_; }
  [[nodiscard]] bool faulty() const { return promise_faulty_; }

  /// With less left for upkeep a leader is told to propose none: what was not voted for would keep
  /// everything after it from being applied.
  static constexpr std::uint64_t kUpkeepRoomBytesMin = kUpkeepBytesMax;
  /// So many votes are remembered; what is beyond is written again, should it come again.
  static constexpr std::size_t kVotedMax = 1024;

 private:
  /// A vote that this process has written: which ballot, and which value.
  struct Voted {
    Ballot ballot;
    ValueKind kind;
    std::size_t bytes;
    std::uint64_t digest;

    bool operator==(const Voted&) const = default;
  };

  void on_prepare(NodeId source, const Prepare& prepare, Effects& out);
  void on_accept(NodeId source, const Accept& accept, Effects& out);
  void on_heartbeat(NodeId source, const Heartbeat& heartbeat, Effects& out);
  [[nodiscard]] bool takes_room(const Accept& accept);
  void send(NodeId to, Body body, Effects& out) const;
  void acknowledge(NodeId to, Ballot ballot, Slot slot, Effects& out) const;

  Configuration configuration_;
  Ballot promised_;
  Slot chosen_end_;
  bool promise_faulty_;
  std::map<Slot, Voted> voted_;  // From chosen_end_ on.
  bool space_low_ = false;
  bool space_full_ = false;
  SpaceKept space_kept_;
};

}  // namespace stele::paxos
