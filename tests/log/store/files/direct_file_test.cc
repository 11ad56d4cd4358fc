#include "log/store/files/direct_file.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/support/cached_pages.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

TEST_SUITE("log.direct_file") {
  TEST_CASE("write: parts of any size, one after the other, zeros up to the page's end") {
    TestDirectory directory;
    const std::string path = directory.sub("file");
    auto file = DirectFile::open(path, true);
    REQUIRE(file);
    // Around the size in which it is handed to the system.
    const std::string parts[] = {"head", std::string((1 << 20) - 5, 'a'), std::string(3 << 20, 'b'),
                                 "", "tail"};
    std::vector<std::span<const std::byte>> views;
    std::string expected;
    for (const std::string& part : parts) {
      views.push_back(std::as_bytes(std::span(part)));
      expected += part;
    }
    REQUIRE(file->write(kPageBytes, views));
    REQUIRE(file->sync());
    const auto mapped = MappedFile::open(path);
    REQUIRE(mapped);
    const std::string text = text_of(*mapped);
    CHECK(text.size() == kPageBytes + whole_pages(expected.size()));
    CHECK(text.compare(kPageBytes, expected.size(), expected) == 0);
    CHECK(text.find_first_not_of('\0', kPageBytes + expected.size()) == std::string::npos);
  }

  TEST_CASE("write: what earlier writes have left in memory gets into no padding") {
    TestDirectory directory;
    const std::string path = directory.sub("file");
    auto file = DirectFile::open(path, true);
    REQUIRE(file);
    std::uint64_t at = 0;
    // Each shorter or longer than those before, within a page and beyond it.
    for (const std::size_t bytes : {10UL, 3 * kPageBytes - 7, 20UL, 5UL, kPageBytes + 1, 5UL,
                                    2 * kPageBytes, 1UL, (1UL << 20) + 9, 8UL, kPageBytes - 1}) {
      CAPTURE(bytes);
      const std::string text(bytes, 'x');
      const std::array<std::span<const std::byte>, 1> parts{std::as_bytes(std::span(text))};
      REQUIRE(file->write(at, parts));
      REQUIRE(file->sync());
      const auto mapped = MappedFile::open(path);
      REQUIRE(mapped);
      CHECK(text_of(*mapped).substr(at) == text + std::string(whole_pages(bytes) - bytes, '\0'));
      at += whole_pages(bytes);
    }
  }

  TEST_CASE("set_cached: what is written meanwhile stays in the page cache, and nothing else") {
    TestDirectory directory;
    const std::string path = directory.sub("file");
    auto file = DirectFile::open(path, true);
    REQUIRE(file);
    const std::array<std::byte, kPageBytes> page{};
    const std::array<std::span<const std::byte>, 1> parts{page};
    for (std::uint64_t at = 0; at < 6; ++at) {
      if (at % 2 == 0) file->set_cached(at % 4 != 0);
      REQUIRE(file->write(at * kPageBytes, parts));
    }
    REQUIRE(file->sync());
    CHECK(cached_pages(path) == (goes_past_cache(directory.path()) ? "..xx.." : "xxxxxx"));
  }

  TEST_CASE("truncate, and what is not there") {
    TestDirectory directory;
    const std::string path = directory.sub("file");
    CHECK(DirectFile::open(path, false).error().code == Errc::corrupt);
    CHECK(MappedFile::open(path).error().code == Errc::corrupt);
    auto file = DirectFile::open(path, true);
    REQUIRE(file);
    CHECK(MappedFile::open(path)->bytes().empty());
    const std::array<std::byte, 3 * kPageBytes> bytes{};
    const std::array<std::span<const std::byte>, 1> parts{bytes};
    REQUIRE(file->write(0, parts));
    REQUIRE(file->truncate(kPageBytes));
    CHECK(*file->size() == kPageBytes);
  }
}

}  // namespace stele::log
