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
  Run before;                ///< All nodes, none lags.
  Run during;                ///< From the start of the node that lags on,
  Run after;                 ///< and once it does not lag any more.
  double seconds = 0;        ///< Until that node has what was there when it started.
  double payload_bytes = 0;  ///< That it lacked then.

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
