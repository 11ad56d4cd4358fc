#include "log/replica/trimmer.h"

#include <doctest/doctest.h>

#include <functional>
#include <vector>

#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"

namespace stele::log {
namespace {

using std::chrono::seconds;

/// A store that answers reads when the test says so, and a state of 600 slots in it.
struct Bench {
  Bench() {
    apply({open_command(1)});
    for (std::uint64_t i = 1; i < 600; ++i) apply({append_command({1}, ++sequence, {"x"})});
    write();
  }
  sim::MemoryStore::Hooks hooks() {
    sim::MemoryStore::Hooks hooks;
    hooks.read_later = [this](std::function<void()> read) { reads.push_back(std::move(read)); };
    return hooks;
  }
  void apply(const std::vector<Slice>& commands) {
    const Slot slot = state.numbers().chosen_end;
    const paxos::Value value = batch_of(commands);
    const auto applied = state.apply(slot, value).value();
    next.learned.push_back({slot, {1}, {1, {1}}, value});
    if (applied.row.count != 0) next.index.push_back(applied.row);
    if (applied.run) next.runs.push_back(*applied.run);
  }
  void write() {
    next.numbers = state.numbers();
    next.rows = state.take_changed();
    store.write_state(std::exchange(next, {}));
    settle();
  }
  void settle() {
    store.sync();
    loop.run();
  }
  void set_policy(std::uint64_t bytes) {
    Command command;
    command.kind = CommandKind::set_retention;
    command.session = {1};
    command.sequence = ++sequence;
    command.count = 1;
    apply({command_with(command, body_of(RetentionPolicy{bytes, 0}))});
  }
  /// As on a node that had three runs, and has copied what is above the tenth. It has rows of the
  /// runs from `rows_begin` on; the log has 40, and is trimmed up to the 35th.
  void copy_from_run_10(std::uint64_t rows_begin) {
    while (state.numbers().chosen_end < Slot{kSlots}) {
      apply({append_command({1}, ++sequence, {"x"})});
    }
    apply({trim_command({1}, ++sequence, 35 * kRunSlots)});
    std::erase_if(next.runs, [&](const RunRow& run) { return run.number < rows_begin; });
    write();
    disk.cached.holding.slots_begin = disk.synced.holding.slots_begin = {10 * kRunSlots};
  }
  void answer() {
    for (auto& read : std::exchange(reads, {})) read();
  }
  void tick(bool leads, std::uint64_t needed = 1000, std::uint64_t snapshot = 1000) {
    trimmer.tick(now += seconds(1), state, leads, {{needed}, needed_bytes, {snapshot}});
  }
  /// Looks at what can be given up, with these bounds, until nothing changes.
  std::uint64_t first_slot(std::uint64_t needed, std::uint64_t snapshot) {
    for (int i = 0; i < 6; ++i) {
      tick(false, needed, snapshot);
      answer();
      settle();
    }
    return store.holding().first_slot.value;
  }

  static constexpr std::uint64_t kSlots = 40 * kRunSlots;
  Time now{};
  std::uint64_t needed_bytes = UINT64_MAX;
  sim::SimLoop loop{1};
  sim::Disk disk;
  std::vector<std::function<void()>> reads;
  sim::MemoryStore store{loop, disk, hooks()};
  LogState state;
  StateWrite next;
  Sequence sequence;
  std::vector<RetainCommand> proposed;
  Trimmer trimmer{store, [this](const RetainCommand& command) { proposed.push_back(command); }};
};

}  // namespace

TEST_SUITE("log.trimmer") {
  // Otherwise a log that is to keep more from now on is trimmed by what it was to keep before.
  TEST_CASE("a leader's trim names the policy that it was computed by, however late it is") {
    Bench bench;
    bench.set_policy(1000);
    const Slot computed_by = bench.state.retention().policy_slot();
    bench.tick(true);
    bench.set_policy(1 << 30);
    bench.answer();
    REQUIRE(bench.proposed.size() == 1);
    CHECK(bench.proposed[0].policy_slot == computed_by);
    CHECK(bench.state.retention().policy_slot() != computed_by);
    bench.tick(true);  // By the new one there is nothing to trim.
    bench.answer();
    CHECK(bench.proposed.size() == 1);
  }

  TEST_CASE("only a leader proposes, and nothing without a policy") {
    Bench bench;
    bench.tick(true);
    bench.answer();
    bench.set_policy(1000);
    bench.tick(false);
    bench.answer();
    CHECK(bench.proposed.empty());
  }

  // Invariant 14.
  TEST_CASE("slots go below a durable trim point, and none that another member lacks") {
    Bench bench;
    bench.apply({trim_command({1}, ++bench.sequence, 590)});
    CHECK(bench.first_slot(1000, 1000) == 1);  // Applied, and not durable.
    bench.write();
    CHECK(bench.first_slot(255, 1000) == 1);
    CHECK(bench.first_slot(511, 1000) == kRunSlots);
    CHECK(bench.first_slot(1000, 1000) == 2 * kRunSlots);
    CHECK(bench.trimmer.retained_bytes(bench.state.numbers()).value() <
          bench.state.numbers().log_bytes / 4);
  }

  // A node that lacks them could not come back.
  TEST_CASE("slots stay as long as no snapshot is above them, and that one is missing is told") {
    Bench bench;
    bench.apply({trim_command({1}, ++bench.sequence, 590)});
    bench.write();
    CHECK(bench.first_slot(1000, 0) == 1);
    CHECK(bench.trimmer.waits_for_snapshot());
    CHECK(bench.first_slot(1000, 300) == kRunSlots);
    CHECK(bench.trimmer.waits_for_snapshot());
    CHECK(bench.first_slot(1000, 512) == 2 * kRunSlots);
    CHECK_FALSE(bench.trimmer.waits_for_snapshot());  // The rest is no complete run.
  }

  // What was copied goes a little at a time, too: a commit that erases everything takes long.
  TEST_CASE("after an install the gap goes first, and then a few runs per commit") {
    Bench bench;
    bench.copy_from_run_10(10);
    sim::MemoryStore store(bench.loop, bench.disk, bench.hooks());
    REQUIRE(store.load());
    Trimmer trimmer(store, [](const RetainCommand&) {});
    std::vector<std::uint64_t> ends;
    for (int i = 0; i < 100; ++i) {
      trimmer.tick(bench.now += seconds(1), bench.state, false,
                   {{Bench::kSlots}, 0, {Bench::kSlots}});
      bench.answer();
      store.sync();
      bench.loop.run();
      const std::uint64_t runs = store.holding().first_slot.value / kRunSlots;
      if (ends.empty() || ends.back() != runs) ends.push_back(runs);
    }
    CHECK(ends == std::vector<std::uint64_t>{0, 2, 10, 14, 18, 22, 26, 30, 34, 35});
  }

  TEST_CASE("after an install with the row of its first run rotten, what is trimmed goes at once") {
    Bench bench;
    bench.copy_from_run_10(11);
    sim::MemoryStore store(bench.loop, bench.disk, bench.hooks());
    REQUIRE(store.load());
    Trimmer trimmer(store, [](const RetainCommand&) {});
    for (int i = 0; i < 100; ++i) {
      trimmer.tick(bench.now += seconds(1), bench.state, false,
                   {{Bench::kSlots}, 0, {Bench::kSlots}});
      bench.answer();
      store.sync();
      bench.loop.run();
    }
    CHECK(store.holding().first_slot == Slot{35 * kRunSlots});
  }
}

}  // namespace stele::log
