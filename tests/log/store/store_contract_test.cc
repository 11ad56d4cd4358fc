// What every store promises (log/store/store.h): the one over LMDB and the simulated one pass the
// same.
#include "log/store/store.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/log/store/store_benches.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::record;

}  // namespace

TEST_SUITE("log.store") {
  TEST_CASE_TEMPLATE("a new directory is empty, has no identity, and votes for nothing", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench(false);
    CHECK_FALSE(bench.store->identity());
    CHECK(bench.content.acceptor.promised == Ballot{});
    CHECK(bench.content.acceptor.chosen_end == Slot{1});
    CHECK(bench.votes(1).records.empty());
    CHECK(bench.votes(1).last);
  }

  TEST_CASE_TEMPLATE("identity, promise and votes survive a restart", Bench, LmdbBench, LoopBench,
                     ValueLogBench, MemoryBench) {
    Bench bench;
    const Identity identity{"stele", 9, kN2, 77, {{kN1, 5}, {kN2, 77}}, 2, 1};
    bench.be(identity);
    bench.vote({record(1, {3, kN1}, "a"), record(2, {3, kN1}, "b")});
    bench.restart();
    REQUIRE(bench.store->identity());
    CHECK(*bench.store->identity() == identity);
    // Durability (c): the vote has raised the promise, in the same transaction.
    CHECK(bench.content.acceptor.promised == Ballot{3, kN1});
    const SlotsRead read = bench.votes(1);
    REQUIRE(slots_of(read) == Slots{1, 2});
    CHECK(read.records[1] == record(2, {3, kN1}, "b"));
  }

  TEST_CASE_TEMPLATE("a promise never goes down, and a later vote replaces the earlier one", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bool durable = false;
    bench.store->write_votes({paxos::WritePromised{{9, kN2}}}, [&] { durable = true; });
    REQUIRE(bench.run_until([&] { return durable; }));
    bench.vote({record(1, {9, kN2}, "first")});
    bench.vote({record(1, {10, kN1}, "second, and longer")});
    bench.restart();
    CHECK(bench.content.acceptor.promised == Ballot{10, kN1});
    CHECK(paxos::text_of(bench.votes(1).records.at(0).value) == "second, and longer");
  }

  // Durability (b): read in its place among the writes.
  TEST_CASE_TEMPLATE("read_votes: sees every write that was queued before it", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 50; ++slot) {
      bench.store->write_votes({paxos::WriteAccepted{record(slot, {1, kN1}, "x")}}, [] {});
      std::optional<SlotsRead> read;
      bench.store->read_votes({1}, kEnd, 1 << 20,
                              [&](SlotsRead found) { read = std::move(found); });
      REQUIRE(bench.run_until([&] { return read.has_value(); }));
      CHECK(read->records.size() == slot);
    }
  }

  TEST_CASE_TEMPLATE("callbacks come in the order of the calls, also of those without writes",
                     Bench, LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    std::vector<int> order;
    for (int i = 0; i < 100; i += 2) {
      bench.store->write_votes(
          {paxos::WriteAccepted{record(static_cast<std::uint64_t>(i) + 1, {1, kN1}, "x")}},
          [&order, i] { order.push_back(i); });
      bench.store->write_votes({}, [&order, i] { order.push_back(i + 1); });
      (void)bench.run_until([] { return true; });
    }
    REQUIRE(bench.run_until([&] { return order.size() == 100; }));
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE_TEMPLATE("reads come in pieces: by bytes, but at least one record", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote({record(1, {1, kN1}, std::string(1000, 'a')),
                record(2, {1, kN1}, std::string(1000, 'b')),
                record(4, {1, kN1}, std::string(1000, 'd'))});
    CHECK(slots_of(bench.votes(1, 1)) == Slots{1});
    CHECK_FALSE(bench.votes(1, 1).last);
    CHECK(slots_of(bench.votes(2, 2500)) == Slots{2, 4});
    CHECK(bench.votes(2, 2500).last);
    CHECK(slots_of(bench.votes(1, 1 << 20, {4})) == Slots{1, 2});
  }

  TEST_CASE_TEMPLATE("state: chosen_end parts chosen records from votes", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote({record(1, {1, kN1}, "a"), record(2, {1, kN1}, "b"), record(3, {1, kN1}, "c")});
    StateWrite write;
    write.numbers.chosen_end = {3};
    write.numbers.next_lsn = {7};
    write.numbers.hash = 99;
    bench.state(std::move(write));
    CHECK(slots_of(bench.chosen(1)) == Slots{1, 2});
    CHECK(bench.chosen(1).chosen_end == Slot{3});
    CHECK(slots_of(bench.votes(1)) == Slots{3});
    bench.restart();
    CHECK(bench.content.numbers.chosen_end == Slot{3});
    CHECK(bench.content.acceptor.chosen_end == Slot{3});
    CHECK(bench.content.numbers.hash == 99);
  }

  TEST_CASE_TEMPLATE("state: a learned value replaces a vote for another one in the same commit",
                     Bench, LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.store->write_votes({paxos::WriteAccepted{record(1, {1, kN1}, "mine")}}, [] {});
    StateWrite write;
    write.numbers.chosen_end = {2};
    write.numbers.next_lsn = {2};
    write.learned.push_back(record(1, {2, kN2}, "chosen"));
    bench.state(std::move(write));
    CHECK(paxos::text_of(bench.chosen(1).records.at(0).value) == "chosen");
  }

  TEST_CASE_TEMPLATE("entries: found by LSN through the index, across slots, in pieces", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    LogState state;
    StateWrite write;
    std::vector<paxos::SlotRecord> records;
    const auto apply = [&](const std::vector<Slice>& commands) {
      const Slot slot = state.numbers().chosen_end;
      const paxos::Value value = batch_of(commands);
      records.push_back({slot, {1}, {1, kN1}, value});
      const auto applied = state.apply(slot, value).value();
      if (applied.row.count != 0) write.index.push_back(applied.row);
    };
    apply({open_command(1)});
    apply({append_command({1}, {1}, {"a", "b"})});
    apply({});
    apply({append_command({1}, {2}, {"b", "c"}), append_command({1}, {9}, {"void"}),
           append_command({1}, {4}, {"d"})});
    apply({append_command({1}, {5}, {"e"})});
    bench.vote(records);
    write.numbers = state.numbers();
    write.rows = state.take_changed();
    bench.state(std::move(write));

    using Texts = std::vector<std::string>;
    CHECK(payloads(bench.entries(1, 100).entries) == Texts{"a", "b", "c", "d", "e"});
    CHECK(payloads(bench.entries(3, 5).entries) == Texts{"c", "d"});
    CHECK(payloads(bench.entries(2, 100, 1).entries) == Texts{"b"});
    CHECK(bench.entries(6, 100).count == 0);
    bench.restart();
    CHECK(payloads(bench.entries(4, 100).entries) == Texts{"d", "e"});
    CHECK(state_of(bench.content).sessions().next_sequence({1}) == Sequence{6});
  }

  // Protocol-Aware Recovery: faulty is not absent.
  TEST_CASE_TEMPLATE("a damaged record is named, and nothing is told after it", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote(
        {record(1, {1, kN1}, "aaaa"), record(2, {1, kN1}, "bbbb"), record(3, {1, kN1}, "cccc")});
    bench.damage(Slot{2});
    const SlotsRead read = bench.votes(1);
    CHECK(slots_of(read) == Slots{1});
    CHECK(read.faulty == Slot{2});
    CHECK_FALSE(read.last);
    CHECK(bench.votes(2).records.empty());
    // A new vote for that very slot overwrites and repairs it.
    bench.vote({record(2, {2, kN1}, "new")});
    CHECK(slots_of(bench.votes(1)) == Slots{1, 2, 3});
  }

  TEST_CASE_TEMPLATE("a damaged record that has been replaced can be read", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote(
        {record(1, {1, kN1}, "aaaa"), record(2, {1, kN1}, "bbbb"), record(3, {1, kN1}, "cccc")});
    StateWrite write;
    write.numbers.chosen_end = {4};
    bench.state(write);
    bench.damage(Slot{2});
    REQUIRE(bench.chosen(1).faulty == Slot{2});
    write.learned.push_back(record(2, {1, kN1}, "bbbb"));
    bench.state(write);
    CHECK(slots_of(bench.chosen(1)) == Slots{1, 2, 3});
  }

  TEST_CASE_TEMPLATE("a damaged promise is told as such, not as none", Bench, LmdbBench, LoopBench,
                     ValueLogBench, MemoryBench) {
    Bench bench;
    bench.vote({record(1, {3, kN1}, "a")});
    CHECK_FALSE(bench.content.acceptor.promise_faulty);
    bench.damage_promise();
    CHECK(bench.content.acceptor.promise_faulty);
    CHECK(bench.content.acceptor.promised == Ballot{});
  }

  TEST_CASE_TEMPLATE("state rides in the next commit, and needs none of its own", Bench, LmdbBench,
                     LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    StateWrite write;
    write.numbers.chosen_end = {2};
    write.numbers.next_lsn = {5};
    bench.store->write_state(std::move(write));
    bench.vote({record(1, {1, kN1}, "a")});
    CHECK(bench.store->backlog_bytes() == 0);
    bench.restart();
    CHECK(bench.content.numbers.next_lsn == Lsn{5});
  }

  // Invariant 14: what is kept stays; what was given up is gone, also after a restart.
  TEST_CASE_TEMPLATE("write_trim: whole runs of slots go, with their entries and rows", Bench,
                     LmdbBench, LoopBench, ValueLogBench, MemoryBench) {
    Bench bench;
    constexpr std::uint64_t kSlots = 3 * kRunSlots + 10;
    LogState state;
    StateWrite write;
    std::vector<paxos::SlotRecord> votes;
    std::vector<StateNumbers> at(1);
    for (std::uint64_t slot = 1; slot <= kSlots; ++slot) {
      const paxos::Value value = batch_of(
          {slot == 1 ? open_command(1) : append_command({1}, {slot - 1}, {std::to_string(slot)})});
      votes.push_back({{slot}, {1}, {1, kN1}, value});
      const auto applied = state.apply({slot}, value).value();
      if (applied.row.count != 0) write.index.push_back(applied.row);
      if (applied.run) write.runs.push_back(*applied.run);
      at.push_back(state.numbers());
    }
    write.numbers = state.numbers();
    write.rows = state.take_changed();
    bench.vote(std::move(votes));
    bench.state(std::move(write));
    bench.restart();  // All of it can be read then.
    const auto find = [&](const std::function<bool(const RunRow&)>& reached) {
      std::optional<std::optional<RunRow>> found;
      bench.store->find_run(reached, [&](std::optional<RunRow> row) { found = row; });
      REQUIRE(bench.run_until([&] { return found.has_value(); }));
      return *found;
    };
    const auto second = find([](const RunRow& row) { return row.number <= 2; });
    REQUIRE(second);
    CHECK(second->number == 2);
    CHECK(second->next_lsn == at[2 * kRunSlots - 1].next_lsn);
    CHECK(second->log_bytes == at[2 * kRunSlots - 1].log_bytes);
    CHECK_FALSE(find([](const RunRow&) { return false; }));
    CHECK(find([](const RunRow&) { return true; })->number == 3);

    bench.store->write_trim({{2 * kRunSlots}, second->next_lsn});
    bench.store->flush();
    REQUIRE(
        bench.run_until([&] { return bench.store->holding().first_slot == Slot{2 * kRunSlots}; }));
    for (int restarts = 0; restarts < 2; ++restarts) {
      bench.store->settle();
      CHECK(bench.votes(kSlots + 1).records.empty());  // After it.
      CHECK(bench.store->holding().first_slot == Slot{2 * kRunSlots});
      const SlotsRead read = bench.chosen(1);
      CHECK(read.first_slot == Slot{2 * kRunSlots});
      CHECK(slots_of(read).front() == 2 * kRunSlots);
      CHECK(slots_of(read).size() == kSlots - 2 * kRunSlots + 1);
      CHECK(bench.entries(1, 100).count == 0);
      CHECK_FALSE(bench.entries(1, 100).fault);
      const Lsn kept = second->next_lsn;
      const EntriesRead entries = bench.entries(kept.value, kept.value + 5);
      CHECK(payloads(entries.entries).front() == std::to_string(2 * kRunSlots));
      CHECK(find([](const RunRow& row) { return row.number <= 2; })->number == 2);
      CHECK_FALSE(find([](const RunRow& row) { return row.number <= 1; }));
      bench.restart();
    }
    CHECK(bench.content.numbers == state.numbers());
    // What was learned late, and is trimmed by now, is not put back.
    StateWrite late;
    late.numbers = state.numbers();
    late.learned.push_back(record(5, {1, kN1}, "late"));
    bench.state(std::move(late));
    bench.restart();
    CHECK(slots_of(bench.chosen(1)).front() == 2 * kRunSlots);
  }
}

}  // namespace stele::log
