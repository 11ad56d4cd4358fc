// What LMDB takes over of a store's transactions, beside those that come meanwhile (ADR 11).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "log/format/record.h"
#include "log/store/files/disk_reserve.h"
#include "log/store/files/lmdb.h"

namespace stele::log {

/// One part at a time: the committing thread begins it, any thread writes it, the committing thread
/// ends it.
class Checkpoint {
 public:
  /// Takes from `reserve` if the disk is full.
  explicit Checkpoint(DiskReserve& reserve) : reserve_(reserve) {}

  /// Takes transactions whose records are durable elsewhere, with mark and numbers as of the last
  /// one. Requires that there is no part. Leaves an empty buffer in `redo`, for the next one.
  void begin(std::vector<std::byte>& redo, const JournalMark& mark, const StoredNumbers& numbers);
  /// Writes the part and syncs it, if it waits for that. Any thread. Errors are final.
  Result<void> run(const Lmdb& lmdb);
  /// Ends the part, if there is one: waits for the thread that writes it, or writes it itself. Then
  /// what can be read from LMDB, if that is more than before. Errors: those of run(), on any
  /// thread.
  Result<std::optional<StoredNumbers>> end(const Lmdb& lmdb);

  /// It would take long to begin another part.
  [[nodiscard]] bool busy() const;
  /// There is a part, and it is written.
  [[nodiscard]] bool written() const;

 private:
  enum class State : std::uint8_t { none, waiting, running, written };

  Result<void> write(const Lmdb& lmdb);
  /// The same; takes from the reserve as long as the disk is full.
  Result<void> write_into_reserve(const Lmdb& lmdb);

  DiskReserve& reserve_;
  mutable std::mutex mutex_;
  std::condition_variable no_longer_running_;
  State state_ = State::none;    // Guarded by mutex_.
  Result<void> outcome_;         // Guarded by mutex_.
  std::vector<std::byte> redo_;  // Of the thread that writes the part.
  JournalMark mark_;             // Of the same thread as redo_.
  StoredNumbers numbers_;        // Of the same thread as redo_.
};

}  // namespace stele::log
