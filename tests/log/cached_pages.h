// What of a file the page cache holds.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "log/direct_file.h"

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

/// Requires that it is synced, and no page that the system keeps together with others.
inline void drop_cached_page(const std::string& path, std::uint64_t page) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  const auto at = static_cast<off_t>(page * kPageBytes);
  REQUIRE(::posix_fadvise(file, at, kPageBytes, POSIX_FADV_DONTNEED) == 0);
  ::close(file);
}

}  // namespace stele::log
