// What commands say of trimming: up to where, what is retained, what is held.
// docs/storage-format.md has the layout.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::log {

/// How much of the log is kept, at least. 0: there is no such bound; both 0: it is trimmed by hand.
struct RetentionPolicy {
  std::uint64_t bytes = 0;   ///< Of slots, as slot_bytes() counts.
  std::uint64_t age_us = 0;  ///< In log time.

  bool operator==(const RetentionPolicy&) const = default;
  [[nodiscard]] bool empty() const { return *this == RetentionPolicy{}; }
};

/// CommandKind::trim: entries below `before` go. Without `force` no hold is passed.
struct TrimCommand {
  Lsn before;
  bool force = false;

  bool operator==(const TrimCommand&) const = default;
};

/// CommandKind::retain, of a leader: entries below `before` go by the policy of slot `policy_slot`,
/// if it is still that one.
struct RetainCommand {
  Lsn before;
  Slot policy_slot;

  bool operator==(const RetainCommand&) const = default;
};

/// CommandKind::set_hold: entries from `lsn` on stay, for so long in log time at most.
struct HoldCommand {
  std::string name;
  Lsn lsn;
  std::uint64_t ttl_us = 0;

  bool operator==(const HoldCommand&) const = default;
};

/// Bytes of the name of a hold: 1 to so many, all of them printable ASCII without a space.
inline constexpr std::size_t kHoldNameBytesMax = 64;
[[nodiscard]] bool is_hold_name(std::span<const std::byte> name);
/// A hold ends after so long at the latest.
inline constexpr std::uint64_t kHoldTtlMaxUs = 366ULL * 24 * 3600 * 1000000;

[[nodiscard]] std::vector<std::byte> body_of(const RetentionPolicy& policy);
[[nodiscard]] std::vector<std::byte> body_of(const TrimCommand& command);
[[nodiscard]] std::vector<std::byte> body_of(const RetainCommand& command);
[[nodiscard]] std::vector<std::byte> body_of(const HoldCommand& command);

/// Errors of all of these: malformed, also if a number is out of range.
[[nodiscard]] Result<RetentionPolicy> parse_policy(std::span<const std::byte> body);
[[nodiscard]] Result<TrimCommand> parse_trim(std::span<const std::byte> body);
[[nodiscard]] Result<RetainCommand> parse_retain(std::span<const std::byte> body);
[[nodiscard]] Result<HoldCommand> parse_hold(std::span<const std::byte> body);
/// The body of a release is the hold's name.
[[nodiscard]] Result<std::string> parse_release(std::span<const std::byte> body);

}  // namespace stele::log
