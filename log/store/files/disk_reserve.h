// Space that is kept on the disk for what must be written when others have filled it.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

namespace stele::log {

/// A file that only takes up room. It is given up piece by piece, to a writer that was told that
/// the disk is full and tries once more, and grows again when there is room. What was promised or
/// is in flight can so be written, checkpoints can end, and a node that was killed starts again.
/// Any thread.
class DiskReserve {
 public:
  /// Holds what `directory` has of it, and changes nothing before refill(). 0 bytes: nothing is
  /// kept.
  DiskReserve(const std::string& directory, std::uint64_t bytes);
  DiskReserve(const DiskReserve&) = delete;
  DiskReserve& operator=(const DiskReserve&) = delete;

  /// Gives up a piece of at least `bytes`. False if nothing was left.
  [[nodiscard]] bool release(std::uint64_t bytes = kPieceBytes);
  /// Keeps all of it again, if the disk has room for it several times. `free_bytes` were measured
  /// when wants() was `wants_before`; {}: just now.
  void refill(std::uint64_t free_bytes, std::optional<std::uint64_t> wants_before = {});
  [[nodiscard]] std::uint64_t held_bytes() const;
  /// Whether a piece was wanted since there was last room for all of it: the disk is full, whatever
  /// was measured before.
  [[nodiscard]] bool wanted() const { return wanted_; }
  /// How often a piece was wanted.
  [[nodiscard]] std::uint64_t wants() const { return wants_; }

  static constexpr std::uint64_t kPieceBytes = 1 << 20;

 private:
  void grow();

  const std::string path_;
  const std::uint64_t bytes_;
  std::atomic<bool> wanted_ = false;
  std::atomic<std::uint64_t> wants_ = 0;
  mutable std::mutex mutex_;
  std::uint64_t held_ = 0;  // Guarded by mutex_.
  bool in_vain_ = false;    // Guarded by mutex_. The file system keeps nothing.
};

/// Its name in a data directory.
inline constexpr const char* kReserveName = "reserve";

}  // namespace stele::log
