// What of a file the page cache holds.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "log/direct_file.h"

namespace stele::log {

/// Whether files can be read past the page cache there.
inline bool direct_reads(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT);
  if (file >= 0) ::close(file);
  return file >= 0;
}

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

}  // namespace stele::log
