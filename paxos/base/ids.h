// The numbers of the protocol beside those that users see (<stele/types.h>), and time.
#pragma once

#include <stele/types.h>

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace stele {

/// The number of a configuration (members and quorums), from 1.
using Epoch = Number<struct EpochTag>;
/// A client's session; it is the slot that opened it.
using SessionId = Number<struct SessionTag>;
/// The number of an append within its session, from 1, without gaps.
using Sequence = Number<struct SequenceTag>;

inline constexpr std::size_t kMembersMax = 7;

/// The group that frames and records are of: one replicated log. There is one today.
inline constexpr std::uint32_t kGroup = 1;

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

/// An id as people see it everywhere: 16 hexadecimal digits.
[[nodiscard]] std::string to_hex(std::uint64_t id);

}  // namespace stele
