// The numbers of the protocol, each its own type, so that no two can be mixed up in a signature.
#pragma once

#include <bit>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace stele {

/// A counter with a meaning. `Tag` keeps a Slot from being taken for an Lsn.
template <class Tag>
struct Number {
  std::uint64_t value = 0;

  constexpr auto operator<=>(const Number&) const = default;

  constexpr Number& operator++() {
    ++value;
    return *this;
  }
  friend constexpr Number operator+(Number number, std::uint64_t count) {
    return {number.value + count};
  }
  /// How far `end` lies beyond `begin`; zero if it does not.
  friend constexpr std::uint64_t operator-(Number end, Number begin) {
    return end.value > begin.value ? end.value - begin.value : 0;
  }
};

/// A place in the sequence on which Paxos agrees, from 1. A slot holds one batch.
using Slot = Number<struct SlotTag>;
/// The place of an entry in the log: dense from 1, the same on every node, never restarting.
using Lsn = Number<struct LsnTag>;
/// The number of a configuration (members and quorums), from 1.
using Epoch = Number<struct EpochTag>;
/// A member of the cluster, 1 to kNodeIdMax.
using NodeId = Number<struct NodeTag>;
/// A client's session; it is the slot that opened it.
using SessionId = Number<struct SessionTag>;
/// The number of an append within its session, from 1, without gaps.
using Sequence = Number<struct SequenceTag>;

inline constexpr std::uint64_t kNodeIdMax = 63;
inline constexpr std::size_t kMembersMax = 7;

/// Numbers one attempt to lead; totally ordered. {0, 0} is below every real ballot.
struct Ballot {
  std::uint64_t round = 0;
  NodeId node;

  constexpr auto operator<=>(const Ballot&) const = default;
};

/// A set of nodes; a value.
class NodeSet {
 public:
  constexpr void insert(NodeId node) { bits_ |= bit(node); }
  constexpr void erase(NodeId node) { bits_ &= ~bit(node); }
  constexpr void clear() { bits_ = 0; }
  [[nodiscard]] constexpr bool contains(NodeId node) const { return (bits_ & bit(node)) != 0; }
  [[nodiscard]] constexpr std::size_t size() const {
    return static_cast<std::size_t>(std::popcount(bits_));
  }
  constexpr bool operator==(const NodeSet&) const = default;

 private:
  static constexpr std::uint64_t bit(NodeId node) { return std::uint64_t{1} << (node.value & 63); }
  std::uint64_t bits_ = 0;
};

/// Time since an arbitrary moment, never going back. Handed in; the protocol owns no clock.
using Time = std::chrono::nanoseconds;
using Duration = std::chrono::nanoseconds;

}  // namespace stele

template <class Tag>
struct std::hash<stele::Number<Tag>> {
  std::size_t operator()(stele::Number<Tag> number) const noexcept {
    return std::hash<std::uint64_t>{}(number.value * 0x9e3779b97f4a7c15ULL);
  }
};
