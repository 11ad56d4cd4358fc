// Phase 1 of one ballot: gathers the pieces of promises and tells what must be proposed again.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/leader/acceptors.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Collects promises for one ballot. A slot may be proposed once the pieces of a q1 quorum cover
/// it, so a long promise is worked off piece by piece, in bounded memory.
class PhaseOne {
 public:
  /// `ignore_ahead`: do not count acceptors whose chosen_end is above `slot_begin`; for a leader
  /// that could not fetch a slot from nodes that say that it is chosen. Any q1 of the others will
  /// do.
  PhaseOne(const Configuration& configuration, Ballot ballot, Slot slot_begin,
           bool ignore_ahead = false);

  /// Takes a piece. False if it is ignored: it belongs elsewhere, tells nothing new, would leave a
  /// gap, or comes from an acceptor that is not counted.
  bool on_promise(NodeId source, const Promise& promise);

  /// A q1 quorum has promised: the ballot is won, though pieces may still be missing.
  [[nodiscard]] bool won() const;
  /// A q1 quorum has told everything.
  [[nodiscard]] bool complete() const;
  /// That node has promised, and told everything.
  [[nodiscard]] bool told_all(NodeId node) const;
  /// The largest chosen_end promised: nothing below is ever proposed in this ballot.
  [[nodiscard]] Slot base() const { return base_; }
  /// Slots in [base(), here) are covered by a q1 quorum. Unbounded (kSlotMax) once complete.
  [[nodiscard]] Slot covered_end() const;
  /// One past the last slot with a vote that is told and not taken yet; base() if there is none.
  [[nodiscard]] Slot reported_end() const;

  /// Takes out the value that must be proposed at `slot`, of the highest ballot told (PMMC 2.4
  /// pmax); nothing if the slot is free. Slots are taken in ascending order.
  std::optional<Value> take(Slot slot);

  /// Where the promise of `node` goes on, if it should be asked for its next piece now: pieces are
  /// pulled, and not while enough lies here that can be proposed (from `slot_next` on).
  [[nodiscard]] std::optional<Slot> next_piece(NodeId node, Slot slot_next) const;

  /// Phase 1 may yet end: a q1 quorum has told all, or lives, as heard within `timeout`.
  [[nodiscard]] bool may_end(Time now, NodeId self, const Acceptors& acceptors,
                             Duration timeout) const;
  /// Asks each node for its (next) piece by `ask(node, slot_begin)`, again after a while if no
  /// answer came.
  template <class Ask>
  void pull(Time now, Slot slot_next, Acceptors& acceptors, Ask ask) const {
    for (NodeId node : configuration_.members()) {
      if (!acceptors.may_prepare(now, node)) continue;
      const auto slot_begin = next_piece(node, slot_next);
      if (!slot_begin) continue;
      acceptors.on_prepared(now, node);
      ask(node, *slot_begin);
    }
  }

  static constexpr Slot kSlotMax{UINT64_MAX};
  static constexpr std::size_t kBufferedBytesMax = 8 << 20;

 private:
  /// The vote of the highest ballot that was told for a slot.
  struct Vote {
    Ballot ballot;
    Value value;
  };

  Configuration configuration_;
  Ballot ballot_;
  Slot slot_begin_;
  bool ignore_ahead_;
  NodeSet ignored_;
  Slot base_;
  Slot taken_end_{0};                // Slots below have been proposed in this ballot.
  std::map<NodeId, Slot> told_end_;  // Per node that promised: slots below are told.
  std::map<Slot, Vote> votes_;       // The highest told, from base() on.
  std::size_t votes_bytes_ = 0;
};

}  // namespace stele::paxos
