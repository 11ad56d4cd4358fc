// What every store promises of snapshots: those that it takes, and those that it gets.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "log/store/files/snapshot_file.h"
#include "tests/log/store/store_benches.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::record;

const Identity kIdentity{"stele", 9, kN2, 77, {{kN1, 5}, {kN2, 77}}, 2, 1};

/// The state after the slots below `slot`: one session that changes, and one for each of them.
StateWrite state_at(std::uint64_t slot) {
  StateWrite write;
  write.numbers.chosen_end = {slot};
  write.numbers.next_lsn = {slot};
  write.numbers.run_digest = slot * 7;
  write.rows.push_back({Table::sessions, key_of(1000), std::vector<std::byte>(slot)});
  write.rows.push_back({Table::sessions, key_of(slot), std::vector<std::byte>(3)});
  return write;
}

/// Another node's snapshot at slot 400, of several pieces, with a run.
sim::Snapshot sample(std::size_t session_bytes = 200'000) {
  sim::Image image;
  image.identity = kIdentity;
  image.numbers = state_at(400).numbers;
  image.numbers.hash = 77;
  image.runs = {{1, {1, {256}, 4, 5, 6}}};
  for (std::uint64_t i = 400; i < 404; ++i) {
    image.rows[{Table::sessions, key_of(i)}] = std::vector<std::byte>(session_bytes, std::byte(9));
  }
  return snapshot_of(image);
}

/// Another node's, of an empty state at that slot.
sim::Snapshot small_one(std::uint64_t slot) {
  sim::Image image;
  image.identity = kIdentity;
  image.numbers = state_at(slot).numbers;
  return snapshot_of(image);
}

/// How many pieces are there, or nothing if that cannot be told.
std::optional<std::size_t> begin_fetch(StoreBench& bench, const sim::Snapshot& snapshot) {
  std::optional<Result<std::size_t>> told;
  bench.store->begin_fetch(snapshot.manifest, [&](Result<std::size_t> done) { told = done; });
  REQUIRE(bench.run_until([&] { return told.has_value(); }));
  return *told ? std::optional(**told) : std::nullopt;
}

Result<void> add(StoreBench& bench, const std::vector<std::byte>& piece) {
  std::optional<Result<void>> told;
  bench.store->add_piece(piece, [&](const Result<void>& done) { told = done; });
  REQUIRE(bench.run_until([&] { return told.has_value(); }));
  return *told;
}

void fetch(StoreBench& bench, const sim::Snapshot& snapshot) {
  REQUIRE(begin_fetch(bench, snapshot) == 0);
  for (const auto& piece : snapshot.pieces) REQUIRE(add(bench, piece));
}

Result<void> install(StoreBench& bench, Slot slot, const Result<void>& sound = {}) {
  std::optional<Result<void>> told;
  const auto check = [&](const StateNumbers& numbers, const std::vector<Row>& rows) {
    CHECK(numbers.chosen_end == slot);
    CHECK(rows.size() == 4);
    return sound;
  };
  bench.store->install(slot, check, [&](const Result<void>& done) { told = done; });
  REQUIRE(bench.run_until([&] { return told.has_value(); }));
  return *told;
}

std::vector<std::byte> part_of(StoreBench& bench, const SnapshotInfo& snapshot, std::size_t part) {
  std::optional<std::vector<std::byte>> read;
  bench.store->read_snapshot(snapshot.slot, snapshot.digest, part,
                             [&](std::vector<std::byte> bytes) { read = std::move(bytes); });
  REQUIRE(bench.run_until([&] { return read.has_value(); }));
  return *read;
}

/// Rows of sessions, by their numbers, with their lengths.
std::vector<std::pair<std::uint64_t, std::size_t>> rows_of(const StoreContent& content) {
  std::vector<std::pair<std::uint64_t, std::size_t>> rows;
  for (const Row& row : content.rows) rows.emplace_back(number_of(row.key), row.bytes.size());
  return rows;
}

}  // namespace

TEST_SUITE("log.store.snapshots") {
  // Invariant 13. The state after it is queued before anything is committed.
  TEST_CASE_TEMPLATE("a snapshot is of the state at its slot, and not of what follows", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench(false);
    bench.be(kIdentity);
    CHECK_FALSE(bench.store->snapshots().newest());
    for (std::uint64_t slot = 2; slot <= 7; ++slot) {
      StateWrite write = state_at(slot);
      write.snapshot = slot == 5;
      bench.store->write_state(std::move(write));
    }
    bench.store->flush();
    REQUIRE(bench.run_until([&] { return bench.store->snapshots().taken == 1; }));
    const SnapshotInfo taken = *bench.store->snapshots().newest();
    CHECK(taken.slot == Slot{5});
    sim::Image image;
    image.identity = bench.store->identity();
    for (std::uint64_t slot = 2; slot <= 5; ++slot) {
      const StateWrite write = state_at(slot);
      image.numbers = write.numbers;
      for (const Row& row : write.rows) image.rows[{row.table, row.key}] = row.bytes;
    }
    CHECK(taken.digest == snapshot_of(image).info.digest);
    REQUIRE(bench.run_until([&] { return bench.store->backlog_bytes() == 0; }));
    bench.restart();
    REQUIRE(bench.store->snapshots().newest());
    CHECK(bench.store->snapshots().newest()->digest == taken.digest);
    CHECK(bench.content.numbers.chosen_end == Slot{7});
  }

  TEST_CASE_TEMPLATE("a snapshot is fetched piece by piece, goes on after a restart, and is served",
                     Bench, LmdbBench, MemoryBench) {
    Bench bench;
    const sim::Snapshot snapshot = sample();
    REQUIRE(snapshot.pieces.size() == 4);
    CHECK(begin_fetch(bench, snapshot) == 0);
    REQUIRE(add(bench, snapshot.pieces[0]));
    CHECK_FALSE(add(bench, snapshot.pieces[2]));  // Not its turn.
    REQUIRE(add(bench, snapshot.pieces[1]));
    CHECK_FALSE(bench.store->snapshots().newest());
    bench.restart();
    CHECK(begin_fetch(bench, snapshot) == 2);
    REQUIRE(add(bench, snapshot.pieces[2]));
    auto damaged = snapshot.pieces[3];
    damaged.back() ^= std::byte{1};
    CHECK_FALSE(add(bench, damaged));
    REQUIRE(add(bench, snapshot.pieces[3]));
    CHECK_FALSE(add(bench, snapshot.pieces[3]));
    const SnapshotInfo got = bench.store->snapshots().newest().value();
    CHECK(got.slot == Slot{400});
    CHECK(got.digest == snapshot.info.digest);
    std::vector<std::byte> ends = encode_head(snapshot.manifest.head);
    const std::vector<std::byte> tail = encode_tail(snapshot.manifest);
    ends.insert(ends.end(), tail.begin(), tail.end());
    CHECK(part_of(bench, got, 0) == ends);
    for (std::size_t i = 0; i < 4; ++i) CHECK(part_of(bench, got, i + 1) == snapshot.pieces[i]);
    CHECK(part_of(bench, got, 5).empty());
    SnapshotInfo other = got;
    ++other.digest;
    CHECK(part_of(bench, other, 1).empty());
    bench.restart();
    CHECK(bench.store->snapshots().newest()->digest == got.digest);
  }

  TEST_CASE_TEMPLATE("another snapshot begins from the front, and what was fetched is gone", Bench,
                     LmdbBench, MemoryBench) {
    Bench bench;
    CHECK(begin_fetch(bench, sample()) == 0);
    REQUIRE(add(bench, sample().pieces[0]));
    CHECK(begin_fetch(bench, sample(200'001)) == 0);
    REQUIRE(add(bench, sample(200'001).pieces[0]));
    CHECK(begin_fetch(bench, sample()) == 0);
  }

  // Invariant 13.
  TEST_CASE_TEMPLATE("install: the state is another one at once; promise and votes stay", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote({record(1, {3, kN1}, "a"), record(2, {3, kN1}, "b"), record(300, {5, kN1}, "c"),
                record(399, {5, kN1}, "d"), record(400, {6, kN2}, "e"),
                record(500, {7, kN1}, "f")});
    StateWrite own = state_at(3);
    own.index = {{{1}, {1}, 1, {}}};
    bench.state(std::move(own));
    fetch(bench, sample());
    REQUIRE(install(bench, {400}));
    const auto check = [&] {
      CHECK(bench.content.numbers.chosen_end == Slot{400});
      CHECK(bench.content.numbers.hash == 77);
      CHECK(bench.content.acceptor.promised == Ballot{7, kN1});
      CHECK(bench.content.acceptor.chosen_end == Slot{400});
      CHECK(rows_of(bench.content) ==
            std::vector<std::pair<std::uint64_t, std::size_t>>{
                {400, 200'000}, {401, 200'000}, {402, 200'000}, {403, 200'000}});
      const Holding& holding = bench.store->holding();
      CHECK(holding.first_slot == Slot{1});
      CHECK(holding.slots_begin == Slot{400});
      CHECK(holding.entries_begin == Lsn{400});
      CHECK(holding.begin_digest == 2800);
      CHECK(slots_of(bench.votes(1)) == Slots{400, 500});
      // What it had may be right, but is not known to be.
      CHECK(bench.chosen(1).records.empty());
      CHECK(bench.chosen(1).first_slot == Slot{400});
      CHECK(bench.entries(1, 2).elsewhere);
      std::optional<RunRow> run;
      bench.store->find_run([](const RunRow& row) { return row.number <= 1; },
                            [&](std::optional<RunRow> found) { run = found; });
      REQUIRE(bench.run_until([&] { return run.has_value(); }));
      CHECK(*run == RunRow{1, {256}, 4, 5, 6});
    };
    bench.restart();
    check();
    bench.restart();
    check();
    // It goes on from there.
    bench.state(state_at(401));
    bench.restart();
    CHECK(bench.content.numbers.chosen_end == Slot{401});
    CHECK(bench.content.rows.size() == 6 - 1);
  }

  TEST_CASE("install: the votes in doubt stay in the tables, rows of before go") {
    LmdbBench bench;
    bench.vote({record(1, {3, kN1}, "a"), record(399, {5, kN1}, "d")});
    for (std::uint64_t slot = 2; slot < 6; ++slot) bench.state(state_at(slot));
    fetch(bench, sample());
    REQUIRE(install(bench, {400}));
    bench.store.reset();
    auto lmdb =
        Lmdb::open(bench.directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    auto txn = lmdb->begin(false);
    for (const std::uint64_t slot : {1U, 399U}) {
      const auto bytes = txn->get(Table::slots, slot);
      REQUIRE((*bytes).has_value());
      CHECK(read_slot({slot}, **bytes).has_value());
    }
    Lmdb::Cursor cursor(*txn, Table::sessions);
    std::size_t rows = 0;
    for (bool found = cursor.first(); found; found = cursor.next()) {
      CHECK(parse_stored_key(Table::sessions, cursor.key_bytes())->generation == 2);
      ++rows;
    }
    CHECK(rows == 4);
  }

  TEST_CASE_TEMPLATE("install: one that is not here changes nothing", Bench, LmdbBench,
                     MemoryBench) {
    Bench bench;
    bench.state(state_at(3));
    CHECK_FALSE(install(bench, {400}));
    bench.restart();
    CHECK(bench.content.numbers.chosen_end == Slot{3});
    fetch(bench, sample());
    REQUIRE(install(bench, {400}));
  }

  // What cannot be loaded must not take the place of what can.
  TEST_CASE_TEMPLATE("install: a state that is found to be wrong changes nothing", Bench, LmdbBench,
                     MemoryBench) {
    Bench bench;
    bench.state(state_at(3));
    fetch(bench, sample());
    const auto done = install(bench, {400}, fail(Errc::corrupt, "wrong"));
    REQUIRE_FALSE(done);
    CHECK(done.error().detail == "wrong");
    bench.restart();
    CHECK(bench.content.numbers.chosen_end == Slot{3});
    CHECK(bench.content.rows.size() == 2);
    REQUIRE(install(bench, {400}));
    bench.restart();
    CHECK(bench.content.numbers.chosen_end == Slot{400});
  }

  // Otherwise the node would try it for ever.
  TEST_CASE("install: a snapshot that is damaged, or another cluster's, is there no more") {
    LmdbBench bench;
    bench.state(state_at(3));
    fetch(bench, sample());
    const std::string path = snapshot_path(bench.directory.path(), {400});
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(300'000);
    file.put('x');
    file.close();
    CHECK(install(bench, {400}).error().code == Errc::corrupt);
    CHECK(bench.store->snapshots().kept.empty());
    fetch(bench, sample());  // From the first piece on.
    REQUIRE(install(bench, {400}));

    sim::Image image;
    image.identity = kIdentity;
    image.identity->cluster_id = 10;
    image.numbers = state_at(500).numbers;
    fetch(bench, snapshot_of(image));
    CHECK(install(bench, {500}).error().detail.find("another cluster") != std::string::npos);
    CHECK(bench.store->snapshots().newest()->slot == Slot{400});
  }

  // Its space would stay taken.
  TEST_CASE("read_snapshot: a file that was read, and is gone, is not kept open") {
    LmdbBench bench;
    bench.state(state_at(3));
    const auto open_files = [&] {
      int count = 0;
      std::error_code none;
      for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const std::string file = std::filesystem::read_symlink(entry.path(), none).string();
        if (file.starts_with(snapshot_path(bench.directory.path(), {100}))) ++count;
      }
      return count;
    };
    fetch(bench, small_one(100));
    CHECK_FALSE(part_of(bench, *bench.store->snapshots().newest(), 0).empty());
    CHECK(open_files() == 1);
    for (const std::uint64_t slot : {200U, 300U}) fetch(bench, small_one(slot));
    CHECK(open_files() == 0);
  }

  TEST_CASE_TEMPLATE("keep_snapshots: those stay beside the last two; one that is gone is told",
                     Bench, LmdbBench, MemoryBench) {
    Bench bench;
    bench.state(state_at(3));
    fetch(bench, small_one(100));
    CHECK(bench.store->keep_snapshots({{100}}));
    for (const std::uint64_t slot : {200U, 300U, 400U}) fetch(bench, small_one(slot));
    std::vector<std::uint64_t> kept;
    for (const SnapshotInfo& one : bench.store->snapshots().kept) kept.push_back(one.slot.value);
    CHECK(kept == std::vector<std::uint64_t>{100, 300, 400});
    CHECK_FALSE(bench.store->keep_snapshots({{200}, {400}}));
    fetch(bench, small_one(500));
    CHECK(bench.store->snapshots().kept.front().slot == Slot{100});  // Nothing had changed.
    CHECK(bench.store->keep_snapshots({}));
    fetch(bench, small_one(600));
    CHECK(bench.store->snapshots().kept.size() == 2);
  }
}

}  // namespace stele::log
