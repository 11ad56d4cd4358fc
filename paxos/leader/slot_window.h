// The slots that a leader has proposed and that are not chosen yet: PMMC's commanders, one for each
// slot, all in one window.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/value.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Dense slots [begin(), next()), each with its value and the votes for it in one ballot. Pure.
class SlotWindow {
 public:
  /// A slot that is proposed and not chosen yet, or chosen before a lower one.
  struct InFlight {
    Value value;
    NodeSet votes;
    Time proposed_at;
    bool recovers = false;  ///< Phase 1 has found it, or it was in flight when the disks were full.
    bool chosen = false;
    std::size_t ahead_bytes = 0;  ///< Bytes in flight when it was proposed, its own included.
  };

  explicit SlotWindow(Slot begin) : begin_(begin), next_(begin), counted_begin_(begin) {}

  /// Another leadership: nothing is in flight.
  void clear() {
    slots_.clear();
    begin_ = next_;
  }
  /// Goes on from there. Requires that nothing is in flight.
  void begin_at(Slot slot);
  /// Proposes for the next slot.
  const InFlight& push(Value value, Time now, bool recovers);
  /// `node` has voted for the slots of `voted`, in this ballot. Calls `chosen(slot, in_flight)` for
  /// each that `q2` acceptors have voted for now, once and in ascending order.
  template <class Chosen>
  void on_votes(NodeId node, const Accepted& voted, std::size_t q2, Chosen chosen) {
    const Slot end = std::min(voted.slot_end, next_);
    for (Slot slot = std::max(voted.slot_begin, begin_); slot < end; ++slot) {
      InFlight& in_flight = slots_[slot - begin_];
      in_flight.votes.insert(node);
      if (in_flight.chosen || in_flight.votes.size() < q2) continue;
      in_flight.chosen = true;
      chosen(slot, in_flight);
    }
  }
  /// Lets go of the first ones that are chosen.
  void drop_chosen();
  /// Lets go of what lies below `chosen_end`: learned from others as chosen, perhaps while phase 1
  /// was under way. It needs no votes, and may get none (an acceptor never votes below its own
  /// chosen_end). Such slots do not count as chosen in this ballot.
  void drop_learned(Slot chosen_end);
  /// Lets what is in flight use the room that disks keep for what phase 1 finds.
  void mark_recovering();

  /// What must be true after each step, or what is not, as a sentence.
  [[nodiscard]] std::string check() const;

  [[nodiscard]] bool empty() const { return slots_.empty(); }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] const InFlight& front() const { return slots_.front(); }
  [[nodiscard]] Slot begin() const { return begin_; }
  [[nodiscard]] Slot next() const { return next_; }
  /// [counted_begin(), begin()) were chosen by votes in this ballot.
  [[nodiscard]] Slot counted_begin() const { return counted_begin_; }
  [[nodiscard]] std::size_t bytes() const;

  /// The first one that is not chosen and that `node` has not voted for; nothing if there is none.
  [[nodiscard]] std::optional<Slot> first_owed(NodeId node) const;
  /// Calls `each(slot, in_flight)` for all that are not chosen and that `node` has not voted for.
  template <class Each>
  void for_each_owed(NodeId node, Each each) const {
    Slot slot = begin_;
    for (const InFlight& in_flight : slots_) {
      if (is_owed(in_flight, node)) each(slot, in_flight);
      ++slot;
    }
  }

 private:
  static bool is_owed(const InFlight& in_flight, NodeId node) {
    return !in_flight.chosen && !in_flight.votes.contains(node);
  }

  std::deque<InFlight> slots_;  // From begin_ on.
  Slot begin_;
  Slot next_;
  Slot counted_begin_;
};

}  // namespace stele::paxos
