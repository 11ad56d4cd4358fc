#include "log/store/files/value_log.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "log/store/files/journal_record.h"
#include "tests/support/cached_pages.h"
#include "tests/support/directory.h"
#include "tests/support/nodes.h"

namespace stele::log {
namespace {

std::string text_of(const Slice& slice) {
  return {reinterpret_cast<const char*>(slice.bytes.data()), slice.bytes.size()};
}

/// A log whose segments have room for two or three values.
struct Bench {
  Bench() : log(open({})) {}
  [[nodiscard]] ValueLog open(ValuePlace end) const {
    auto opened =
        ValueLog::open(directory.path(), 7, end,
                       {.segment_bytes = 3 * kPageBytes, .cached_bytes_max = 4 * kPageBytes});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    return *std::move(opened);
  }
  /// Where it lies.
  ValuePlace append(const std::string& text) {
    const auto place = log.begin();
    REQUIRE(place);
    REQUIRE(log.append({++number}, std::vector{paxos::value(text)}, {}));
    return *place;
  }

  TestDirectory directory;
  ValueLog log;
  ValueReader reader{directory.path()};
  std::uint64_t number = 0;
};

}  // namespace

TEST_SUITE("log.value_log") {
  TEST_CASE("read: what was appended, from all segments") {
    Bench bench;
    std::vector<ValuePlace> places;
    for (char c = 'a'; c <= 'z'; ++c) places.push_back(bench.append(std::string(5000, c)));
    CHECK(places.back().segment > 10);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const std::string expected(5000, static_cast<char>('a' + i));
      const auto found = bench.reader.read(places[i], 5000);
      REQUIRE(found);
      CHECK(text_of(*found) == expected);
      const auto stretch = bench.reader.read_stretch(places[i], 5000);
      REQUIRE(stretch);
      REQUIRE(stretch->find(places[i], 5000));
      CHECK(text_of(*stretch->find(places[i], 5000)) == expected);
    }
  }

  TEST_CASE("read_stretch: neighbours come with it, and what is outside is not found") {
    Bench bench;
    const ValuePlace first = bench.append("first");
    const ValuePlace second = bench.append("second");
    const ValuePlace third = bench.append(std::string(5000, 'x'));
    REQUIRE(third.segment == 1);
    const auto stretch = bench.reader.read_stretch(first, second.offset + 6 - first.offset);
    REQUIRE(stretch);
    CHECK(text_of(*stretch->find(first, 5)) == "first");
    CHECK(text_of(*stretch->find(second, 6)) == "second");
    CHECK_FALSE(stretch->find(third, 5000));
    CHECK_FALSE(stretch->find(second, kPageBytes));
    CHECK_FALSE(stretch->find({1, UINT64_MAX}, 2));
    CHECK_FALSE(stretch->find({2, first.offset}, 5));
    CHECK_FALSE(bench.reader.read_stretch(second, 5)->find(first, 5));
    CHECK_FALSE(ValueStretch{}.find({}, 1));
  }

  TEST_CASE("keep_cached: up to a bound, which begins anew when it is wished for again") {
    Bench bench;
    const auto append = [&] { return bench.append(std::string(5000, 'v')); };
    append();
    bench.log.keep_cached(true);
    for (int i = 0; i < 4; ++i) append();
    CHECK_FALSE(bench.log.cached());
    bench.log.keep_cached(false);
    append();
    bench.log.keep_cached(true);
    append();
    CHECK(bench.log.cached());
    std::string cached;
    for (std::uint32_t segment = 1; segment <= bench.log.end().segment; ++segment) {
      cached += cached_pages(segment_path(bench.directory.path(), segment));
    }
    // Two pages a record; the bound is four.
    const bool past = goes_past_cache(bench.directory.path());
    CHECK(cached == (past ? "..xxxx......xx" : std::string(14, 'x')));
  }

  TEST_CASE("add_cached: read_stretch reads the page cache there, and past it elsewhere") {
    Bench bench;
    if (!knows_nowait_reads(bench.directory.path())) return;
    bench.log.keep_cached(true);
    const ValuePlace first = bench.append(std::string(5000, 'a'));
    const ValuePlace first_end = bench.log.end();
    const ValuePlace second = bench.append(std::string(5000, 'b'));
    const auto read = [&](ValuePlace place, std::uint64_t count) {
      const auto stretch = bench.reader.read_stretch(place, count);
      REQUIRE(stretch);
      CHECK(text_of(*stretch->find(place, 5000)) == std::string(5000, place == first ? 'a' : 'b'));
      return bench.reader.cached_reads();
    };
    CHECK(read(second, 5000) == 0);
    bench.reader.add_cached(second, bench.log.end());
    CHECK(read(second, 5000) == 1);
    CHECK(read(first, 5000) == 1);
    CHECK(read(first, 2 * kPageBytes + 5000) == 1);
    bench.reader.add_cached(first, first_end);
    CHECK(read(first, 5000) == 2);
  }

  TEST_CASE("add_cached: neighbours are one range, and of too many the oldest is forgotten") {
    Bench bench;
    if (!knows_nowait_reads(bench.directory.path())) return;
    bench.log.keep_cached(true);
    const ValuePlace first = bench.append("first");
    const ValuePlace second = bench.append("second");
    const auto add_both = [&] {
      bench.reader.add_cached(first, {1, kPageBytes});
      bench.reader.add_cached(second, {1, 2 * kPageBytes});
    };
    const auto read_both = [&] {
      CHECK(bench.reader.read_stretch(first, second.offset + 6 - first.offset));
      return bench.reader.cached_reads();
    };
    add_both();
    CHECK(read_both() == 1);
    for (std::uint32_t segment = 2; segment <= 1 + ValueReader::kCachedMax; ++segment) {
      bench.reader.add_cached({segment, kRecordHeadBytes}, {segment, kPageBytes});
    }
    CHECK(read_both() == 1);
    add_both();
    CHECK(read_both() == 2);
  }

  TEST_CASE("add_cached: what the system has dropped since comes from the disk") {
    Bench bench;
    if (!knows_nowait_reads(bench.directory.path())) return;
    if (!goes_past_cache(bench.directory.path())) return;
    bench.log.keep_cached(true);
    const std::string text = std::string(5000, 'a') + std::string(5000, 'b');
    const ValuePlace place = bench.append(text);
    bench.reader.add_cached(place, bench.log.end());
    const std::string path = segment_path(bench.directory.path(), 1);
    const auto read = [&] {
      const auto stretch = bench.reader.read_stretch(place, text.size());
      REQUIRE(stretch);
      CHECK(text_of(*stretch->find(place, text.size())) == text);
    };
    drop_cached(path, 2);
    REQUIRE(cached_pages(path).front() == 'x');
    read();
    CHECK(bench.reader.cached_reads() == 1);  // A part of it.
    drop_cached(path);
    read();
  }

  TEST_CASE("add_cached: what was not there many times in a row is forgotten") {
    Bench bench;
    if (!knows_nowait_reads(bench.directory.path())) return;
    bench.log.keep_cached(true);
    bench.append("first");
    // After the file's end nothing is there for sure. (A read of what was dropped begins to fetch
    // it, and may find it.)
    const ValuePlace second{1, kPageBytes + kRecordHeadBytes};
    const ValuePlace third{1, 2 * kPageBytes + kRecordHeadBytes};
    const auto misses = [&](ValuePlace place, int times) {
      for (int i = 0; i < times; ++i) CHECK_FALSE(bench.reader.read_stretch(place, 5));
    };
    bench.reader.add_cached(second, {1, 2 * kPageBytes});
    misses(second, ValueReader::kMissesMax - 1);
    REQUIRE(bench.append("second") == second);
    CHECK(bench.reader.read_stretch(second, 6));
    CHECK(bench.reader.cached_reads() == 1);
    bench.reader.add_cached(third, {1, 3 * kPageBytes});
    misses(third, ValueReader::kMissesMax);
    REQUIRE(bench.append("third") == third);
    CHECK(bench.reader.read_stretch(third, 5));
    CHECK(bench.reader.cached_reads() == 1);
  }

  TEST_CASE("a reader that does not believe the page cache reads the same, and caches nothing") {
    Bench bench;
    if (!goes_past_cache(bench.directory.path())) return;
    const ValuePlace place = bench.append(std::string(5000, 'a'));
    ValueReader reader(bench.directory.path(), false);
    const auto bytes = reader.read(place, 5000);
    REQUIRE(bytes);
    CHECK(text_of(*bytes) == std::string(5000, 'a'));
    CHECK(cached_pages(segment_path(bench.directory.path(), 1)) == "..");
    CHECK(reader.read({9, 32}, 4).error().code == Errc::corrupt);
  }

  TEST_CASE("what is not there is corrupt, and names the file") {
    Bench bench;
    const ValuePlace place = bench.append("text");
    for (const ValuePlace nowhere : {ValuePlace{9, 32}, ValuePlace{1, 1 << 20}}) {
      const auto read = bench.reader.read(nowhere, 4);
      const auto stretch = bench.reader.read_stretch(nowhere, 4);
      REQUIRE_FALSE(read.has_value());
      REQUIRE_FALSE(stretch.has_value());
      CHECK(read.error().code == Errc::corrupt);
      CHECK(stretch.error().code == Errc::corrupt);
      const std::string file = "values/" + std::to_string(nowhere.segment);
      CHECK(read.error().detail.find(file) != std::string::npos);
    }
    CHECK(bench.reader.read(place, 4));
  }

  TEST_CASE("open: what lies after the end is cut off, and what lacks is corrupt") {
    Bench bench;
    bench.append("kept");
    const ValuePlace end = bench.log.end();
    const ValuePlace lost = bench.append("lost");
    bench.log = bench.open(end);
    CHECK(bench.log.size() == end.offset);
    CHECK_FALSE(bench.reader.read(lost, 4));
    CHECK(bench.append("next") == lost);
    const auto opened = ValueLog::open(bench.directory.path(), 7, {1, 1 << 20}, {});
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::corrupt);
  }
}

}  // namespace stele::log
