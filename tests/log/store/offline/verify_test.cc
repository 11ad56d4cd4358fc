#include "log/store/offline/verify.h"

#include <doctest/doctest.h>

#include <set>

#include "log/store/files/lmdb.h"
#include "tests/sim/disk/file_layer.h"
#include "tests/support/commands.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

using paxos::kN1;

/// A directory with three chosen slots, five entries and a vote.
struct Bench {
  Bench() {
    auto opened =
        LmdbStore::open(*DataDirectory::open(directory.path()),
                        {.files = {.map_bytes = kTestMapBytes, .sections = kTestTables}}, loop, {});
    REQUIRE(opened);
    auto store = *std::move(opened);
    REQUIRE(store->load());
    store->write_identity({"stele", 9, kN1, 5, {{kN1, 5}}}, {});
    LogState state;
    StateWrite write;
    std::vector<paxos::Acceptor::Write> votes;
    const std::vector<std::vector<Slice>> batches{
        {open_command(1)},
        {append_command({1}, {1}, {"a", "b"})},
        {append_command({1}, {2}, {"b", "c", "d"}), append_command({1}, {5}, {"e"})}};
    for (const auto& commands : batches) {
      const Slot slot = state.numbers().chosen_end;
      const paxos::Value value = batch_of(commands);
      votes.emplace_back(paxos::WriteAccepted{{slot, {1}, {1, kN1}, value}});
      const auto applied = state.apply(slot, value).value();
      if (applied.row.count != 0) write.index.push_back(applied.row);
    }
    votes.emplace_back(paxos::WriteAccepted{paxos::record(4, {1, kN1}, "vote")});
    write.numbers = state.numbers();
    write.rows = state.take_changed();
    bool durable = false;
    store->write_state(std::move(write));
    store->write_votes(std::move(votes), [&] { durable = true; });
    REQUIRE(run_until(context, [&] { return durable; }));
  }

  /// What verify says after a change made past Stele.
  VerifyReport after(const std::function<void(Lmdb::Txn&)>& change) {
    {
      auto lmdb =
          Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
      auto txn = lmdb->begin(true);
      change(*txn);
      REQUIRE(txn->commit());
    }
    const auto report = verify_directory(directory.path());
    REQUIRE(report);
    return *report;
  }

  TestDirectory directory;
  asio::io_context context{1};
  net::AsioLoop loop{context};
};

void flip(Lmdb::Txn& txn, Table table, TableKey key) {
  const auto found = txn.get(table, key);
  std::vector<std::byte> bytes((*found)->begin(), (*found)->end());
  bytes.at(9) ^= std::byte{1};
  REQUIRE(txn.put(table, key, bytes));
}

}  // namespace

TEST_SUITE("log.verify") {
  TEST_CASE("a sound directory: no faults, and its figures") {
    Bench bench;
    const auto report = verify_directory(bench.directory.path());
    REQUIRE(report);
    CHECK(report->faults_found == 0);
    CHECK(report->records == 4);
    CHECK(report->votes == 1);
    CHECK(report->entries == 5);
    CHECK(report->rows == decltype(report->rows){{"sessions", 1}, {"retention", 0}});
    CHECK(report->numbers.next_lsn == Lsn{6});
    CHECK(report->identity.node == kN1);
  }

  TEST_CASE("what only the journal has counts, and stays there") {
    Bench bench;
    Transaction vote;
    vote.add({paxos::WriteAccepted{paxos::record(5, {1, kN1}, "journaled")}});
    {
      auto files = StoreFiles::open(bench.directory.path(),
                                    {.map_bytes = kTestMapBytes, .sections = kTestTables});
      REQUIRE(files->commit(vote, false));
    }  // Closed as by a crash.
    for (int i = 0; i < 2; ++i) {
      const auto report = verify_directory(bench.directory.path());
      REQUIRE(report);
      CHECK(report->faults_found == 0);
      CHECK(report->votes == 2);
    }
    std::filesystem::remove(bench.directory.path() + "/journal");
    CHECK(verify_directory(bench.directory.path()).error().code == Errc::corrupt);
  }

  TEST_CASE("what a failed sync left in the page cache counts neither here nor for a start") {
    std::set<std::uint64_t> votes;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      Bench bench;
      sim::WatchedFiles watched;
      StoreFiles::Options options{.map_bytes = kTestMapBytes, .sections = kTestTables};
      options.values.made = [&](const std::string& path) { watched.watch(path); };
      Transaction vote;
      vote.add({paxos::WriteAccepted{paxos::record(5, {1, kN1}, std::string(20'000, 'v'))}});
      {
        auto files = StoreFiles::open(bench.directory.path(), options);
        files->keep_cached(true);
        watched.fail_sync_after(0, sim::Random(seed));
        REQUIRE_FALSE(files->commit(vote, false));
      }
      watched.lose_process();
      const auto report = verify_directory(bench.directory.path());
      REQUIRE(report);
      CHECK(report->faults_found == 0);
      votes.insert(report->votes);
      REQUIRE(StoreFiles::open(bench.directory.path(), options));
      CHECK(verify_directory(bench.directory.path())->votes == report->votes);
    }
    CHECK(votes.contains(1));
  }

  TEST_CASE("every kind of damage is found") {
    using Change = std::function<void(Lmdb::Txn&)>;
    const std::vector<Change> changes{
        [](Lmdb::Txn& txn) { flip(txn, Table::slots, 2); },
        [](Lmdb::Txn& txn) { flip(txn, Table::slots, 4); },
        [](Lmdb::Txn& txn) { flip(txn, Table::index, 1); },
        [](Lmdb::Txn& txn) { flip(txn, Table::sessions, stored_key(1, key_of(1))); },
        [](Lmdb::Txn& txn) { flip(txn, Table::meta, kPromiseKey); },
        [](Lmdb::Txn& txn) { flip(txn, Table::meta, kNumbersKey); },
        [](Lmdb::Txn& txn) { REQUIRE(txn.erase(Table::slots, 1)); },
        [](Lmdb::Txn& txn) { REQUIRE(txn.erase(Table::slots, 3)); },
        [](Lmdb::Txn& txn) { REQUIRE(txn.erase(Table::index, 1)); },
        [](Lmdb::Txn& txn) { REQUIRE(txn.erase(Table::index, 3)); },
        // Another value, whole, with as many entries.
        [](Lmdb::Txn& txn) {
          const auto value = batch_of({append_command({1}, {1}, {"a", "B"})});
          std::vector<std::byte> bytes(kSlotHeaderBytes + value.size());
          write_slot_header({{2}, {1}, {1, kN1}, value},
                            std::span(bytes).first<kSlotHeaderBytes>());
          value.copy_to(bytes.data() + kSlotHeaderBytes);
          REQUIRE(txn.put(Table::slots, 2, bytes));
        },
        [](Lmdb::Txn& txn) {
          REQUIRE(txn.put(Table::index, 3, seal_index_row({{3}, {3}, 2, {{0, 1}}})));
        },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
      CAPTURE(i);
      Bench bench;
      const VerifyReport report = bench.after(changes[i]);
      CHECK(report.faults_found > 0);
      CHECK_FALSE(report.faults.empty());
    }
  }

  TEST_CASE("what holds no store, or is in use, is an error") {
    const TestDirectory empty;
    CHECK(verify_directory(empty.path()).error().code == Errc::foreign_directory);
    Bench bench;
    const auto owner = DataDirectory::open(bench.directory.path());
    CHECK(verify_directory(bench.directory.path()).error().code == Errc::in_use);
  }
}

}  // namespace stele::log
