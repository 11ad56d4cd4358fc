#include "log/replica/state_comparison.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::kN3;
using Verdict = StateComparison::Verdict;

constexpr Time kNow{};
constexpr Time kLater = kNow + StateComparison::kPatience;

/// A node that applies slots; from `wrong_from` on its state is another one.
struct Teller {
  explicit Teller(NodeId node, std::uint64_t wrong = UINT64_MAX, std::size_t of = 3)
      : id(node), wrong_from(wrong), comparison(node, of) {}
  NodeId id;
  std::uint64_t wrong_from;
  StateTrail trail;
  StateComparison comparison;

  void apply_to(std::uint64_t chosen_end) {
    for (std::uint64_t end = std::max<std::uint64_t>(trail.newest().chosen_end.value, 1) + 1;
         end <= chosen_end; ++end) {
      trail.add({{end}, end * 7919 + (end >= wrong_from ? 1 : 0)});
    }
    comparison.compare_waiting(trail, kNow);
  }
  void hear(const Teller& other, Time now = kNow) {
    for (const StatePoint& point : other.comparison.points(other.trail)) {
      comparison.reported(other.id, point, trail, now);
    }
  }
};

/// Everybody reports to everybody, `rounds` times.
void talk(std::vector<Teller*> nodes, int rounds = 2) {
  for (int i = 0; i < rounds; ++i) {
    for (Teller* from : nodes) {
      for (Teller* to : nodes) {
        if (from != to) to->hear(*from);
      }
    }
  }
}

}  // namespace

TEST_SUITE("log.state_comparison") {
  TEST_CASE("equal states agree, wherever the nodes stand") {
    Teller one(kN1);
    Teller two(kN2);
    one.apply_to(100);
    two.apply_to(73);
    talk({&one, &two});
    two.apply_to(150);
    talk({&one, &two});
    for (const Teller* node : {&one, &two}) {
      CHECK(node->comparison.verdict(kLater) == Verdict::agrees);
      CHECK(node->comparison.sentence().empty());
    }
  }

  TEST_CASE("what is reported are points of the own state, and no others") {
    Teller one(kN1);
    CHECK(one.comparison.points(one.trail) == std::vector<StatePoint>{{}});
    one.apply_to(63);
    CHECK(one.comparison.points(one.trail).size() == 1);
    one.apply_to(65);
    const auto points = one.comparison.points(one.trail);
    REQUIRE(points.size() == 2);
    CHECK(points[0].chosen_end == Slot{65});
    CHECK(points[1].chosen_end == Slot{64});
  }

  TEST_CASE("one that differs from the other two has diverged, and they go on") {
    Teller one(kN1);
    Teller two(kN2);
    Teller three(kN3, 40);
    one.apply_to(100);
    two.apply_to(97);
    three.apply_to(95);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(two.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(three.comparison.verdict(kNow) == Verdict::diverged);
    CHECK(one.comparison.outvoted() == std::set<NodeId>{kN3});
    REQUIRE(three.comparison.disputed());
  }

  TEST_CASE("the one that is ahead of all others can be the wrong one") {
    Teller one(kN1, 90);
    Teller two(kN2);
    Teller three(kN3);
    one.apply_to(100);
    two.apply_to(80);
    three.apply_to(85);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);  // Nobody knows yet.
    two.apply_to(103);
    three.apply_to(101);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kNow) == Verdict::diverged);
    CHECK(two.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(three.comparison.verdict(kLater) == Verdict::agrees);
  }

  // Its trail is gone: it knows its own state at that slot, and at its end.
  TEST_CASE("a restart does not make it sure; a majority at that slot does") {
    for (const bool right : {true, false}) {
      CAPTURE(right);
      Teller one(kN1, right ? UINT64_MAX : 50);
      Teller two(kN2, right ? 50 : UINT64_MAX);
      Teller three(kN3);
      one.apply_to(60);
      two.apply_to(55);
      talk({&one, &two});
      REQUIRE(one.comparison.verdict(kLater) == Verdict::unsure);
      const StatePoint disputed = *one.comparison.disputed();
      Teller again(kN1);
      again.trail.add(one.trail.newest());
      again.comparison.remember(disputed, kNow);
      CHECK(again.comparison.verdict(kNow) == Verdict::unsure);
      CHECK_FALSE(again.comparison.leads());
      talk({&again, &two});
      CHECK(again.comparison.verdict(kNow) == Verdict::unsure);
      three.apply_to(70);
      talk({&again, &two, &three});
      CHECK(again.comparison.verdict(kNow) == (right ? Verdict::agrees : Verdict::diverged));
    }
  }

  TEST_CASE("two that differ while the third is away both stop, after a moment") {
    Teller one(kN1);
    Teller two(kN2, 50);
    one.apply_to(60);
    two.apply_to(60);
    talk({&one, &two});
    for (const Teller* node : {&one, &two}) {
      CHECK(node->comparison.verdict(kNow) == Verdict::agrees);  // The third may say so at once.
      CHECK(node->comparison.verdict(kLater) == Verdict::unsure);
    }
    // It comes, and says who is right: that one goes on.
    Teller three(kN3);
    three.apply_to(60);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(two.comparison.verdict(kLater) == Verdict::diverged);
  }

  TEST_CASE("three that all differ all stop, at once") {
    Teller one(kN1);
    Teller two(kN2, 50);
    Teller three(kN3);
    one.apply_to(60);
    two.apply_to(60);
    three.apply_to(59);
    three.trail.add({{60}, 12345});
    talk({&one, &two, &three}, 3);
    for (const Teller* node : {&one, &two, &three}) {
      CHECK(node->comparison.verdict(kNow) == Verdict::unsure);
    }
  }

  TEST_CASE("who lacks the slot may learn from those that are more, and from nobody if none are") {
    std::vector<Teller> nodes;
    for (std::uint64_t id = 1; id <= 5; ++id)
      nodes.emplace_back(NodeId{id}, id == 3 ? 40 : 1000, 5);
    for (std::size_t i = 0; i < 3; ++i) nodes[i].apply_to(50);
    talk({&nodes[0], &nodes[2]});
    CHECK_FALSE(nodes[0].comparison.leads());
    CHECK_FALSE(nodes[2].comparison.leads());
    talk({&nodes[0], &nodes[1], &nodes[2]});
    CHECK(nodes[0].comparison.verdict(kLater) == Verdict::unsure);
    CHECK(nodes[0].comparison.leads());
    CHECK(nodes[1].comparison.leads());
    CHECK_FALSE(nodes[2].comparison.leads());
    CHECK_FALSE(nodes[3].comparison.leads());  // Nothing differs from it.
  }

  TEST_CASE("a difference is compared at its slot, also after that has left the trail") {
    Teller one(kN1);
    Teller two(kN2);
    Teller three(kN3, 40);
    one.apply_to(50);
    three.apply_to(50);
    talk({&one, &three});
    one.apply_to(50 + 2 * StateTrail::kPoints);
    two.apply_to(50);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(three.comparison.verdict(kLater) == Verdict::diverged);
  }

  TEST_CASE("a second one that differs is found, though the first one still does") {
    Teller one(kN1);
    Teller two(kN2, 150);
    Teller three(kN3, 40);
    for (Teller* node : {&one, &two, &three}) node->apply_to(100);
    talk({&one, &two, &three});
    CHECK(one.comparison.outvoted() == std::set<NodeId>{kN3});
    for (Teller* node : {&one, &two}) node->apply_to(200);
    talk({&one, &two, &three});
    CHECK(one.comparison.verdict(kLater) == Verdict::unsure);
    CHECK(two.comparison.verdict(kLater) == Verdict::unsure);
  }

  TEST_CASE("a lower slot at which two differ keeps what is known of the others") {
    Teller one(kN1);
    Teller two(kN2);
    Teller three(kN3, 40);
    for (Teller* node : {&one, &two, &three}) node->apply_to(100);
    one.hear(three);
    one.comparison.reported(kN3, {{50}, 1}, one.trail, kLater);
    one.hear(two, kLater);
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(one.comparison.outvoted() == std::set<NodeId>{kN3});
  }

  TEST_CASE("one whose directory was replaced agrees again") {
    Teller one(kN1);
    Teller two(kN2, 50);
    one.apply_to(60);
    two.apply_to(60);
    talk({&one, &two});
    CHECK(one.comparison.verdict(kLater) == Verdict::unsure);
    Teller again(kN2);
    again.apply_to(70);
    one.apply_to(70);
    talk({&one, &again});
    CHECK(one.comparison.verdict(kLater) == Verdict::agrees);
    CHECK(one.comparison.sentence().empty());
  }
}

}  // namespace stele::log
