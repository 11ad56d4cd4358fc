// Under the files of a store: what was written and not synced can be cut away, page by page.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/world/random.h"

namespace stele::sim {

/// Watches the files of one simulated process: pread, pwrite, pwritev, write, writev, fsync,
/// fdatasync, rename and remove are taken over from the C library (file_layer.cc), for watched
/// files only. Not thread-safe.
class WatchedFiles {
 public:
  WatchedFiles();
  ~WatchedFiles();
  WatchedFiles(const WatchedFiles&) = delete;
  WatchedFiles& operator=(const WatchedFiles&) = delete;

  /// From now on. The file must exist.
  void watch(const std::string& path);
  [[nodiscard]] bool empty() const { return inodes_.empty(); }
  /// It has not died, nor would it with the next write or sync.
  [[nodiscard]] bool lives() const;

  /// The process dies after so many more writes and syncs: later ones do not happen, though the
  /// code that calls them does not notice.
  void die_after(std::uint64_t operations);
  /// The first sync after so many more writes and syncs fails, and the process ends with it. Of
  /// what was written through the page cache some version is on the medium, page by page. Readers
  /// see the last one unless they read past the cache (O_DIRECT, where the file system allows it),
  /// and no later sync writes it again, as with Linux.
  void fail_sync_after(std::uint64_t operations, Random random);
  /// As some file systems do: files open with O_DIRECT, and every read and write then is EINVAL.
  void refuse_direct_io();
  /// The disk is full: so many writes that would make a file longer fail (ENOSPC), later ones do
  /// not.
  void fill_up(std::uint64_t writes);
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  /// Call when nobody has the files open or mapped any more. The page cache survives: only what was
  /// written after death is taken back.
  void lose_process();
  /// Of every page, some version since the last sync survives, each by chance; and of the new names
  /// since the last sync of their directory those up to some one.
  void lose_power(Random& random);

 private:
  struct Process;
  std::unique_ptr<Process> process_;
  std::vector<std::uint64_t> inodes_;
};

}  // namespace stele::sim
