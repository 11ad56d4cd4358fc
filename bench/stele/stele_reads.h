// Loads of reads on a cluster of Stele.
#pragma once

#include "bench/measure/load.h"
#include "bench/stele/stele_subject.h"

namespace stele::bench {

struct ReadLoad {
  /// The log goes from here to here.
  Lsn lsn_begin{1};
  Lsn lsn_end;
  /// False: every reader goes through the log from its beginning, again and again. True: each read
  /// is of one entry, anywhere.
  bool random = false;
  std::size_t readers = 1;    ///< Clients.
  std::size_t in_flight = 1;  ///< Random reads that each has under way.
  bool linearizable = true;   ///< From the leader; otherwise from any node's own state.
  bool tail = false;          ///< Not random: entries are pushed instead of asked for.
  std::chrono::milliseconds warm_up{1000};
  std::chrono::milliseconds duration{5000};
};

/// `acknowledged` counts entries, the latencies are those of reads: each of one entry, or of all
/// that one answer holds. Throws on an error, and if an entry is missing or comes twice.
[[nodiscard]] Run measure_reads(SteleSubject& subject, const ReadLoad& load);

/// Appends are under way in a closed loop while `tails` clients follow the log. `acknowledged`
/// counts the entries that all of them were handed, the latencies go from before the append to the
/// tail. Payloads hold at least 8 bytes.
[[nodiscard]] Run measure_tails(SteleSubject& subject, const LoadOptions& appends,
                                std::size_t tails);

/// Appends entries until the log holds `bytes` bytes of payload.
void fill(SteleSubject& subject, std::size_t payload_bytes, std::uint64_t bytes);

}  // namespace stele::bench
