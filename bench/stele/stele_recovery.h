// How long a cluster, and a node of it, take to come back. For clusters of this program's own.
#pragma once

#include "bench/measure/load.h"
#include "bench/stele/stele_subject.h"

namespace stele::bench {

/// Kills all nodes and starts them again, `times` times. The latencies go from there to the first
/// acknowledged append.
[[nodiscard]] Run measure_starts(SteleSubject& subject, std::size_t payload_bytes,
                                 std::size_t times);

struct CatchUp {
  Run before;                ///< With all nodes; none lags.
  Run during;                ///< While a node that was started again lags.
  Run after;                 ///< With all nodes again; none lags.
  double seconds = 0;        ///< From the start of that node until it has what was there then.
  double payload_bytes = 0;  ///< What that node lacked at its start.

  /// Of the throughput with all nodes: a busy machine is not the same before as after.
  [[nodiscard]] double share() const {
    return 2 * during.load.per_second() / (before.load.per_second() + after.load.per_second());
  }
  [[nodiscard]] double bytes_per_second() const { return payload_bytes / seconds; }
};

/// Kills a follower, appends `bytes` bytes of payload, and starts it under `load`.
[[nodiscard]] CatchUp measure_catch_up(SteleSubject& subject, const LoadOptions& load,
                                       std::uint64_t bytes);

}  // namespace stele::bench
