// What the slots of a run hold, without their values: by it two nodes compare what they have.
// docs/wire-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/result.h"

namespace stele::log {

/// What was chosen in a slot, and what became of it.
struct SlotSummary {
  IndexRow row;           ///< Always with its slot and first LSN; count 0: it has no entries.
  std::uint8_t kind = 0;  ///< Of the value, as a number.
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;

  bool operator==(const SlotSummary&) const = default;
  /// Whether it is the same value.
  [[nodiscard]] bool same_value(const SlotSummary& other) const {
    return kind == other.kind && bytes == other.bytes && digest == other.digest;
  }
};

/// The first slot of a run: there is no slot 0.
[[nodiscard]] constexpr Slot begin_of_run(std::uint64_t run) {
  return {run == 0 ? 1 : run * kRunSlots};
}

/// As RunRow::digest, of a whole run or of its beginning.
[[nodiscard]] std::uint64_t digest_of(const std::vector<SlotSummary>& slots);

[[nodiscard]] std::vector<std::byte> encode_run_list(const std::vector<SlotSummary>& slots);
/// Of exactly the slots [begin, end). Errors: malformed.
[[nodiscard]] Result<std::vector<SlotSummary>> parse_run_list(std::span<const std::byte> bytes,
                                                              Slot begin, Slot end);

}  // namespace stele::log
