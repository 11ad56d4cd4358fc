#include "log/lmdb_store.h"

#include <doctest/doctest.h>

#include "log/lmdb.h"
#include "tests/log/commands.h"
#include "tests/log/directory.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::record;

constexpr Slot kEnd{UINT64_MAX};

/// A store on a loop of its own; reopened as after a restart.
class Bench {
 public:
  explicit Bench(bool with_identity = true) {
    open();
    if (with_identity) be({"stele", 9, kN2, 77, {{kN1, 5}, {kN2, 77}}});
  }

  void be(const Identity& identity) {
    bool durable = false;
    store->write_identity(identity, [&] { durable = true; });
    REQUIRE(run_until(context_, [&] { return durable; }));
  }

  void open() {
    auto opened_directory = DataDirectory::open(directory_.path());
    REQUIRE(opened_directory);
    auto opened = LmdbStore::open(*std::move(opened_directory), {.map_bytes = kTestMapBytes}, loop_,
                                  [this](const Error& error) { failure = error.detail; });
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    store = *std::move(opened);
    auto loaded = store->load();
    REQUIRE(loaded);
    content = *std::move(loaded);
  }
  void restart() {
    store.reset();
    open();
  }

  void vote(std::vector<paxos::Record> records) {
    std::vector<paxos::Acceptor::Write> writes;
    for (paxos::Record& record : records)
      writes.emplace_back(paxos::WriteAccepted{std::move(record)});
    bool durable = false;
    store->write_votes(std::move(writes), [&] { durable = true; });
    REQUIRE(run_until(context_, [&] { return durable; }));
  }
  SlotsRead votes(std::uint64_t begin, std::size_t bytes_max = 1 << 20, Slot end = kEnd) {
    std::optional<SlotsRead> read;
    store->read_votes({begin}, end, bytes_max, [&](SlotsRead found) { read = std::move(found); });
    REQUIRE(run_until(context_, [&] { return read.has_value(); }));
    return *read;
  }
  SlotsRead chosen(std::uint64_t begin, std::size_t bytes_max = 1 << 20) {
    std::optional<SlotsRead> read;
    store->read_chosen({begin}, bytes_max, [&](SlotsRead found) { read = std::move(found); });
    REQUIRE(run_until(context_, [&] { return read.has_value(); }));
    return *read;
  }
  EntriesRead entries(std::uint64_t begin, std::uint64_t end, std::size_t bytes_max = 1 << 20) {
    std::optional<EntriesRead> read;
    store->read_entries({begin}, {end}, bytes_max,
                        [&](EntriesRead found) { read = std::move(found); });
    REQUIRE(run_until(context_, [&] { return read.has_value(); }));
    return *read;
  }
  void state(StateWrite write) {
    const Lsn wanted = write.numbers.next_lsn;
    store->write_state(std::move(write));
    store->flush();
    REQUIRE(run_until(context_, [&] { return store->durable_lsn() == wanted; }));
  }
  /// Damages one byte of the value, or of the header, of a slot's record.
  void damage(Slot slot, std::size_t at) {
    store.reset();
    auto lmdb = Lmdb::open(directory_.path(), {.map_bytes = kTestMapBytes});
    REQUIRE(lmdb);
    {
      auto txn = lmdb->begin(true);
      const auto found = txn->get(Table::slots, slot.value);
      std::vector<std::byte> bytes((*found)->begin(), (*found)->end());
      bytes.at(at) ^= std::byte{1};
      REQUIRE(txn->put(Table::slots, slot.value, bytes));
      REQUIRE(txn->commit());
    }
    lmdb = Lmdb();
    open();
  }

  TestDirectory directory_;
  asio::io_context context_{1};
  net::AsioLoop loop_{context_};
  std::unique_ptr<LmdbStore> store;
  StoreContent content;
  std::string failure;
};

std::vector<std::uint64_t> slots_of(const SlotsRead& read) {
  std::vector<std::uint64_t> slots;
  for (const paxos::Record& record : read.records) slots.push_back(record.slot.value);
  return slots;
}

using Slots = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE("log.lmdb_store") {
  TEST_CASE("a new directory is empty, has no identity, and votes for nothing") {
    Bench bench(false);
    CHECK_FALSE(bench.store->identity());
    CHECK(bench.content.acceptor.promised == Ballot{});
    CHECK(bench.content.acceptor.chosen_end == Slot{1});
    CHECK(bench.votes(1).records.empty());
    CHECK(bench.votes(1).last);
  }

  TEST_CASE("identity, promise and votes survive a restart") {
    Bench bench;
    const Identity identity{"stele", 9, kN2, 77, {{kN1, 5}, {kN2, 77}}};
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

  TEST_CASE("a promise never goes down, and a later vote replaces the earlier one") {
    Bench bench;
    bool durable = false;
    bench.store->write_votes({paxos::WritePromised{{9, kN2}}}, [&] { durable = true; });
    REQUIRE(run_until(bench.context_, [&] { return durable; }));
    bench.vote({record(1, {9, kN2}, "first")});
    bench.vote({record(1, {10, kN1}, "second, and longer")});
    bench.restart();
    CHECK(bench.content.acceptor.promised == Ballot{10, kN1});
    CHECK(paxos::text_of(bench.votes(1).records.at(0).value) == "second, and longer");
  }

  // Durability (b): read in its place among the writes.
  TEST_CASE("read_votes: sees every write that was queued before it") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 50; ++slot) {
      bench.store->write_votes({paxos::WriteAccepted{record(slot, {1, kN1}, "x")}}, [] {});
      std::optional<SlotsRead> read;
      bench.store->read_votes({1}, kEnd, 1 << 20,
                              [&](SlotsRead found) { read = std::move(found); });
      REQUIRE(run_until(bench.context_, [&] { return read.has_value(); }));
      CHECK(read->records.size() == slot);
    }
  }

  TEST_CASE("callbacks come in the order of the calls, also of those without writes") {
    Bench bench;
    std::vector<int> order;
    for (int i = 0; i < 100; i += 2) {
      bench.store->write_votes(
          {paxos::WriteAccepted{record(static_cast<std::uint64_t>(i) + 1, {1, kN1}, "x")}},
          [&order, i] { order.push_back(i); });
      bench.store->write_votes({}, [&order, i] { order.push_back(i + 1); });
      bench.context_.poll();
    }
    REQUIRE(run_until(bench.context_, [&] { return order.size() == 100; }));
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE("reads come in pieces: by bytes, but at least one record") {
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

  TEST_CASE("state: chosen_end parts chosen records from votes") {
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

  TEST_CASE("state: a learned value replaces a vote for another one in the same commit") {
    Bench bench;
    bench.store->write_votes({paxos::WriteAccepted{record(1, {1, kN1}, "mine")}}, [] {});
    StateWrite write;
    write.numbers.chosen_end = {2};
    write.numbers.next_lsn = {2};
    write.learned.push_back(record(1, {2, kN2}, "chosen"));
    bench.state(std::move(write));
    CHECK(paxos::text_of(bench.chosen(1).records.at(0).value) == "chosen");
  }

  TEST_CASE("entries: found by LSN through the index, across slots, in pieces") {
    Bench bench;
    LogState state;
    StateWrite write;
    std::vector<paxos::Record> records;
    const auto apply = [&](const std::vector<Slice>& commands) {
      const Slot slot = state.numbers().chosen_end;
      const paxos::Value value = batch_of(commands);
      records.push_back({slot, {1}, {1, kN1}, value});
      const auto applied = state.apply(slot, value);
      if (applied.row.count != 0) write.rows.push_back(applied.row);
    };
    apply({open_command(1)});
    apply({append_command({1}, {1}, {"a", "b"})});
    apply({});
    apply({append_command({1}, {2}, {"b", "c"}), append_command({1}, {9}, {"void"}),
           append_command({1}, {4}, {"d"})});
    apply({append_command({1}, {5}, {"e"})});
    bench.vote(records);
    write.numbers = state.numbers();
    write.sessions = state.take_changed_sessions();
    bench.state(std::move(write));

    using Texts = std::vector<std::string>;
    CHECK(payloads(bench.entries(1, 100).entries) == Texts{"a", "b", "c", "d", "e"});
    CHECK(payloads(bench.entries(3, 5).entries) == Texts{"c", "d"});
    CHECK(payloads(bench.entries(2, 100, 1).entries) == Texts{"b"});
    CHECK(bench.entries(6, 100).count == 0);
    bench.restart();
    CHECK(payloads(bench.entries(4, 100).entries) == Texts{"d", "e"});
    CHECK(bench.content.sessions.at({1}).last() == Sequence{5});
  }

  // Protocol-Aware Recovery: faulty is not absent.
  TEST_CASE("a damaged record is named, and nothing is told behind it") {
    for (const std::size_t at : {std::size_t{8}, kSlotHeaderBytes + 1}) {  // Header and value.
      Bench bench;
      bench.vote(
          {record(1, {1, kN1}, "aaaa"), record(2, {1, kN1}, "bbbb"), record(3, {1, kN1}, "cccc")});
      bench.damage({2}, at);
      const SlotsRead read = bench.votes(1);
      CHECK(slots_of(read) == Slots{1});
      CHECK(read.faulty == Slot{2});
      CHECK_FALSE(read.last);
      CHECK(bench.votes(2).records.empty());
      // A new vote for that very slot overwrites and heals it.
      bench.vote({record(2, {2, kN1}, "new")});
      CHECK(slots_of(bench.votes(1)) == Slots{1, 2, 3});
    }
  }

  TEST_CASE("open: slots without an identity are no directory of ours") {
    TestDirectory directory;
    {
      auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes});
      auto txn = lmdb->begin(true);
      REQUIRE(txn->put(Table::slots, 1, std::vector<std::byte>(8)));
      REQUIRE(txn->commit());
    }
    asio::io_context context;
    net::AsioLoop loop(context);
    const auto opened = LmdbStore::open(*DataDirectory::open(directory.path()),
                                        {.map_bytes = kTestMapBytes}, loop, {});
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::corrupt);
  }

  TEST_CASE("a directory has one owner at a time") {
    Bench bench;
    const auto second = DataDirectory::open(bench.directory_.path());
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::in_use);
    bench.store.reset();
    CHECK(DataDirectory::open(bench.directory_.path()).has_value());
  }

  TEST_CASE("space: what is used grows, what is free is bounded by the map") {
    Bench bench;
    bench.vote({record(1, {1, kN1}, std::string(1 << 20, 'x'))});
    CHECK(bench.store->space().used_bytes > (1 << 20));
    CHECK(bench.store->space().free_bytes <= kTestMapBytes);
  }
}

}  // namespace stele::log
