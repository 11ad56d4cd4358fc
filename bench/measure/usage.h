// What processes have used, from /proc.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace stele::bench {

struct Usage {
  double cpu_seconds = 0;            ///< User and system.
  std::uint64_t written_bytes = 0;   ///< Sent to the block layer.
  std::uint64_t rss_anon_bytes = 0;  ///< Of the one that has most.
  std::uint64_t switches = 0;        ///< Voluntary context switches of all threads: wake-ups.

  Usage operator-(const Usage& before) const {
    // What a process has used is gone with it.
    return {std::max(cpu_seconds - before.cpu_seconds, 0.0),
            written_bytes - std::min(written_bytes, before.written_bytes), rss_anon_bytes,
            switches - std::min(switches, before.switches)};
  }
};

/// Of all these processes together; those that are gone count nothing.
[[nodiscard]] Usage usage_of(const std::vector<pid_t>& processes);

}  // namespace stele::bench
