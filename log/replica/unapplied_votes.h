// How much a node has voted for and not applied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "paxos/base/ids.h"

namespace stele::log {

/// Counts in stretches of slots, so that it takes little memory: what it tells is never more than
/// was added. Pure.
class UnappliedVotes {
 public:
  /// A stretch has so many bytes, but for its last vote.
  explicit UnappliedVotes(std::uint64_t stretch_bytes) : stretch_bytes_(stretch_bytes) {}

  /// A vote for that slot takes so many bytes.
  void add(Slot slot, std::size_t bytes);
  /// All slots below are applied.
  void applied(Slot chosen_end);
  /// Of votes for slots that are not applied, before `slot`; of one stretch too few, at most.
  [[nodiscard]] std::uint64_t bytes_before(Slot slot) const;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// There is no vote for slots from there on.
  [[nodiscard]] Slot end() const { return end_; }

 private:
  std::uint64_t stretch_bytes_;
  std::map<Slot, std::uint64_t> stretches_;  // Their bytes, by their first slots.
  std::uint64_t bytes_ = 0;
  Slot end_;
};

}  // namespace stele::log
