// Snapshots as files: docs/storage-format.md.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "log/format/snapshot.h"
#include "log/store/files/lmdb.h"
#include "log/store/store.h"
#include "paxos/base/result.h"

namespace stele::log {

[[nodiscard]] std::string snapshots_directory(const std::string& directory);
[[nodiscard]] std::string snapshot_path(const std::string& directory, Slot slot);
/// The slots of the snapshots in the directory of a store, ascending: by their names alone.
[[nodiscard]] std::vector<Slot> list_snapshots(const std::string& directory);

/// A descriptor that closes itself. Move-only.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int file) : file_(file) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  [[nodiscard]] int get() const { return file_; }

 private:
  int file_ = -1;
};

/// Writes one snapshot. What is not finished is gone with it; and with the next start, should the
/// process have been killed. Move-only; one thread at a time, and one writer for a directory.
class SnapshotWriter {
 public:
  /// `directory`: of the store. Errors of all: no_space, io.
  static Result<SnapshotWriter> create(const std::string& directory, const SnapshotHead& head);
  /// Removes what a process that was killed has left.
  static void remove_unfinished(const std::string& directory);
  ~SnapshotWriter();
  SnapshotWriter(SnapshotWriter&& other) noexcept;
  SnapshotWriter& operator=(SnapshotWriter&&) = delete;

  /// The next piece. Now and then all is synced, so that little is left at the end.
  Result<void> add(std::span<const std::byte> piece);
  /// From here on the snapshot is there, under its name and for good.
  Result<SnapshotInfo> finish();

 private:
  SnapshotWriter(std::string directory, Descriptor file, const SnapshotHead& head)
      : directory_(std::move(directory)), file_(std::move(file)), manifest_{head, {}} {}
  Result<void> write(std::span<const std::byte> bytes);
  Result<void> sync();

  std::string directory_;  // Empty: nothing is left to be removed.
  Descriptor file_;
  SnapshotManifest manifest_;
  std::size_t unsynced_bytes_ = 0;
};

/// Keeps a snapshot of another node, piece by piece, so that a restart goes on with it. Move-only;
/// one thread at a time, and one for a directory.
class SnapshotReceiver {
 public:
  /// What a process before this one has begun, if it was this very snapshot; else an empty one,
  /// which takes the place of any other. Errors of all: no_space, io; corrupt.
  static Result<SnapshotReceiver> begin(const std::string& directory, SnapshotManifest manifest);

  [[nodiscard]] Slot slot() const { return manifest_.head.slot; }
  /// How many pieces are here, from the first one on.
  [[nodiscard]] std::size_t pieces() const { return pieces_; }
  [[nodiscard]] bool complete() const { return pieces_ == manifest_.pieces.size(); }
  /// The next piece. Requires !complete(). Errors: also corrupt, if it is not that piece.
  Result<void> add(std::span<const std::byte> piece);
  /// From here on it is a snapshot of this store. Requires complete().
  Result<SnapshotInfo> finish();
  /// What is there is not gone on with.
  static void remove(const std::string& directory);

 private:
  SnapshotReceiver(std::string directory, Descriptor file, SnapshotManifest manifest)
      : directory_(std::move(directory)), file_(std::move(file)), manifest_(std::move(manifest)) {}
  void count_pieces();

  std::string directory_;
  Descriptor file_;
  SnapshotManifest manifest_;
  std::size_t pieces_ = 0;
  std::uint64_t offset_ = SnapshotHead::kBytes;  // Of the next piece.
  std::size_t unsynced_bytes_ = 0;
};

/// What a SnapshotReceiver has begun to keep; its size is that of the whole.
[[nodiscard]] std::optional<SnapshotInfo> received_snapshot(const std::string& directory);

/// One snapshot, read back. Move-only; any thread.
class SnapshotFile {
 public:
  /// Reads what it consists of. Errors: corrupt, newer_format, io.
  static Result<SnapshotFile> open(const std::string& path);

  [[nodiscard]] const SnapshotManifest& manifest() const { return manifest_; }
  [[nodiscard]] const SnapshotInfo& info() const { return info_; }
  /// A piece, which is what its digest says. Requires number < manifest().pieces.size(). Errors:
  /// corrupt, io.
  [[nodiscard]] Result<std::vector<std::byte>> read(std::size_t number) const;
  /// Calls `each` for all rows, in order; the first one is that of the numbers. Errors: corrupt,
  /// io, and those of `each`.
  Result<void> for_each_row(const std::function<Result<void>(Row&&)>& each) const;

 private:
  SnapshotFile(std::string path, Descriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  Descriptor file_;
  SnapshotManifest manifest_;
  std::vector<std::uint64_t> offsets_;  // Of the pieces.
  SnapshotInfo info_;
};

/// Hands the state as `txn` sees it to `packer`. `sections`: all tables of sections. Errors:
/// corrupt, newer_format, io, and those of the packer.
Result<void> pack_state(Lmdb::Txn& txn, const std::vector<SectionTable>& sections,
                        SnapshotPacker& packer);

}  // namespace stele::log
