// Under the files of a store: what was written and not synced can be cut away, page by page.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "tests/sim/random.h"

namespace stele::sim {

/// Watches one file of this process from its construction on: pwrite, write, writev, fsync and
/// fdatasync are taken over from the C library (file_layer.cc), for watched files only. Not
/// thread-safe.
class WatchedFile {
 public:
  /// The file must exist.
  explicit WatchedFile(const std::string& path);
  ~WatchedFile();
  WatchedFile(const WatchedFile&) = delete;
  WatchedFile& operator=(const WatchedFile&) = delete;

  /// The process dies after so many more writes and syncs: later ones do not happen, though whoever
  /// calls them does not notice.
  void die_after(std::uint64_t operations);
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  /// Call when nobody has the file open or mapped any more. The page cache survives: only what was
  /// written after death is taken back.
  void lose_process();
  /// Of every page, some version since the last sync survives, each by chance.
  void lose_power(Random& random);

 private:
  std::uint64_t inode_;
  std::string path_;
};

}  // namespace stele::sim
