// The snapshots that a store takes, and keeps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "log/store/files/lmdb.h"
#include "log/store/files/snapshot_file.h"
#include "log/store/store.h"
#include "net/loop/loop.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Whether there is room for so many bytes of snapshots.
using HasRoom = std::function<bool(std::uint64_t bytes)>;

/// Takes one at a time; the last two stay. Any thread, unless something else is said.
class Snapshots {
 public:
  /// `directory`: of the store. Removes what was not finished, and what cannot be read. Not
  /// `paced`: a snapshot is written at once. `stays`: as of set_kept().
  Snapshots(std::string directory, std::vector<SectionTable> sections, bool paced, Slot stays = {});

  /// So many snapshots stay.
  static constexpr std::size_t kKept = 2;
  /// What is being written takes at most such a part of the time of one thread, and of the disk.
  static constexpr int kShare = 4;

  /// Whether none is being taken; the caller takes one then.
  [[nodiscard]] bool begin() { return !taking_.exchange(true); }
  /// Takes a snapshot of what `txn` sees. `has_room()` is asked between pieces. Requires begin().
  /// Errors: no_space, io, corrupt, newer_format; shutting_down after stop(): nothing has changed.
  Result<SnapshotInfo> take(Lmdb::Txn txn, const HasRoom& has_room);
  /// It is not taken. Requires begin().
  [[nodiscard]] Result<SnapshotInfo> give_up(const Error& why);
  /// What is being taken is given up.
  void stop();
  [[nodiscard]] bool stopping();
  [[nodiscard]] const std::vector<SectionTable>& sections() const { return sections_; }
  /// Of the files.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  /// Those stay, too. False, and nothing has changed, if one of them is not there.
  bool set_kept(const std::set<Slot>& slots);
  /// Those that are there, ascending.
  [[nodiscard]] std::vector<SnapshotInfo> kept() const;

  // For one thread at a time, that of take().

  /// All of that one is here, or some of it.
  [[nodiscard]] bool has_begun(const SnapshotManifest& manifest) const;
  /// As of Store. Errors, too.
  Result<std::size_t> begin_fetch(SnapshotManifest manifest);
  /// As of Store.
  Result<void> add_piece(std::span<const std::byte> piece);
  /// One that is kept. Errors: corrupt, newer_format, io.
  [[nodiscard]] Result<SnapshotFile> open(Slot slot) const {
    return SnapshotFile::open(snapshot_path(directory_, slot));
  }
  /// It is not what it should be.
  void remove(Slot slot);
  /// Why one was removed at the start, the last one: it could not be read.
  [[nodiscard]] const std::string& why_removed() const { return why_removed_; }

  /// As of Store::read_snapshot. For one thread at a time, which may be another one.
  [[nodiscard]] std::vector<std::byte> read(Slot slot, std::uint64_t digest, std::size_t part);

 private:
  Result<SnapshotInfo> write(Lmdb::Txn& txn, const HasRoom& has_room);
  /// False once it is to stop.
  bool pause(Duration duration);
  Result<void> finish_fetch();
  void keep(const SnapshotInfo& added);
  void keep_last();
  void forget(Slot slot);
  [[nodiscard]] std::vector<Slot> forget_old();
  [[nodiscard]] std::shared_ptr<const SnapshotFile> open_to_read(Slot slot);

  std::string directory_;
  std::vector<SectionTable> sections_;
  bool paced_;
  std::optional<SnapshotReceiver> received_;
  std::string why_removed_;
  std::atomic<bool> taking_{false};
  std::atomic<std::uint64_t> bytes_{0};
  mutable std::mutex mutex_;
  std::condition_variable stops_;
  // Guarded by mutex_.
  bool stopping_ = false;
  std::set<Slot> stay_;
  std::vector<SnapshotInfo> kept_;  // Ascending.
  std::shared_ptr<const SnapshotFile> read_last_;
};

}  // namespace stele::log
