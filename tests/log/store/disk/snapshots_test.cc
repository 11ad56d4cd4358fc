#include "log/store/disk/snapshots.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "log/format/record.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

/// A state of a few sessions in the tables, and the snapshots beside it.
struct Bench {
  explicit Bench(int sessions = 3)
      : lmdb(*Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables})) {
    Identity identity;
    identity.cluster_id = 7;
    auto txn = lmdb.begin(true);
    REQUIRE(txn->put(Table::meta, kIdentityKey, seal_identity(identity)));
    for (int i = 0; i < sessions; ++i) {
      const auto key = stored_key(1, key_of(static_cast<std::uint64_t>(i)));
      // Of another generation, beside it: it does not count.
      const auto other = stored_key(2, key_of(static_cast<std::uint64_t>(i)));
      const std::vector<std::byte> bytes(5000, std::byte{1});
      REQUIRE(txn->put(Table::sessions, key, seal(Table::sessions, key, bytes)));
      REQUIRE(txn->put(Table::sessions, other, seal(Table::sessions, other, bytes)));
    }
    REQUIRE(txn->commit());
  }
  Result<SnapshotInfo> take(std::uint64_t slot, const HasRoom& has_room = yes) {
    StoredNumbers numbers;
    numbers.state.chosen_end = {slot};
    auto txn = lmdb.begin(true);
    REQUIRE(txn->put(Table::meta, kNumbersKey, seal_numbers(numbers)));
    REQUIRE(txn->commit());
    REQUIRE(snapshots.begin());
    return snapshots.take(*lmdb.begin(false), has_room);
  }
  [[nodiscard]] std::string path(std::uint64_t slot) const {
    return snapshot_path(directory.path(), {slot});
  }
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator(snapshots_directory(directory.path()))) {
      static_cast<void>(entry);
      ++count;
    }
    return count;
  }
  static bool yes(std::uint64_t) { return true; }

  TestDirectory directory;
  Lmdb lmdb;
  Snapshots snapshots{directory.path(), kTestTables, false};
};

void flip(const std::string& path, std::uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get() ^ 0x20);
  file.seekp(static_cast<std::streamoff>(at));
  file.put(byte);
}

Result<std::size_t> rows_of(const std::string& path) {
  const auto file = SnapshotFile::open(path);
  if (!file) return forward(file);
  std::size_t rows = 0;
  auto read = file->for_each_row([&](Row&&) -> Result<void> {
    ++rows;
    return {};
  });
  if (!read) return forward(read);
  return rows;
}

}  // namespace

TEST_SUITE("log.snapshots") {
  TEST_CASE("what is taken is read back, and the last two stay") {
    Bench bench;
    for (const std::uint64_t slot : {10U, 20U, 30U}) {
      const auto taken = bench.take(slot);
      REQUIRE(taken);
      CHECK(taken->slot == Slot{slot});
      CHECK(taken->bytes == std::filesystem::file_size(bench.path(slot)));
    }
    CHECK(list_snapshots(bench.directory.path()) == std::vector<Slot>{{20}, {30}});
    CHECK(rows_of(bench.path(30)).value() == 4);  // The numbers, and the sessions.
    CHECK(bench.snapshots.bytes() == 2 * std::filesystem::file_size(bench.path(30)));
    const Snapshots again(bench.directory.path(), kTestTables, false);
    CHECK(again.kept().back().slot == Slot{30});
    CHECK(again.kept().back().digest == SnapshotFile::open(bench.path(30))->manifest().digest());
    CHECK(again.why_removed().empty());
  }

  TEST_CASE("a damaged or shortened file is noticed, wherever it is") {
    Bench bench(60);  // More than one piece.
    REQUIRE(bench.take(10));
    const std::uint64_t size = std::filesystem::file_size(bench.path(10));
    CHECK(SnapshotFile::open(bench.path(10))->manifest().pieces.size() == 2);
    for (std::uint64_t at = 0; at < size; at += at < 200 || at + 200 > size ? 1 : 997) {
      CAPTURE(at);
      flip(bench.path(10), at);
      const auto read = rows_of(bench.path(10));
      REQUIRE_FALSE(read);
      CHECK(read.error().detail.find("snapshots/10") != std::string::npos);
      flip(bench.path(10), at);
    }
    CHECK(rows_of(bench.path(10)));
    for (const std::uint64_t cut :
         {std::uint64_t{1}, std::uint64_t{31}, std::uint64_t{500}, size}) {
      std::filesystem::copy_file(bench.path(10), bench.path(11));
      std::filesystem::resize_file(bench.path(11), size - cut);
      CHECK_FALSE(rows_of(bench.path(11)));
      std::filesystem::remove(bench.path(11));
    }
    std::ofstream(bench.path(10), std::ios::app) << "more";
    CHECK_FALSE(rows_of(bench.path(10)));
  }

  TEST_CASE("a start removes what is damaged or not finished, and says so") {
    Bench bench;
    REQUIRE(bench.take(10));
    REQUIRE(bench.take(20));
    flip(bench.path(20), 3);
    std::ofstream(snapshots_directory(bench.directory.path()) + "/unfinished") << "some bytes";
    {
      const Snapshots again(bench.directory.path(), kTestTables, false);
      CHECK(again.kept().back().slot == Slot{10});
      CHECK(again.why_removed().find("snapshots/20 is no snapshot") != std::string::npos);
      CHECK(bench.files() == 1);
    }
    std::filesystem::rename(bench.path(10), bench.path(11));  // Not that of its name.
    const Snapshots again(bench.directory.path(), kTestTables, false);
    CHECK(again.kept().empty());
    CHECK(again.why_removed().find("another slot") != std::string::npos);
  }

  TEST_CASE("without room it is given up, and nothing is left of it") {
    Bench bench(60);
    REQUIRE(bench.take(10));
    int asked = 0;
    const auto taken = bench.take(20, [&](std::uint64_t) { return ++asked < 3; });
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::no_space);
    CHECK(bench.files() == 1);
    CHECK(bench.snapshots.kept().back().slot == Slot{10});
    CHECK(bench.take(30));  // The next one is taken.
  }

  TEST_CASE("one at a time; a node that stops gives up the one that it is taking") {
    Bench bench(60);
    REQUIRE(bench.snapshots.begin());
    CHECK_FALSE(bench.snapshots.begin());
    CHECK_FALSE(bench.snapshots.give_up({Errc::io, "why"}));
    Snapshots paced(bench.directory.path(), kTestTables, true);
    paced.stop();
    REQUIRE(paced.begin());
    const auto taken = paced.take(*bench.lmdb.begin(false), Bench::yes);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().code == Errc::shutting_down);
    CHECK(bench.files() == 0);
  }
}

}  // namespace stele::log
