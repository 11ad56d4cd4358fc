#include "log/replica/snapshot_pace.h"

#include <algorithm>

namespace stele::log {

bool SnapshotPace::due(Time now, const StateNumbers& numbers, std::uint64_t last_bytes,
                       bool trim_waits) {
  const bool under_way = asked_at_ && asked_after_ == numbers.snapshot_slot;
  if (under_way && now - *asked_at_ < kAskAgain) return false;
  const std::uint64_t since = numbers.log_bytes - numbers.snapshot_log_bytes;
  const std::uint64_t least = kTimesItsSize * last_bytes;
  const Duration rest =
      std::max<Duration>(options_.waiting, std::chrono::seconds(last_bytes / kBytesPerSecond));
  const bool rested = !asked_at_ || now - *asked_at_ >= rest;
  const bool much =
      since >= std::max(trim_waits ? options_.waiting_bytes : options_.every_bytes, least);
  if (!much && !(trim_waits && rested)) return false;
  asked_at_ = now;
  asked_after_ = numbers.snapshot_slot;
  return true;
}

}  // namespace stele::log
