#include "log/store/files/checkpoint.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>

#include "log/store/files/table_reads.h"
#include "log/store/redo.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

/// Parts that put one session each.
struct Bench {
  explicit Bench(std::uint64_t map_bytes = kTestMapBytes)
      : lmdb(*Lmdb::open(directory.path(), {.map_bytes = map_bytes, .sections = kTestTables})) {}
  void begin(std::uint64_t number, std::size_t bytes = 10, bool snapshot = false) {
    Redo redo;
    redo.put(Table::sessions, stored_key(1, key_of(number)), std::vector<std::byte>(bytes));
    CheckpointPart part;
    part.redo.assign(redo.bytes().begin(), redo.bytes().end());
    part.mark = {7, number, {}};
    part.numbers.state.next_lsn = {number};
    part.snapshot = snapshot;
    checkpoint.begin(std::move(part));
  }
  /// The number of the mark that LMDB has; 0 if there is none.
  [[nodiscard]] std::uint64_t marked() {
    auto txn = lmdb.begin(false);
    const auto sealed = txn->get(Table::meta, kJournalKey);
    return *sealed ? unseal_journal_mark(**sealed)->applied : 0;
  }

  TestDirectory directory;
  Lmdb lmdb;
  DiskReserve reserve{"", 0};
  Checkpoint checkpoint{[] { return false; }};
};

}  // namespace

TEST_SUITE("log.checkpoint") {
  TEST_CASE("begin, run, end: LMDB has the part and its mark in one commit") {
    Bench bench;
    CHECK_FALSE(bench.checkpoint.busy());
    CHECK_FALSE(bench.checkpoint.end(bench.lmdb)->has_value());
    bench.begin(5);
    CHECK(bench.checkpoint.busy());
    CHECK(bench.marked() == 0);
    REQUIRE(bench.checkpoint.run(bench.lmdb));
    CHECK_FALSE(bench.checkpoint.busy());
    CHECK(bench.checkpoint.written());
    CHECK(bench.marked() == 5);
    CHECK((*bench.lmdb.begin(false)->get(Table::sessions, stored_key(1, key_of(5))))->size() == 10);
    const auto numbers = bench.checkpoint.end(bench.lmdb);
    CHECK((*numbers)->state.next_lsn == Lsn{5});
    CHECK_FALSE(bench.checkpoint.written());
    CHECK_FALSE(bench.checkpoint.end(bench.lmdb)->has_value());  // It is told once.
  }

  TEST_CASE("end: writes what nobody has begun to write") {
    Bench bench;
    bench.begin(5);
    CHECK((*bench.checkpoint.end(bench.lmdb))->state.next_lsn == Lsn{5});
    CHECK(bench.marked() == 5);
    bench.begin(6);
    CHECK((*bench.checkpoint.end(bench.lmdb))->state.next_lsn == Lsn{6});
  }

  TEST_CASE("end: waits for another thread, whichever comes first") {
    Bench bench;
    for (std::uint64_t number = 1; number <= 50; ++number) {
      bench.begin(number, 10'000);
      std::thread other([&] { CHECK(bench.checkpoint.run(bench.lmdb)); });
      const auto numbers = bench.checkpoint.end(bench.lmdb);
      CHECK(bench.marked() == number);
      CHECK((*numbers)->state.next_lsn == Lsn{number});
      other.join();
    }
  }

  TEST_CASE("a snapshot sees what its part has left, whatever the next parts change") {
    Bench bench;
    std::vector<Lmdb::Txn> seen;
    bench.checkpoint.on_snapshot([&](Result<Lmdb::Txn> txn) { seen.push_back(*std::move(txn)); });
    for (std::uint64_t number = 1; number <= 3; ++number) {
      bench.begin(number, 10, number == 2);
      REQUIRE(bench.checkpoint.end(bench.lmdb));
    }
    REQUIRE(seen.size() == 1);
    const auto has = [&](std::uint64_t number) {
      return seen[0].get(Table::sessions, stored_key(1, key_of(number)))->has_value();
    };
    CHECK(has(1));
    CHECK(has(2));
    CHECK_FALSE(has(3));
    seen.clear();
  }

  TEST_CASE("a failure is told to the thread that runs it and the one that ends it, also later") {
    Bench bench(1 << 20);
    bench.begin(1, 2 << 20);  // More than there is room for.
    const auto run = bench.checkpoint.run(bench.lmdb);
    REQUIRE_FALSE(run.has_value());
    for (int i = 0; i < 2; ++i) {
      const auto ended = bench.checkpoint.end(bench.lmdb);
      REQUIRE_FALSE(ended.has_value());
      CHECK(ended.error().detail == run.error().detail);
    }
    CHECK(bench.marked() == 0);
  }
}

}  // namespace stele::log
