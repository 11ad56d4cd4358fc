// How much room the disk, and the store's own bound, leave.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "log/store/files/disk_reserve.h"
#include "log/store/store.h"

namespace stele::log {

/// Unbounded until it has been measured. Any thread.
class SpaceMeter {
 public:
  /// `used_bytes`: of the store's files, which may have up to `map_bytes`; `kept_bytes_max`: as of
  /// Space. The reserve outlives it.
  SpaceMeter(std::string directory, DiskReserve& reserve, std::uint64_t used_bytes,
             std::uint64_t map_bytes, std::uint64_t kept_bytes_max);

  /// The committing thread has written so many bytes; the files have `used_bytes` now.
  void on_wrote(std::size_t bytes, std::uint64_t used_bytes);
  /// Asks the file system, which may take long if its disk has failed.
  void measure();
  /// The same; whether so much is free.
  [[nodiscard]] bool has_now(std::uint64_t bytes) {
    measure();
    return free_bytes_ >= bytes;
  }
  /// The disk has failed: nothing more is kept on it.
  void on_failed() { failed_ = true; }

  /// As it was measured last; nothing is free if a write has found the disk full since then.
  [[nodiscard]] Space space() const;
  /// As it was measured last.
  [[nodiscard]] std::uint64_t measured_free_bytes() const { return free_bytes_; }

 private:
  const std::string directory_;
  DiskReserve& reserve_;
  const std::uint64_t map_bytes_;
  const std::uint64_t kept_bytes_max_;
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> used_bytes_;
  std::atomic<std::uint64_t> free_bytes_{UINT64_MAX};
  std::atomic<std::uint64_t> kept_bytes_{0};
  std::atomic<std::uint64_t> measured_{0};
  std::atomic<std::uint64_t> unmeasured_bytes_{0};  // Written since it was measured.
};

}  // namespace stele::log
