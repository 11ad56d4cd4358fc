// What LMDB takes over of a store's transactions, beside those that come meanwhile (ADR 11).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "log/format/record.h"
#include "log/store/files/disk_reserve.h"
#include "log/store/files/lmdb.h"

namespace stele::log {

/// Transactions whose records are durable elsewhere.
struct CheckpointPart {
  std::vector<std::byte> redo;
  std::uint64_t bytes = 0;  ///< With their values.
  JournalMark mark;         ///< As of the last one.
  StoredNumbers numbers;    ///< As of the last one.
  bool snapshot = false;    ///< One is to be taken of what it leaves.
};

/// One part at a time: the committing thread begins it, any thread writes it, the committing thread
/// ends it.
class Checkpoint {
 public:
  /// `make_room`: called if the disk is full; gives up something that was kept for that, false if
  /// there is nothing. By the thread that writes.
  explicit Checkpoint(std::function<bool()> make_room) : make_room_(std::move(make_room)) {}

  /// Called with what the tables hold after a part of which a snapshot is to be taken, before the
  /// next one changes them, by the thread that has written it. At first nobody is.
  using OnSnapshot = std::function<void(Result<Lmdb::Txn>)>;
  void on_snapshot(OnSnapshot take) { on_snapshot_ = std::move(take); }

  /// Requires that there is no part.
  void begin(CheckpointPart part);
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
  /// The same; makes room as long as the disk is full.
  Result<void> write_into_reserve(const Lmdb& lmdb);

  std::function<bool()> make_room_;
  mutable std::mutex mutex_;
  std::condition_variable no_longer_running_;
  State state_ = State::none;  // Guarded by mutex_.
  Result<void> outcome_;       // Guarded by mutex_.
  CheckpointPart part_;        // Of the thread that writes it.
  OnSnapshot on_snapshot_;     // Of the same thread.
};

}  // namespace stele::log
