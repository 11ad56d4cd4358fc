// The numbers of a log, each its own type, so that no two can be mixed up in a signature.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace stele {

/// A counter with a meaning; a value. `Tag` keeps a Slot from being taken for an Lsn.
template <class Tag>
struct Number {
  std::uint64_t value = 0;  ///< 0: none; below 2^62.

  constexpr auto operator<=>(const Number&) const = default;

  /// The next one.
  constexpr Number& operator++() {
    ++value;
    return *this;
  }
  /// The one that lies `count` after it.
  friend constexpr Number operator+(Number number, std::uint64_t count) {
    return {number.value + count};
  }
  /// How far `end` lies beyond `begin`; zero if it does not.
  friend constexpr std::uint64_t operator-(Number end, Number begin) {
    return end.value > begin.value ? end.value - begin.value : 0;
  }
};

/// The place of an entry in the log: dense from 1, the same on every node, never restarting.
using Lsn = Number<struct LsnTag>;
/// A place in the sequence on which Paxos agrees, from 1. A slot holds a batch of entries.
using Slot = Number<struct SlotTag>;
/// A member of the cluster, 1 to kNodeIdMax.
using NodeId = Number<struct NodeTag>;

/// The highest id of a member.
inline constexpr std::uint64_t kNodeIdMax = 63;

/// Numbers one attempt to lead; totally ordered. {0, 0} is below every real ballot.
struct Ballot {
  std::uint64_t round = 0;  ///< Compared first.
  NodeId node;              ///< Who attempts it.

  constexpr auto operator<=>(const Ballot&) const = default;
};

}  // namespace stele

template <class Tag>
struct std::hash<stele::Number<Tag>> {
  /// As of the number that it holds.
  std::size_t operator()(stele::Number<Tag> number) const noexcept {
    return std::hash<std::uint64_t>{}(number.value * 0x9e3779b97f4a7c15ULL);
  }
};
