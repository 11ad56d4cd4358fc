#include "paxos/learner.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

constexpr Ballot kB1{1, kN1};
constexpr Ballot kB2{2, kN2};

struct Bench {
  explicit Bench(Slot chosen_end = {1}, std::uint64_t bytes_per_second = 1'000'000'000)
      : learner(kN3, three_nodes(), chosen_end, {milliseconds(400), bytes_per_second}) {}

  void vote(std::uint64_t slot, Ballot ballot, std::string_view text) {
    learner.on_voted(now, record(slot, ballot, text), out);
  }
  void hear(NodeId source, Body body) { learner.step(now, source, message(std::move(body)), out); }
  /// A heartbeat, and how far the leader is.
  void hear_leader(NodeId source, Slot chosen_end) {
    hear(source, Heartbeat{kB1, 1});
    hear(source, ChosenEnd{chosen_end});
  }
  void tick(Duration passed) {
    now += passed;
    learner.tick(now, out);
  }

  /// What has been applied, as texts, in order.
  std::vector<std::string> applied() {
    std::vector<std::string> texts;
    for (const auto& applied : out.applied) texts.push_back(text_of(applied.record.value));
    return texts;
  }
  /// Own votes were asked for, and are not among those that are read at once.
  Learner::ReadVotes ask_for_latest() {
    const Learner::ReadVotes first = std::exchange(out.read_votes, std::nullopt).value();
    CHECK_FALSE(first.latest);
    learner.on_votes(now, first, {}, first.slot_end, out);
    const Learner::ReadVotes again = std::exchange(out.read_votes, std::nullopt).value();
    CHECK(again == Learner::ReadVotes{first.slot_begin, first.slot_end, true});
    return again;
  }
  std::vector<Fetch> fetches() { return all_of<Fetch>(out.sends); }

  Learner learner;
  Learner::Effects out;
  Time now{milliseconds(1)};
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_SUITE("paxos.learner") {
  TEST_CASE("on_chosen: the own vote of that ballot is applied, in order") {
    Bench bench;
    bench.vote(1, kB1, "a");
    bench.vote(2, kB1, "b");
    bench.hear(kN1, Chosen{kB1, {2}, {3}});
    CHECK(bench.applied().empty());
    bench.hear(kN1, Chosen{kB1, {1}, {2}});
    CHECK(bench.applied() == Texts{"a", "b"});
    CHECK(bench.learner.chosen_end() == Slot{3});
    CHECK_FALSE(bench.out.applied[0].learned);
  }

  // Design, "chosen": a vote of a lower ballot may be for another value.
  TEST_CASE("on_chosen: a vote of a lower ballot is not applied, the value is fetched") {
    Bench bench;
    bench.vote(1, kB1, "old");
    bench.hear(kN2, Chosen{kB2, {1}, {2}});
    CHECK(bench.applied().empty());
    bench.hear_leader(kN2, {2});
    REQUIRE(bench.fetches().size() == 1);
    bench.hear(kN2, Fetched{{1}, {2}, {record(1, kB2, "new")}});
    CHECK(bench.applied() == Texts{"new"});
    CHECK(bench.out.applied[0].learned);
  }

  TEST_CASE("on_chosen: a vote of a higher ballot than told is that same value") {
    Bench bench;
    bench.hear(kN1, Chosen{kB1, {1}, {2}});
    bench.vote(1, kB2, "a");
    CHECK(bench.applied() == Texts{"a"});
  }

  TEST_CASE("on_hint: marks nothing, and fetches from who has it") {
    Bench bench;
    bench.vote(1, kB1, "a");
    bench.hear_leader(kN2, {2});
    CHECK(bench.applied().empty());
    REQUIRE(bench.out.sends.size() == 1);
    CHECK(bench.out.sends[0].to == kN2);
    CHECK(bench.fetches()[0] == Fetch{{1}});
  }

  TEST_CASE("on_fetched: goes on until it has caught up, one request at a time") {
    Bench bench;
    bench.hear_leader(kN2, {4});
    bench.tick(milliseconds(10));
    CHECK(bench.fetches().size() == 1);
    bench.hear(kN2, Fetched{{1}, {4}, {record(1, kB1, "a"), record(2, kB1, "b")}});
    REQUIRE(bench.fetches().size() == 2);
    CHECK(bench.fetches()[1] == Fetch{{3}});
    bench.hear(kN2, Fetched{{3}, {4}, {record(3, kB1, "c")}});
    CHECK(bench.applied() == Texts{"a", "b", "c"});
    CHECK(bench.fetches().size() == 2);
  }

  TEST_CASE("on_fetched: goes on at the pace that is allowed, after a short burst") {
    Bench bench({1}, 1'000'000);
    bench.tick(milliseconds(100));
    bench.hear_leader(kN2, {60});
    // 10 kB are 10 ms; 25 ms may be made up for.
    const auto fetched = [&] {
      const Slot slot = bench.fetches().back().slot_begin;
      const std::size_t before = bench.fetches().size();
      bench.hear(kN2, Fetched{slot, {60}, {record(slot.value, kB1, std::string(10'000, 'v'))}});
      return bench.fetches().size() != before;
    };
    CHECK(fetched());
    CHECK(fetched());
    CHECK_FALSE(fetched());
    bench.tick(milliseconds(4));
    CHECK(bench.fetches().size() == 3);
    bench.tick(milliseconds(1));
    CHECK(bench.fetches().size() == 4);
    CHECK_FALSE(fetched());
    // However long nothing was fetched.
    bench.tick(milliseconds(10'000));
    CHECK(fetched());
    CHECK(fetched());
    CHECK_FALSE(fetched());
  }

  TEST_CASE("fetch: lagging far, others than the leader are asked first, and then who has it") {
    Bench bench;
    bench.hear_leader(kN1, {1000});
    REQUIRE(bench.fetches().size() == 1);
    CHECK(bench.out.sends.back().to == kN2);
    bench.hear(kN2, Fetched{{1}, {900}, {record(1, kB1, "a"), record(2, kB1, "b")}});
    CHECK(bench.applied() == Texts{"a", "b"});
    CHECK(bench.out.sends.back().to == kN2);
    CHECK(bench.fetches().back() == Fetch{{3}});

    SUBCASE("one that is not so far itself") {
      bench.hear(kN2, Fetched{{3}, {3}, {}});
      CHECK(bench.out.sends.back().to == kN1);
    }
    SUBCASE("one that does not serve, once and for all") {
      bench.hear(kN2, Fetched{{3}, {900}, {}});
      CHECK(bench.out.sends.back().to == kN1);
      bench.hear(kN1, Fetched{{3}, {1000}, {record(3, kB1, "c")}});
      CHECK(bench.out.sends.back().to == kN1);
    }
    SUBCASE("one that does not answer") {
      bench.tick(milliseconds(400));
      CHECK(bench.out.sends.back().to == kN1);
    }
    CHECK_FALSE(bench.out.fetch_failed);
  }

  TEST_CASE("fetch: lagging a little, the leader is asked") {
    Bench bench;
    bench.hear_leader(kN1, {60});
    REQUIRE(bench.fetches().size() == 1);
    CHECK(bench.out.sends.back().to == kN1);
  }

  TEST_CASE("on_fetched: an answer that comes late is taken, if nothing is missing before it") {
    Bench bench;
    bench.hear_leader(kN2, {4});
    bench.tick(milliseconds(500));  // Its question has been given up.
    bench.hear(kN2, Fetched{{2}, {4}, {record(2, kB1, "b"), record(3, kB1, "c")}});
    CHECK(bench.applied().empty());
    bench.hear(kN2, Fetched{{1}, {3}, {record(1, kB1, "a"), record(2, kB1, "b")}});
    CHECK(bench.applied() == Texts{"a", "b"});
  }

  TEST_CASE("tick: after an answer that did not come in time the next one gets longer") {
    Bench bench;
    bench.hear_leader(kN2, {4});
    std::vector<Time> asked;
    for (int i = 0; i < 400; ++i) {
      const std::size_t before = bench.fetches().size();
      bench.tick(milliseconds(10));
      if (bench.fetches().size() != before) asked.push_back(bench.now);
    }
    REQUIRE(asked.size() == 3);
    CHECK(asked[1] - asked[0] > milliseconds(700));
    CHECK(asked[2] - asked[1] > milliseconds(1500));
  }

  TEST_CASE("on_hint: an older hint that arrives late does not take back a newer one") {
    Bench bench;
    bench.learner.set_paused(true);
    bench.hear_leader(kN2, {5});
    bench.hear_leader(kN2, {1});
    bench.learner.set_paused(false);
    bench.tick(milliseconds(10));
    CHECK(bench.fetches().size() == 1);
  }

  TEST_CASE("tick: a fetch without an answer goes to another node that has the value") {
    Bench bench;
    bench.hear_leader(kN1, {2});
    bench.hear(kN2, HeartbeatAck{kB1, 1, kB1, {2}, false});
    const NodeId first = bench.out.sends.at(0).to;
    bench.tick(milliseconds(400));
    REQUIRE(bench.out.sends.size() == 2);
    CHECK(bench.out.sends[1].to != first);
  }

  TEST_CASE("on_fetched: empty answers from all who should have it are told as a failure") {
    Bench bench;
    bench.hear_leader(kN1, {2});
    for (int i = 0; i < 10 && !bench.out.fetch_failed; ++i) {
      bench.hear(kN1, Fetched{{1}, {2}, {}});
      bench.tick(milliseconds(10));
    }
    CHECK(bench.out.fetch_failed);
  }

  TEST_CASE("set_paused: fetches nothing while the disk lags") {
    Bench bench;
    bench.learner.set_paused(true);
    bench.hear_leader(kN1, {2});
    CHECK(bench.fetches().empty());
    bench.learner.set_paused(false);
    bench.tick(milliseconds(10));
    CHECK(bench.fetches().size() == 1);
  }

  // After a restart the votes are on the disk, not in memory.
  TEST_CASE("read_votes: own votes are read back before anything is fetched") {
    Bench bench({5});
    bench.hear(kN1, Chosen{kB1, {5}, {8}});
    REQUIRE(bench.out.read_votes);
    CHECK(*bench.out.read_votes == Learner::ReadVotes{{5}, {8}});
    bench.hear_leader(kN1, {8});
    CHECK(bench.fetches().empty());
    const Learner::ReadVotes asked = *bench.out.read_votes;
    bench.learner.on_votes(bench.now, asked, {record(5, kB1, "e"), record(6, kB1, "f")}, {7},
                           bench.out);
    CHECK(bench.applied() == Texts{"e", "f"});
    // Slot 7 was not among them: read again, also among those that are still being written, and
    // only if it is not there, fetched.
    REQUIRE(*bench.out.read_votes == Learner::ReadVotes{{7}, {8}});
    bench.learner.on_votes(bench.now, {{7}, {8}}, {}, {8}, bench.out);
    CHECK(bench.fetches().empty());
    REQUIRE(*bench.out.read_votes == Learner::ReadVotes{{7}, {8}, true});
    bench.learner.on_votes(bench.now, {{7}, {8}, true}, {}, {8}, bench.out);
    CHECK(bench.fetches() == std::vector{Fetch{{7}}});
  }

  TEST_CASE("read_votes: of those that are read at once only what is known to be chosen counts") {
    Bench bench({5});
    const Ballot later{kB1.round + 1, kN2};
    bench.hear(kN1, Chosen{later, {5}, {7}});
    const Learner::ReadVotes asked{{5}, {7}};
    REQUIRE(bench.out.read_votes == asked);
    // The vote for slot 6 is an older one; the newer one is on its way to the disk.
    bench.learner.on_votes(bench.now, asked, {record(5, later, "e"), record(6, kB1, "old")}, {7},
                           bench.out);
    CHECK(bench.applied() == Texts{"e"});
    REQUIRE(*bench.out.read_votes == Learner::ReadVotes{{6}, {7}});
    bench.learner.on_votes(bench.now, {{6}, {7}}, {record(6, kB1, "old")}, {7}, bench.out);
    REQUIRE(*bench.out.read_votes == Learner::ReadVotes{{6}, {7}, true});
    bench.learner.on_votes(bench.now, {{6}, {7}, true}, {record(6, later, "f")}, {7}, bench.out);
    CHECK(bench.applied() == Texts{"e", "f"});
    CHECK(bench.fetches().empty());
  }

  // A node that was away for long has no votes to look for.
  TEST_CASE("read_votes: a hole among the own votes is read once, and all of it fetched") {
    Bench bench({5});
    bench.hear_leader(kN1, {20});
    bench.hear(kN1, Chosen{kB1, {5}, {20}});
    const Learner::ReadVotes asked = bench.ask_for_latest();
    bench.learner.on_votes(bench.now, asked, {record(9, kB1, "i")}, {20}, bench.out);
    for (std::uint64_t slot = 5; slot < 9; ++slot) {
      CHECK(bench.fetches().back() == Fetch{{slot}});
      bench.hear(kN1, Fetched{{slot}, {20}, {record(slot, kB1, "x")}});
    }
    CHECK(bench.applied() == Texts{"x", "x", "x", "x", "i"});
    // A vote for a slot that was missing is one.
    CHECK(bench.out.read_votes);
  }

  TEST_CASE("read_votes: a vote that came meanwhile, and did not fit into memory, is not missing") {
    Bench bench({1});
    const std::string big(1 << 20, 'x');
    bench.hear_leader(kN1, {40});
    bench.hear(kN1, Chosen{kB1, {1}, {40}});
    const Learner::ReadVotes asked = bench.ask_for_latest();
    for (std::uint64_t slot = 3; slot <= 39; ++slot) bench.vote(slot, kB1, big);
    bench.learner.on_votes(bench.now, asked, {}, {40}, bench.out);
    for (std::uint64_t slot = 1; slot <= 2; ++slot) {
      bench.hear(kN1, Fetched{{slot}, {40}, {record(slot, kB1, "y")}});
    }
    REQUIRE(bench.out.read_votes);
    CHECK(bench.out.read_votes->slot_begin > Slot{3});
    CHECK(bench.fetches().size() == 2);
  }

  TEST_CASE("serve: a fetch is answered from the store") {
    Bench bench;
    bench.hear(kN1, Fetch{{3}});
    CHECK(bench.out.serves == std::vector{Learner::Serve{kN1, {3}}});
  }

  TEST_CASE("on_voted: memory is bounded; what does not fit is read back in its turn") {
    Bench bench;
    const std::string big(1 << 20, 'x');
    for (std::uint64_t slot = 1; slot <= 40; ++slot) bench.vote(slot, kB1, big);
    bench.hear(kN1, Chosen{kB1, {1}, {41}});
    CHECK(bench.out.applied.size() == Learner::kVotesBytesMax >> 20);
    REQUIRE(bench.out.read_votes);
    CHECK(bench.out.read_votes->slot_begin == bench.learner.chosen_end());
  }

  TEST_CASE("on_chosen: more ranges than are kept cost a fetch, not the value") {
    Bench bench;
    for (std::uint64_t i = 0; i < 2 * Learner::kRangesMax; ++i) {
      bench.hear(kN1, Chosen{{i + 1, kN1}, {2 * i + 2}, {2 * i + 3}});
    }
    CHECK(bench.learner.known_end() == Slot{4 * Learner::kRangesMax + 1});
    bench.hear_leader(kN1, {600});
    CHECK(bench.fetches().size() == 1);
  }

  // Protocol-Aware Recovery: a rotten record below chosen_end is fetched again; nothing is applied
  // twice.
  TEST_CASE("repair: a chosen record that cannot be read is fetched from others") {
    Bench bench({5});
    bench.hear_leader(kN1, {5});
    bench.learner.repair(bench.now, {3}, bench.out);
    CHECK(bench.fetches() == std::vector{Fetch{{3}}});
    bench.hear(kN1, Fetched{{3}, {5}, {record(3, kB1, "c"), record(4, kB1, "d")}});
    REQUIRE(bench.out.repaired.size() == 1);
    CHECK(bench.out.repaired[0] == record(3, kB1, "c"));
    CHECK(bench.applied().empty());
    CHECK(bench.learner.chosen_end() == Slot{5});
  }

  // In a star the other nodes cannot be reached: to ask them first would repair nothing.
  TEST_CASE("repair: asks who is known to have the record, however old it is") {
    Bench bench({200});
    bench.hear_leader(kN1, {200});
    bench.learner.repair(bench.now, {3}, bench.out);
    const auto asked = receivers_of<Fetch>(bench.out.sends);
    CHECK(asked.size() == 1);
    CHECK(asked.contains(kN1));
  }

  TEST_CASE("repair: that nobody can serve does not unseat the leader") {
    Bench bench({5});
    bench.hear_leader(kN1, {5});
    bench.learner.repair(bench.now, {3}, bench.out);
    bench.learner.repair(bench.now, {4}, bench.out);
    for (int i = 0; i < 10; ++i) {
      bench.hear(kN1, Fetched{{3}, {5}, {}});
      bench.tick(milliseconds(10));
    }
    CHECK_FALSE(bench.out.fetch_failed);
    CHECK(bench.fetches() == std::vector{Fetch{{3}}, Fetch{{4}}});  // Nor does it hold up others.
  }

  TEST_CASE("step: messages of another epoch are ignored") {
    Bench bench;
    bench.vote(1, kB1, "a");
    bench.learner.step(bench.now, kN1, {{2}, Chosen{kB1, {1}, {2}}}, bench.out);
    CHECK(bench.applied().empty());
  }

  TEST_CASE("set_held: nothing is handed on or fetched meanwhile, and then everything, in order") {
    Bench bench;
    bench.learner.set_held(bench.now, true, bench.out);
    bench.vote(1, kB1, "a");
    bench.vote(2, kB1, "b");
    bench.hear(kN1, Chosen{kB1, {1}, {3}});
    bench.hear_leader(kN1, {100});
    bench.tick(milliseconds(500));
    CHECK(bench.applied().empty());
    CHECK(bench.learner.chosen_end() == Slot{1});
    CHECK(bench.fetches().empty());
    bench.learner.set_held(bench.now, false, bench.out);
    CHECK(bench.applied() == Texts{"a", "b"});
    CHECK(bench.fetches().size() == 1);
  }
}

}  // namespace stele::paxos
