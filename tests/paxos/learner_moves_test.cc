// A learner that lacks slots which are gone, and one whose state becomes that of a snapshot.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "paxos/learner.h"
#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

constexpr Ballot kB1{1, kN1};

struct Bench {
  void vote(std::uint64_t slot, Ballot ballot, std::string_view text) {
    learner.on_voted(now, record(slot, ballot, text), out);
  }
  void hear(NodeId source, Body body) { learner.step(now, source, message(std::move(body)), out); }
  void tick(Duration passed) {
    now += passed;
    learner.tick(now, out);
  }
  std::vector<std::string> applied() {
    std::vector<std::string> texts;
    for (const auto& applied : out.applied) texts.push_back(text_of(applied.record.value));
    return texts;
  }

  Learner learner{kN3, three_nodes(), {1}, {milliseconds(400), 1'000'000'000}};
  Learner::Effects out;
  Time now{milliseconds(1)};
};

}  // namespace

TEST_SUITE("paxos.learner.moves") {
  TEST_CASE(
      "a slot that is given up everywhere is told as such, and one that is only late is not") {
    Bench bench;
    bench.hear(kN1, ChosenEnd{{900}});
    bench.hear(kN2, ChosenEnd{{900}});
    for (int i = 0; i < 10 && !bench.out.fetch_failed; ++i) {
      bench.tick(milliseconds(400));
      for (const NodeId node : {kN1, kN2}) bench.hear(node, Fetched{{1}, {900}, {}});
    }
    CHECK(bench.out.fetch_failed);
    CHECK_FALSE(bench.out.slots_gone);
    bench.out = {};
    for (int i = 0; i < 10 && !bench.out.fetch_failed; ++i) {
      bench.tick(milliseconds(400));
      for (const NodeId node : {kN1, kN2}) bench.hear(node, Fetched{{1}, {900}, {}, {513}});
    }
    CHECK(bench.out.slots_gone);
  }

  TEST_CASE("move_to: goes on from there, with the votes and what is chosen from there on") {
    Bench bench;
    bench.vote(1, kB1, "a");
    bench.vote(7, kB1, "g");
    bench.vote(8, kB1, "h");
    bench.hear(kN1, Chosen{kB1, {6}, {8}});
    bench.learner.set_moving(true);
    bench.hear(kN2, Fetched{{1}, {3}, {record(1, kB1, "a"), record(2, kB1, "b")}});
    CHECK(bench.applied().empty());
    bench.learner.move_to({7});
    CHECK(bench.learner.chosen_end() == Slot{7});
    CHECK(bench.learner.check().empty());
    bench.learner.set_moving(false);
    bench.tick(milliseconds(1));
    CHECK(bench.applied() == std::vector<std::string>{"g"});
    bench.hear(kN1, Chosen{kB1, {8}, {9}});
    CHECK(bench.applied() == std::vector<std::string>{"g", "h"});
  }
}

}  // namespace stele::paxos
