#include "log/store/files/table_reads.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "log/store/files/store_files.h"
#include "tests/support/directory.h"
#include "tests/support/nodes.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::SlotRecord;

/// Slots whose values lie in the tables (small) or in segments for two or three of them (large).
struct Bench {
  Bench() { open(); }
  void open() {
    files.reset();
    auto opened = StoreFiles::open(directory.path(), {.map_bytes = kTestMapBytes,
                                                      .sections = kTestTables,
                                                      .small_bytes_max = 1000,
                                                      .values = {.segment_bytes = 12'000}});
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    files.emplace(*std::move(opened));
  }
  void vote(std::uint64_t slot, std::size_t bytes) {
    const SlotRecord record = paxos::record(slot, {1, kN1}, std::string(bytes, 'a'));
    Transaction transaction;
    transaction.add({paxos::WriteAccepted{record}});
    REQUIRE(files->commit(transaction, true));
    written.push_back(record);
  }
  [[nodiscard]] SlotsRead read(std::size_t bytes_max, Slot begin = {1}, Slot end = {1000}) {
    auto txn = files->lmdb().begin(false);
    auto found = get_records(*txn, files->values(), begin, end, bytes_max);
    REQUIRE(found);
    return *std::move(found);
  }

  TestDirectory directory;
  std::optional<StoreFiles> files;
  std::vector<SlotRecord> written;
};

}  // namespace

TEST_SUITE("log.table_reads") {
  TEST_CASE("get_records: small and large values, in the order of the slots") {
    Bench bench;
    for (const std::uint64_t slot : {3UL, 1UL, 2UL, 7UL, 5UL, 4UL, 6UL}) {
      bench.vote(slot, slot % 3 == 0 ? 10 : 5000 + slot);
    }
    std::sort(bench.written.begin(), bench.written.end(),
              [](const SlotRecord& a, const SlotRecord& b) { return a.slot < b.slot; });
    const SlotsRead all = bench.read(1 << 20);
    CHECK(all.records == bench.written);
    CHECK(all.last);
    CHECK_FALSE(all.faulty);
    const SlotsRead some = bench.read(1 << 20, {2}, {5});
    CHECK(some.records == std::vector(bench.written.begin() + 1, bench.written.begin() + 4));
    CHECK_FALSE(some.last);
  }

  TEST_CASE("get_records: as many as fit, and one at least") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 5; ++slot) bench.vote(slot, 5000);
    CHECK(bench.read(1).records.size() == 1);
    CHECK(bench.read(11'000).records.size() == 2);
    CHECK_FALSE(bench.read(11'000).last);
  }

  TEST_CASE("get_records: ends before a value that is not what it was") {
    for (const bool missing : {false, true}) {
      Bench bench;
      for (std::uint64_t slot = 1; slot <= 5; ++slot) bench.vote(slot, 5000);
      REQUIRE(bench.read(1 << 20).records.size() == 5);
      // The second of two values in the first segment, or a whole one.
      const std::string segment = segment_path(bench.directory.path(), missing ? 2 : 1);
      if (missing) {
        bench.open();  // Descriptors of what is gone would still serve.
        std::filesystem::remove(segment);
      } else {
        std::fstream(segment, std::ios::in | std::ios::out | std::ios::binary)
            .seekp(2 * kPageBytes + 100)
            .put('!');
      }
      const SlotsRead found = bench.read(1 << 20);
      const std::uint64_t faulty = missing ? 3 : 2;
      CHECK(found.faulty == Slot{faulty});
      CHECK(found.records.size() == faulty - 1);
      CHECK_FALSE(found.last);
    }
  }

  TEST_CASE("get_numbers: the defaults in an empty store") {
    Bench bench;
    auto txn = bench.files->lmdb().begin(false);
    CHECK(get_numbers(*txn)->state.next_lsn == Lsn{1});
  }

  // A rotten row must not end a node that has all the others.
  TEST_CASE("find_run: a row that cannot be read is passed over, for an earlier one") {
    Bench bench;
    {
      auto txn = bench.files->lmdb().begin(true);
      for (std::uint64_t run = 1; run <= 20; ++run) {
        auto row = seal_run_row({run, {run * 10}, 0, 0, 0});
        if (run == 4 || (run >= 7 && run <= 9) || run == 20) row.back() ^= std::byte{1};
        REQUIRE(txn->put(Table::runs, run, row));
      }
      REQUIRE(txn->commit());
    }
    auto txn = bench.files->lmdb().begin(false);
    const std::vector<std::uint64_t> expected{0,  1,  2,  3,  3,  5,  6,  6,  6,  6, 10,
                                              11, 12, 13, 14, 15, 16, 17, 18, 19, 19};
    for (std::uint64_t last = 0; last <= 20; ++last) {
      CAPTURE(last);
      const auto found = find_run(*txn, [last](const RunRow& row) { return row.number <= last; });
      REQUIRE(found);
      CHECK((*found ? (*found)->number : 0) == expected[last]);
    }
  }
}

}  // namespace stele::log
