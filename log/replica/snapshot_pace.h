// When a leader asks for a snapshot.
#pragma once

#include <cstdint>
#include <optional>

#include "log/format/rows.h"
#include "paxos/base/ids.h"

namespace stele::log {

/// All nodes take a snapshot at the same slot, so that it is the same on all: a leader asks for it
/// through the log. Pure.
class SnapshotPace {
 public:
  /// A value.
  struct Options {
    std::uint64_t every_bytes = 256 << 20;   ///< Of slots since the last one.
    std::uint64_t waiting_bytes = 16 << 20;  ///< The same, if a trim waits for one.
    /// Or, if a trim waits for one, after so long: also on a log that hardly grows.
    Duration waiting = std::chrono::seconds(10);
  };
  explicit SnapshotPace(const Options& options) : options_(options) {}

  /// Whether one is to be asked for now; the caller does. `last_bytes`: what the last one took.
  /// `trim_waits`: slots could be given up if there were one.
  [[nodiscard]] bool due(Time now, const StateNumbers& numbers, std::uint64_t last_bytes,
                         bool trim_waits);

  /// The log grows by so many times the size of a snapshot before the next one: what is written for
  /// them is little beside it.
  static constexpr std::uint64_t kTimesItsSize = 8;
  /// What was asked for may have been lost: it is asked again after so long.
  static constexpr Duration kAskAgain = std::chrono::seconds(1);
  /// On a log that hardly grows, a large snapshot is taken less often: so many bytes a second.
  static constexpr std::uint64_t kBytesPerSecond = 1 << 20;

 private:
  Options options_;
  std::optional<Time> asked_at_;
  Slot asked_after_;  // The last one that there was when it was asked.
};

}  // namespace stele::log
