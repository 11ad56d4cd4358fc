#include "log/replica/learner_actor.h"

#include <doctest/doctest.h>

#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/state.h"
#include "tests/support/tabled_counters.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;

constexpr Ballot kBallot{1, {2}};

/// The learner of node 1, whose votes are durable at once. Slot 1 opens a session, each later one
/// holds an append in it.
struct Bench final : LearnerListener {
  explicit Bench(Sections with = known_sections()) : sections(std::move(with)) {
    loop.advance(milliseconds(1000));
    vote(batch_of({open_command(1)}));
    sync();
    REQUIRE(state_of(store, sections).sessions().size() == 1);
  }

  paxos::Value append(const std::string& entry) {
    return batch_of({append_command({1}, {++sequence}, {entry})});
  }
  paxos::SlotRecord record(paxos::Value value) {
    return {{slots++}, {1}, kBallot, std::move(value)};
  }
  void vote(paxos::Value value) {
    const paxos::SlotRecord voted = record(std::move(value));
    store.write_votes({paxos::WriteAccepted{voted}}, {});
    actor->on_voted(voted);
    actor->tell({{2}, {{1}, paxos::Chosen{kBallot, voted.slot, voted.slot + 1}}});
    loop.run();
  }
  void sync() {
    store.sync();
    loop.run();
  }
  std::vector<std::string> read() {
    std::vector<std::string> found;
    actor->read({1}, {100}, SIZE_MAX,
                [&](const EntriesRead& read) { found = payloads(read.entries); });
    loop.run();
    return found;
  }

  void send(paxos::Send send) override { sent.push_back(std::move(send)); }
  [[nodiscard]] paxos::Progress progress(NodeId) const override { return arrived; }
  void on_cannot_go_on(const Error& error) override { ended.push_back(error.detail); }
  void on_applied(const LogState::Applied&) override {}
  void on_chosen_end(Slot) override {}
  void on_fetch_failed(bool) override {}
  void on_not_installed(Slot, const Error&) override {}
  void on_installed(Slot) override {}
  void on_faulty_slot(Slot) override {}
  void on_repaired_slot(Slot) override {}

  Sections sections;
  sim::SimLoop loop{1};
  sim::Disk disk;
  /// Reads are held back while there is a list for them.
  std::optional<std::vector<std::function<void()>>> reads;
  sim::MemoryStore store{loop,
                         disk,
                         {.commit_wanted = {},
                          .read_later =
                              [this](std::function<void()> read) {
                                if (reads) return reads->push_back(std::move(read));
                                loop.post(std::move(read));
                              },
                          .failed = {},
                          .reads = {}}};
  std::vector<paxos::Send> sent;
  std::vector<std::string> ended;
  paxos::Progress arrived;
  std::unique_ptr<LearnerActor> actor = std::make_unique<LearnerActor>(
      loop, store, paxos::Learner({1}, paxos::three_nodes(), {1}, {milliseconds(100)}),
      LogState(sections), sections, Epoch{1}, 1 << 20, *this);
  std::uint64_t slots = 1;
  Sequence sequence;
};

}  // namespace

TEST_SUITE("log.learner_actor") {
  TEST_CASE("state: what several slots change is written once, and can be read meanwhile") {
    Bench bench;
    bench.vote(bench.append("a"));
    bench.vote(bench.append("b"));
    bench.sync();
    CHECK_FALSE(bench.store.dirty());
    CHECK(bench.store.readable().next_lsn == Lsn{1});
    CHECK(bench.read() == std::vector<std::string>{"a", "b"});
    bench.loop.advance(LearnerActor::kWriteStateEvery);
    bench.vote(bench.append("c"));
    CHECK(bench.store.dirty());
    bench.sync();
    const auto content = bench.store.load();
    CHECK(content->numbers.next_lsn == Lsn{4});
    CHECK(content->numbers.chosen_end == Slot{5});
    CHECK(state_of(*content).sessions().next_sequence({1}) == Sequence{4});
    CHECK(bench.disk.synced.index.size() == 3);
  }

  TEST_CASE("state: of the last slots it is written without a next one") {
    Bench bench;
    bench.vote(bench.append("a"));
    bench.actor->tick();
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{1});
    bench.loop.advance(LearnerActor::kWriteStateEvery);
    bench.actor->tick();
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{2});
  }

  TEST_CASE("state: nothing is left out at a clean end") {
    Bench bench;
    bench.vote(bench.append("a"));
    bench.actor.reset();
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{2});
  }

  TEST_CASE("state: waits no longer beside large values") {
    Bench bench;
    const std::string half(LearnerActor::kWriteStateBytes / 2, 'x');
    bench.vote(bench.append(half));
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{1});
    bench.vote(bench.append(half));
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{3});
  }

  TEST_CASE("a chosen value that this version does not know ends the node, and nothing is said") {
    Bench bench;
    const Slot end = bench.store.load()->numbers.chosen_end;
    bench.vote(with_bytes(bench.append("newer"), 0, {9, 0}));
    REQUIRE(bench.ended.size() == 1);
    CHECK(bench.ended[0].find("holds a batch of log format 9") != std::string::npos);
    CHECK(bench.actor->state().numbers().chosen_end == end);
    bench.vote(bench.append("after it"));
    bench.loop.advance(LearnerActor::kWriteStateEvery);
    bench.actor->tick();
    bench.sync();
    CHECK(bench.actor->state().numbers().chosen_end == end);
    CHECK(bench.store.load()->numbers.chosen_end == end);
    CHECK(bench.ended.size() == 1);
  }

  TEST_CASE("state: goes with what was fetched, at once") {
    Bench bench;
    bench.vote(bench.append("a"));
    const paxos::SlotRecord fetched = bench.record(bench.append("b"));
    bench.actor->tell({{2}, {{1}, paxos::ChosenEnd{{4}}}});
    bench.loop.advance(milliseconds(1));
    bench.actor->tick();
    bench.loop.run();
    REQUIRE(paxos::all_of<paxos::Fetch>(bench.sent).size() == 1);
    bench.actor->tell({{2}, {{1}, paxos::Fetched{{3}, {4}, {fetched}}}});
    bench.loop.run();
    CHECK(bench.store.dirty());
    bench.actor->tick();  // Nobody else makes it durable.
    bench.sync();
    CHECK(bench.store.readable().next_lsn == Lsn{3});
    CHECK(bench.disk.synced.slots.at({3}) == fetched);
  }

  TEST_CASE("serve: another node gets what is applied, as soon as it is durable") {
    Bench bench;
    bench.vote(bench.append("a"));
    const auto ask = [&] {
      bench.sent.clear();
      bench.actor->tell({{3}, {{1}, paxos::Fetch{{2}}}});
      bench.loop.run();
      REQUIRE(paxos::all_of<paxos::Fetched>(bench.sent).size() == 1);
      return paxos::all_of<paxos::Fetched>(bench.sent)[0].records.size();
    };
    CHECK(ask() == 0);
    bench.actor->tick();
    bench.sync();
    CHECK(ask() == 1);
    bench.vote(bench.append("b"));
    bench.sync();
    CHECK(ask() == 1);  // And what was written before makes nothing be written.
    CHECK_FALSE(bench.store.dirty());
    // Asked again while the answer is on a slow line: it comes.
    bench.arrived.sent = 1000;
    CHECK(ask() == 1);
    bench.sent.clear();
    bench.actor->tell({{3}, {{1}, paxos::Fetch{{2}}}});
    bench.loop.run();
    CHECK(bench.sent.empty());
    bench.arrived.arrived = 1000;
    CHECK(ask() == 1);
  }

  TEST_CASE(
      "serve: what another node copies it gets in two pieces at once, what it applies in one") {
    Bench bench;
    for (const char* entry : {"a", "b", "c"}) bench.vote(bench.append(entry));
    bench.actor->tick();
    bench.sync();
    const auto answers = [&](std::vector<std::uint64_t> slots, bool copies) {
      bench.reads.emplace();
      bench.sent.clear();
      for (const std::uint64_t slot : slots) {
        bench.actor->tell({{3}, {{1}, paxos::Fetch{{slot}, copies}}});
        bench.loop.run();
      }
      const auto begun = std::exchange(bench.reads, std::nullopt);
      for (const auto& read : *begun) read();
      bench.loop.run();
      std::vector<std::uint64_t> answered;
      for (const auto& one : paxos::all_of<paxos::Fetched>(bench.sent)) {
        answered.push_back(one.slot_begin.value);
      }
      return answered;
    };
    using Slots = std::vector<std::uint64_t>;
    CHECK(answers({1, 2, 3}, false) == Slots{1});
    CHECK(answers({1, 2, 1, 3}, true) == Slots{1, 2});
    // Asked again while it is on a slow line; others are served.
    bench.arrived.sent = 1000;
    CHECK(answers({3}, true) == Slots{3});
    CHECK(answers({3, 1}, true) == Slots{1});
  }

  // A node that lags applies faster than its tables come to know of it.
  TEST_CASE("read_votes: no more are read back than memory holds until the store can be read") {
    Bench bench;
    const std::string entry(1 << 20, 'x');
    const std::uint64_t begin = bench.slots;
    for (int i = 0; i < 30; ++i) {
      bench.store.write_votes({paxos::WriteAccepted{bench.record(bench.append(entry))}}, {});
    }
    bench.sync();
    const auto applied = [&] { return bench.actor->state().numbers().chosen_end.value - begin; };
    bench.actor->tell({{2}, {{1}, paxos::Chosen{kBallot, {begin}, {begin + 30}}}});
    bench.loop.run();
    const std::uint64_t first = applied();
    CHECK(first >= LearnerActor::kUnreadableBytesMax >> 20);
    CHECK(first < 20);
    bench.actor->tick();
    bench.loop.run();
    CHECK(applied() == first);
    for (int i = 0; i < 10 && applied() < 30; ++i) {
      bench.sync();
      bench.actor->tick();
      bench.loop.run();
    }
    CHECK(applied() == 30);
  }

  // Invariant 8: slots are applied in order, whatever they have to wait for.
  TEST_CASE("rows: a slot whose rows are on the disk waits for them, and all after it wait, too") {
    Bench bench(with_tabled_counters());
    const auto count = [&](std::uint64_t counter) {
      return batch_of({count_command({1}, {++bench.sequence}, counter)});
    };
    const auto end = [&] { return bench.actor->state().numbers().chosen_end.value; };
    bench.reads.emplace();
    bench.vote(count(7));
    REQUIRE(bench.reads->size() == 1);
    bench.vote(bench.append("after"));
    bench.vote(count(8));
    CHECK(end() == 2);
    CHECK(bench.reads->size() == 1);  // One at a time.
    auto first = std::exchange(*bench.reads, {});
    first.at(0)();
    bench.loop.run();
    CHECK(end() == 4);  // The append, and then counter 8 is missing.
    REQUIRE(bench.reads->size() == 1);
    auto second = std::exchange(*bench.reads, {});
    second.at(0)();
    bench.loop.run();
    CHECK(end() == 5);
    bench.vote(count(7));  // Still in memory.
    CHECK(end() == 6);
    CHECK(bench.reads->empty());
    bench.reads.reset();
    CHECK(bench.read() == std::vector<std::string>{"after"});
  }
}

}  // namespace stele::log
