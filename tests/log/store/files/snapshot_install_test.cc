#include "log/store/files/snapshot_install.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/log/store/files/store_files_bench.h"
#include "tests/sim/disk/disk.h"

namespace stele::log {
namespace {

using namespace store_files_bench;

StateWrite state_at(std::uint64_t slot, std::size_t sessions) {
  StateWrite write;
  write.numbers.chosen_end = {slot};
  for (std::uint64_t i = 0; i < sessions; ++i) {
    write.rows.push_back({Table::sessions, key_of(i), std::vector<std::byte>(900)});
  }
  return write;
}

/// A store whose own state is that at slot 3, with a vote, and another node's snapshot at slot 600
/// beside it.
struct InstallBench : Bench {
  InstallBench() {
    for (const char* file : {"/data.mdb", "/journal"}) {
      watched.watch(directory.path() + file);
    }
    Transaction own = vote(300, 100);
    own.add(state_at(3, 5));
    own.identity.emplace().cluster_id = 7;
    commit(own, true);
    sim::Image image;
    image.identity.emplace().cluster_id = 7;
    image.numbers = state_at(600, 0).numbers;
    image.runs = {{1, {1, {2}, 3, 4, 5}}, {2, {2, {3}, 4, 5, 6}}};
    for (const Row& row : state_at(600, 2000).rows) {
      image.rows[{row.table, row.key}] = std::vector<std::byte>(1500, std::byte{1});
    }
    const sim::Snapshot snapshot = snapshot_of(image);
    auto receiver = SnapshotReceiver::begin(directory.path(), snapshot.manifest);
    REQUIRE(receiver);
    for (const auto& piece : snapshot.pieces) REQUIRE(receiver->add(piece));
    REQUIRE(receiver->finish());
  }
  Result<StagedState> stage() {
    const auto file = SnapshotFile::open(snapshot_path(directory.path(), {600}));
    REQUIRE(file);
    return stage_rows(files->lmdb(), kTestTables, *file, [] { return true; });
  }
  /// As far as the process gets.
  void install() {
    const auto staged = stage();
    if (!staged) return;
    Transaction transaction;
    CHECK(staged->rows.size() == 2000);
    transaction.add(staged->install);
    if (!files->commit(transaction, true)) return;
    static_cast<void>(erase_other_generations(files->lmdb(), kTestTables, [] { return true; }));
  }
  [[nodiscard]] bool has_vote(std::uint64_t slot) {
    auto txn = files->lmdb().begin(false);
    return txn->get(Table::slots, slot)->has_value();
  }
  /// The chosen_end of the state, and how many rows it has, all of which can be read.
  [[nodiscard]] std::pair<std::uint64_t, std::size_t> state() {
    auto txn = files->lmdb().begin(false);
    const auto rows = get_rows(*txn, kTestTables);
    REQUIRE(rows);
    return {files->readable().state.chosen_end.value, rows->size()};
  }

  sim::WatchedFiles watched;
};

}  // namespace

TEST_SUITE("log.snapshot_install") {
  // Invariant 13: one durable record.
  TEST_CASE("a crash at any write leaves the state of before or that of the snapshot, whole") {
    sim::Random random(7);
    int before = 0;
    int after = 0;
    bool done = false;
    for (std::uint64_t writes = 0; !done; ++writes) {
      REQUIRE(writes < 1000);
      CAPTURE(writes);
      InstallBench bench;
      bench.watched.die_after(writes);
      bench.install();
      // The next one has still happened if none was left out.
      done = bench.watched.lives();
      bench.files.reset();
      if (random.chance(50)) {
        bench.watched.lose_power(random);
      } else {
        bench.watched.lose_process();
      }
      bench.open();
      const auto [chosen_end, rows] = bench.state();
      const bool old = chosen_end == 3;
      CHECK(rows == (old ? 5 : 2000));
      CHECK((old || chosen_end == 600));
      CHECK(bench.has_vote(300));
      ++(old ? before : after);
      // What was staged in part is in nobody's way.
      if (!old) continue;
      bench.install();
      CHECK(bench.state() == std::pair<std::uint64_t, std::size_t>{600, 2000});
    }
    CHECK(before > 10);
    CHECK(after > 3);
  }

  TEST_CASE("rows of other generations are erased, and none of the state's") {
    InstallBench bench;
    REQUIRE(bench.stage());
    CHECK(bench.state().second == 5);
    REQUIRE(erase_other_generations(bench.files->lmdb(), kTestTables, [] { return true; }));
    CHECK(bench.state().second == 5);
    bench.install();
    CHECK(bench.state().second == 2000);
    auto txn = bench.files->lmdb().begin(false);
    Lmdb::Cursor cursor(*txn, Table::sessions);
    std::size_t rows = 0;
    for (bool found = cursor.first(); found; found = cursor.next()) ++rows;
    CHECK(rows == 2000);
    CHECK(bench.files->readable().holding.generation == 2);
  }

  TEST_CASE("a node that stops leaves off between two transactions") {
    InstallBench bench;
    const auto file = SnapshotFile::open(snapshot_path(bench.directory.path(), {600}));
    const auto staged = stage_rows(bench.files->lmdb(), kTestTables, *file, [] { return false; });
    REQUIRE_FALSE(staged);
    CHECK(staged.error().code == Errc::shutting_down);
    CHECK(bench.state() == std::pair<std::uint64_t, std::size_t>{3, 5});
  }

  TEST_CASE("a row of a table that this program does not know is not left out") {
    InstallBench bench;
    const auto file = SnapshotFile::open(snapshot_path(bench.directory.path(), {600}));
    const auto staged = stage_rows(bench.files->lmdb(), {}, *file, [] { return true; });
    REQUIRE_FALSE(staged);
    CHECK(staged.error().code == Errc::newer_format);
  }
}

}  // namespace stele::log
