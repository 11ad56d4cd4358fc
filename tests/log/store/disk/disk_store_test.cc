// What only the store over real files does; store_contract_test.cc has the rest.
#include "log/store/disk/disk_store.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "log/store/files/lmdb.h"
#include "tests/log/store/store_benches.h"
#include "tests/sim/disk/slow_syncs.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::record;

}  // namespace

TEST_SUITE("log.lmdb_store") {
  // Protocol-Aware Recovery: faulty is not absent.
  TEST_CASE("a damaged record is named, whether in its header or in its value") {
    for (const std::size_t at : {std::size_t{8}, kSlotHeaderBytes + 1}) {  // Header and value.
      LmdbBench bench;
      bench.vote(
          {record(1, {1, kN1}, "aaaa"), record(2, {1, kN1}, "bbbb"), record(3, {1, kN1}, "cccc")});
      bench.damage(Table::slots, 2, at);
      const SlotsRead read = bench.votes(1);
      CHECK(slots_of(read) == Slots{1});
      CHECK(read.faulty == Slot{2});
      CHECK_FALSE(read.last);
      CHECK(bench.votes(2).records.empty());
      // A new vote for that very slot overwrites and repairs it.
      bench.vote({record(2, {2, kN1}, "new")});
      CHECK(slots_of(bench.votes(1, 8 << 20)) == Slots{1, 2, 3});
    }
  }

  TEST_CASE("open: slots without an identity are no directory of ours") {
    TestDirectory directory;
    {
      auto lmdb =
          Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
      auto txn = lmdb->begin(true);
      REQUIRE(txn->put(Table::slots, 1, std::vector<std::byte>(8)));
      REQUIRE(txn->commit());
    }
    asio::io_context context;
    net::AsioLoop loop(context);
    const auto opened =
        LmdbStore::open(*DataDirectory::open(directory.path()),
                        {.files = {.map_bytes = kTestMapBytes, .sections = kTestTables}}, loop, {});
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::corrupt);
  }

  TEST_CASE("a directory has one owner at a time") {
    LmdbBench bench;
    const auto second = DataDirectory::open(bench.directory.path());
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::in_use);
    bench.store.reset();
    CHECK(DataDirectory::open(bench.directory.path()).has_value());
  }

  TEST_CASE(
      "let_loop_commit: what is small is durable when the loop has turned, and may be refused") {
    LoopBench bench;
    int durable = 0;
    const auto vote = [&](std::uint64_t slot, std::size_t bytes) {
      bench.store->write_votes(
          {paxos::WriteAccepted{record(slot, {1, kN1}, std::string(bytes, 'x'))}},
          [&] { ++durable; });
    };
    vote(1, 100);
    vote(2, 100);
    CHECK(durable == 0);
    bench.context.restart();
    bench.context.poll();
    CHECK(durable == 2);
    // The writer's: it is not small.
    vote(3, 1 << 20);
    vote(4, 100);
    REQUIRE(bench.run_until([&] { return durable == 4; }));
    bench.store->let_loop_commit(false);
    vote(5, 100);
    REQUIRE(bench.run_until([&] { return durable == 5; }));
    CHECK(slots_of(bench.votes(1, 8 << 20)) == Slots{1, 2, 3, 4, 5});
  }

  TEST_CASE("a check that fails within a commit ends the store's node; the store still closes") {
    for (const bool on_loop : {true, false}) {
      CAPTURE(on_loop);
      TestDirectory directory;
      asio::io_context context;
      std::string failed;
      net::AsioLoop loop(context, [&](const std::string& what) { failed = what; });
      auto store = LmdbStore::open(*DataDirectory::open(directory.path()),
                                   {.files = {.map_bytes = kTestMapBytes, .sections = kTestTables}},
                                   loop, {});
      REQUIRE(store.has_value());
      (*store)->let_loop_commit(on_loop);
      // A key must not be empty.
      StateWrite write;
      write.rows.push_back({kTestTables.front().table, {}, {}});
      (*store)->write_state(std::move(write));
      (*store)->write_votes({paxos::WriteAccepted{record(1, {1, kN1}, "a")}}, [] {});
      REQUIRE(run_until(context, [&] { return !failed.empty(); }));
      CHECK(failed.find("check failed") != std::string::npos);
      CHECK(loop.ended());
      store->reset();
      CHECK(DataDirectory::open(directory.path()).has_value());
    }
  }

  TEST_CASE("checkpoints beside commits of the loop and of the writer: all is there, in order") {
    // A half of the journal has room for eight small transactions.
    LmdbBench bench(true, {.journal_bytes = 16 * kPageBytes, .small_bytes_max = 2000}, true);
    constexpr std::uint64_t kSlots = 600;
    std::vector<std::uint64_t> durable;
    int reads = 0;
    for (std::uint64_t slot = 1; slot <= kSlots; ++slot) {
      const std::size_t bytes = slot % 7 == 0 ? 5000 : 100;
      bench.store->write_votes(
          {paxos::WriteAccepted{record(slot, {1, kN1}, std::string(bytes, 'x'))}},
          [&durable, slot] { durable.push_back(slot); });
      if (slot % 50 == 0) {
        bench.store->read_votes({slot - 10}, {slot + 1}, 1 << 20,
                                [&, slot](const SlotsRead& found) {
                                  CHECK(found.records.size() == 11);
                                  CHECK(found.records.back().slot == Slot{slot});
                                  ++reads;
                                });
      }
      // Sometimes many transactions in one commit, sometimes each of its own.
      if (slot % 3 == 0) REQUIRE(bench.run_until([&] { return durable.size() == slot; }));
    }
    REQUIRE(bench.run_until([&] { return durable.size() == kSlots && reads == kSlots / 50; }));
    CHECK(std::is_sorted(durable.begin(), durable.end()));
    bench.restart();
    const SlotsRead all = bench.votes(1, 8 << 20);
    CHECK(all.records.size() == kSlots);
    CHECK(all.last);
    CHECK(bench.failure.empty());
  }

  TEST_CASE(
      "slow syncs: several commits at once, told of in order, answers and reads in their place") {
    LmdbBench bench;
    const sim::SlowSyncs slow(std::chrono::milliseconds(4));
    std::uint64_t slot = 0;
    std::vector<std::uint64_t> durable;
    int reads = 0;
    // Commits of different sizes show what a sync takes for itself.
    for (int most = 0; most < 3; most = slow.most()) {
      const std::uint64_t end = slot + 20;
      while (slot < end) {
        ++slot;
        bench.store->write_votes(
            {paxos::WriteAccepted{record(slot, {1, kN1}, std::string(slot * 613 % 9000, 'x'))}},
            [&durable, slot] { durable.push_back(2 * slot); });
        bench.store->write_votes({}, [&durable, slot] { durable.push_back(2 * slot + 1); });
        REQUIRE(bench.run_until([&] { return durable.size() + 16 > 2 * slot; }));
      }
      bench.store->read_votes({slot - 5}, kEnd, 1 << 20, [&, slot](const SlotsRead& found) {
        CHECK(found.records.front().slot == Slot{slot - 5});
        CHECK(found.records.back().slot >= Slot{slot});
        CHECK(durable.size() >= 2 * slot);
        ++reads;
      });
    }
    REQUIRE(bench.run_until([&] { return durable.size() == 2 * slot && reads > 0; }));
    CHECK(std::ranges::is_sorted(durable));
    bench.restart();
    CHECK(bench.votes(1, 1 << 30).records.size() == slot);  // Thousands, on a busy machine.
    CHECK(bench.failure.empty());
  }

  TEST_CASE("slow syncs one after the other, and beside each other again: both are noticed") {
    LmdbBench bench;
    std::uint64_t slot = 0;
    std::uint64_t durable = 0;
    // Until so many syncs are seen at once while several votes always wait.
    const auto run_until_at_once = [&](sim::SlowSyncs& slow, auto enough) {
      for (int most = -1; most < 0 || !enough(most); most = slow.most()) {
        for (int i = 0; i < 30; ++i) {
          ++slot;
          bench.store->write_votes(
              {paxos::WriteAccepted{record(slot, {1, kN1}, std::string(slot * 613 % 9000, 'x'))}},
              [&durable] { ++durable; });
          REQUIRE(bench.run_until([&] { return durable + 8 > slot; }));
        }
      }
    };
    {
      sim::SlowSyncs slow(std::chrono::milliseconds(4));
      run_until_at_once(slow, [](int most) { return most > 2; });
    }
    {
      sim::SlowSyncs slow(std::chrono::milliseconds(4), true);
      run_until_at_once(slow, [](int most) { return most == 1; });
    }
    sim::SlowSyncs slow(std::chrono::milliseconds(4));
    run_until_at_once(slow, [](int most) { return most > 2; });
    REQUIRE(bench.run_until([&] { return durable == slot; }));
    bench.restart();
    CHECK(bench.votes(1, 1 << 30).records.size() == slot);  // Thousands, on a busy machine.
    CHECK(bench.failure.empty());
  }

  TEST_CASE("space: what is used grows, what is free is bounded by the map") {
    LmdbBench bench;
    bench.vote({record(1, {1, kN1}, std::string(1 << 20, 'x'))});
    CHECK(bench.store->space().used_bytes > (1 << 20));
    CHECK(bench.store->space().free_bytes <= kTestMapBytes);
  }
}

}  // namespace stele::log
