// Syncs that take longer, as those of a slow disk.
#pragma once

#include <chrono>

namespace stele::sim {

/// While it lives, every fdatasync of this process, of whatever file, takes so much longer. Any
/// thread.
class SlowSyncs {
 public:
  /// `one_by_one`: not beside others, but one after the other.
  explicit SlowSyncs(std::chrono::microseconds longer, bool one_by_one = false);
  ~SlowSyncs();
  SlowSyncs(const SlowSyncs&) = delete;
  SlowSyncs& operator=(const SlowSyncs&) = delete;
  /// The most that there were at the same time, since then or since this was asked.
  [[nodiscard]] int most() const;
};

/// Every fdatasync calls this (file_layer.cc).
void take_longer();

}  // namespace stele::sim
