// What of a file the page cache holds.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "log/store/files/direct_file.h"

namespace stele::log {

/// A letter for each page: x if it is cached, . if not.
inline std::string cached_pages(const std::string& path) {
  const auto mapped = MappedFile::open(path);
  REQUIRE(mapped);
  const std::span<const std::byte> bytes = mapped->bytes();
  std::vector<unsigned char> resident(whole_pages(bytes.size()) / kPageBytes);
  REQUIRE(::mincore(const_cast<std::byte*>(bytes.data()), bytes.size(), resident.data()) == 0);
  std::string letters;
  for (const unsigned char page : resident) letters += (page & 1) != 0 ? 'x' : '.';
  return letters;
}

/// Whether what is written past the page cache is not in it. On some file systems, as tmpfs, there
/// is nothing but the cache.
inline bool goes_past_cache(const std::string& directory) {
  const std::string path = directory + "/probe";
  auto file = DirectFile::open(path, true);
  REQUIRE(file);
  const std::array<std::byte, kPageBytes> page{};
  const std::array<std::span<const std::byte>, 1> parts{page};
  REQUIRE(file->write(0, parts));
  REQUIRE(file->sync());
  return cached_pages(path) == ".";
}

/// Whether a read can tell that a page is not cached instead of waiting for it. Some file systems,
/// as tmpfs and overlays, do not know such reads.
inline bool knows_nowait_reads(const std::string& directory) {
  const std::string path = directory + "/probe";
  auto file = DirectFile::open(path, true);
  REQUIRE(file);
  file->set_cached(true);
  std::array<std::byte, kPageBytes> page{};
  const std::array<std::span<const std::byte>, 1> parts{page};
  REQUIRE(file->write(0, parts));
  const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const iovec part{page.data(), page.size()};
  const bool read = ::preadv2(reader, &part, 1, 0, RWF_NOWAIT) == static_cast<ssize_t>(page.size());
  ::close(reader);
  if (!read) MESSAGE("here a read cannot tell what is cached: there is nothing to see");
  return read;
}

/// Drops what is cached from page `page` on. Not always at once: the system drops no page that it
/// is looking at itself. Requires that all is synced, and goes_past_cache().
inline void drop_cached(const std::string& path, std::size_t page = 0) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  const auto at = static_cast<off_t>(page * kPageBytes);
  bool gone = false;
  for (int i = 0; i < 10'000 && !gone; ++i) {
    REQUIRE(::posix_fadvise(file, at, 0, POSIX_FADV_DONTNEED) == 0);
    gone = cached_pages(path).find('x', page) == std::string::npos;
  }
  ::close(file);
  REQUIRE(gone);
}

}  // namespace stele::log
