// What it costs that a log is trimmed, and that a node comes back to one that was. For clusters of
// this program's own.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "bench/measure/load.h"
#include "bench/stele/stele_subject.h"

namespace stele::bench {

struct Retained {
  std::uint64_t first_half_bytes = 0;   ///< The most that any node's directory took.
  std::uint64_t second_half_bytes = 0;  ///< The same, over the second half of what was appended.
  std::uint64_t second_half_low = 0;    ///< The least that the fullest one took then.
  double fill_per_second = 0;           ///< Appends meanwhile.
  /// A log that is trimmed and one that is not, in turn.
  std::vector<std::pair<Run, Run>> pairs;
};

/// Appends `bytes` bytes of payload to a log that keeps `retain_bytes`; then compares it, under
/// `load`, with `plain`.
[[nodiscard]] Retained measure_retention(SteleSubject& trimmed, SteleSubject& plain,
                                         const LoadOptions& load, std::uint64_t retain_bytes,
                                         std::uint64_t bytes, std::size_t pairs);

struct Absence {
  Run before;               ///< With all nodes; none lags.
  Run during;               ///< From the start of the node until it has copied everything.
  Run after;                ///< With all nodes again.
  double votes_s = 0;       ///< From its start until it has applied what was there then.
  double copied_s = 0;      ///< And until it has everything that is kept.
  double copied_bytes = 0;  ///< Payload that it has copied after it voted.

  /// Of the throughput with all nodes: a busy machine is not the same before as after.
  [[nodiscard]] double share() const {
    return 2 * during.load.per_second() / (before.load.per_second() + after.load.per_second());
  }
  [[nodiscard]] double copied_per_second() const { return copied_bytes / (copied_s - votes_s); }
};

/// Kills a follower of a log that keeps `retain_bytes`, appends `bytes` bytes of payload at half of
/// the highest rate, and starts it under `load`.
[[nodiscard]] Absence measure_absence(SteleSubject& subject, const LoadOptions& load,
                                      std::uint64_t retain_bytes, std::uint64_t bytes);

}  // namespace stele::bench
