#include "log/store/files/journal.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "log/store/files/journal_record.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kId = 77;
constexpr std::uint64_t kBytes = 16 * kPageBytes;  // Two halves of eight pages.

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// A journal in a directory of its own, closed and opened again as often as one likes.
struct Bench {
  Bench() {
    auto made = Journal::create(path, kId, kBytes);
    REQUIRE(made);
    journal.emplace(*std::move(made));
  }
  void append(std::uint64_t number, const std::string& text) {
    REQUIRE(journal->append({number, number - 1}, bytes_of(text)));
  }
  /// After a restart: the records after `applied`, by number.
  [[nodiscard]] std::vector<std::string> found(std::uint64_t applied = 0) {
    journal.reset();
    REQUIRE(Journal::open(path, kId));
    const auto file = MappedFile::open(path);
    std::vector<FoundRecord> records;
    find_records(file->bytes().subspan(kPageBytes), 0, kPageBytes, kId, applied, records);
    std::ranges::sort(records, {}, &FoundRecord::number);
    std::vector<std::string> texts;
    for (const FoundRecord& record : records) {
      texts.emplace_back(reinterpret_cast<const char*>(record.redo.data()), record.redo.size());
    }
    return texts;
  }
  /// One bit in page `page`, at `at`.
  void flip(std::size_t page, std::size_t at) const {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(page * kPageBytes + at));
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(static_cast<std::streamoff>(page * kPageBytes + at));
    file.put(byte);
  }

  TestDirectory directory;
  std::string path = directory.sub("journal");
  std::optional<Journal> journal;
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_SUITE("log.journal") {
  TEST_CASE("a new one holds nothing") {
    Bench bench;
    CHECK(bench.found().empty());
  }

  TEST_CASE("records come back in order, of any size, empty ones too; applied ones do not") {
    Bench bench;
    const std::string large(2 * kPageBytes, 'b');
    bench.append(1, "a");
    bench.append(2, large);
    bench.append(3, "");
    CHECK(bench.found() == Texts{"a", large, ""});
    CHECK(bench.found(1) == Texts{large, ""});
    CHECK(bench.found(3).empty());
  }

  TEST_CASE("fits: exactly as many pages as a half has, whichever half") {
    Bench bench;
    for (std::uint64_t number = 1; number <= 3; number += 2) {
      CHECK(bench.journal->fits(8 * kPageBytes - kRecordHeadBytes));
      CHECK_FALSE(bench.journal->fits(8 * kPageBytes - 31));
      bench.append(number, std::string(7 * kPageBytes - kRecordHeadBytes, 'a'));
      CHECK(bench.journal->fits(kPageBytes - kRecordHeadBytes));
      bench.append(number + 1, std::string(kPageBytes - kRecordHeadBytes, 'b'));
      CHECK_FALSE(bench.journal->fits(0));
      bench.journal->turn();
    }
    CHECK(bench.found().size() == 4);
  }

  TEST_CASE("turn: the other half is written, and this one stays until the next turn") {
    Bench bench;
    for (std::uint64_t number = 1; number <= 5; ++number) bench.append(number, "old");
    bench.journal->turn();
    bench.append(6, "new");
    bench.append(7, "newer");
    CHECK(bench.found(5) == Texts{"new", "newer"});
    CHECK(bench.found(3) == Texts{"old", "old", "new", "newer"});
    bench.journal.emplace(*Journal::open(bench.path, kId));
    bench.append(8, "first half");
    bench.append(9, "again");
    CHECK(bench.found(5) == Texts{"new", "newer", "first half", "again"});
    CHECK(bench.found(2) == Texts{"old", "old", "old", "new", "newer", "first half", "again"});
  }

  TEST_CASE("an odd number of pages: one half has one more") {
    TestDirectory directory;
    auto journal = Journal::create(directory.sub("journal"), kId, 3 * kPageBytes);
    REQUIRE(journal);
    CHECK_FALSE(journal->fits(kPageBytes));
    journal->turn();
    CHECK(journal->fits(kPageBytes));
    CHECK_FALSE(journal->fits(2 * kPageBytes));
  }

  TEST_CASE("a torn last record is none") {
    Bench bench;
    bench.append(1, "a");
    bench.append(2, std::string(2 * kPageBytes, 'b'));
    bench.flip(4, 10);  // Its last page.
    CHECK(bench.found() == Texts{"a"});
  }

  TEST_CASE("a damaged record is none, wherever it is damaged; those after it are found") {
    for (const std::size_t at : {0UL, 9UL, 17UL, 25UL, 33UL}) {  // Checksum, sizes, content.
      Bench bench;
      bench.append(1, "a");
      bench.append(2, "bbbb");
      bench.append(3, "c");
      bench.flip(2, at);
      CHECK(bench.found() == Texts{"a", "c"});
    }
  }

  TEST_CASE("open: missing, damaged in its head, or another store's") {
    Bench bench;
    bench.append(1, "a");
    CHECK(Journal::open(bench.path, kId + 1).error().code == Errc::corrupt);
    bench.flip(0, 9);
    CHECK(Journal::open(bench.path, kId).error().code == Errc::corrupt);
    CHECK(Journal::open(bench.directory.sub("none"), kId).error().code == Errc::corrupt);
    bench.flip(0, 9);
    REQUIRE(Journal::open(bench.path, kId));
    const auto whole = std::filesystem::file_size(bench.path);
    for (const std::uint64_t bytes : {whole - 1, whole / 2, std::uint64_t{kPageBytes}}) {
      std::filesystem::resize_file(bench.path, bytes);
      const auto cut = Journal::open(bench.path, kId);
      REQUIRE_FALSE(cut);
      CHECK(cut.error().detail.find("was cut off") != std::string::npos);
    }
    std::ofstream(bench.path, std::ios::trunc) << "short";
    CHECK(Journal::open(bench.path, kId).error().code == Errc::corrupt);
  }

  TEST_CASE("a record that was copied from another journal does not count") {
    Bench bench;
    Bench other;
    other.append(1, "theirs");
    auto third = Journal::create(bench.path, kId + 1, kBytes);
    REQUIRE(third->append({1, 0}, bytes_of("foreign")));
    std::string page(kPageBytes, '\0');
    std::ifstream(bench.path).seekg(kPageBytes).read(page.data(), kPageBytes);
    std::fstream target(other.path, std::ios::in | std::ios::out | std::ios::binary);
    target.seekp(2 * kPageBytes).write(page.data(), kPageBytes);
    target.close();
    CHECK(other.found() == Texts{"theirs"});
  }
}

}  // namespace stele::log
