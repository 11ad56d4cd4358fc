// A proposer among nodes, lines and disks that are slow, or let through only a part.

#include <doctest/doctest.h>

#include <set>

#include "paxos/leader/proposer.h"
#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

constexpr NodeId kN4{4};
constexpr NodeId kN5{5};
constexpr Duration kTimeout = milliseconds(400);

struct Bench {
  explicit Bench(const Configuration& configuration)
      : proposer(kN1, configuration, {.timing = {milliseconds(50), kTimeout}, .seed = 1}, {}, {1},
                 milliseconds(0)) {
    for (NodeId node : configuration.members()) {
      if (node != kN1) others.push_back(node);
    }
  }

  Proposer::Effects tick(Duration passed = milliseconds(10)) {
    now += passed;
    Proposer::Effects out;
    proposer.tick(now, out);
    return out;
  }
  Proposer::Effects hear(NodeId source, Body body) {
    Proposer::Effects out;
    proposer.step(now, source, message(std::move(body)), out);
    return out;
  }
  [[nodiscard]] Promise promise() const { return {proposer.ballot(), {1}, {1}, true, {1}, {}}; }

  /// Until it prepares, and its own acceptor has promised.
  void campaign() {
    for (bool prepares = false; !prepares;) {
      const Proposer::Effects out = tick();
      prepares = !all_of<Prepare>(out.sends).empty();
      for (const PreVote& ask : all_of<PreVote>(out.sends)) {
        for (NodeId node : others) hear(node, PreVoteAnswer{ask.attempt, true, 0, {1}});
      }
    }
    hear(kN1, promise());
  }
  /// Heartbeats are answered, at once and after the disks.
  void answer(const Proposer::Effects& out) {
    for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
      std::vector<NodeId> all = others;
      all.push_back(kN1);
      for (NodeId node : all) {
        if (node != kN1) hear(node, Heard{beat.ballot, beat.beat});
        hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
      }
    }
  }
  void lead() {
    campaign();
    for (NodeId node : others) hear(node, promise());
    REQUIRE(proposer.leads());
  }

  Proposer proposer;
  std::vector<NodeId> others;
  Time now{};
};

}  // namespace

TEST_SUITE("paxos.proposer.slow") {
  TEST_CASE("a candidate waits for the slowest of a quorum; who has promised is not asked again") {
    Bench bench(*Configuration::make({kN1, kN2, kN3, kN4, kN5}));
    bench.campaign();
    bench.hear(kN2, bench.promise());  // It has told everything. 4 and 5 are down.
    for (int i = 0; i < 70; ++i) {
      CHECK_FALSE(receivers_of<Prepare>(bench.tick().sends).contains(kN2));
      bench.hear(kN3, Heard{bench.proposer.ballot(), 0});
      REQUIRE(bench.proposer.standing() == Proposer::Standing::candidate);
    }
    bench.hear(kN3, bench.promise());
    CHECK(bench.proposer.leads());
  }

  // q1 of five nodes is five, q2 is one, and only one other node is heard.
  TEST_CASE("a leader that cannot learn what was voted for gives up") {
    Bench bench(*Configuration::make({kN1, kN2, kN3, kN4, kN5}, 5, 1));
    bench.campaign();
    for (NodeId node : bench.others) {  // More is to come of each.
      bench.hear(node, Promise{bench.proposer.ballot(), {1}, {9}, false, {1}, {}});
    }
    REQUIRE(bench.proposer.leads());
    const Time won_at = bench.now;
    while (bench.proposer.leads()) {
      REQUIRE(bench.now - won_at < 4 * kTimeout);
      for (const Heartbeat& beat : all_of<Heartbeat>(bench.tick().sends)) {
        for (NodeId node : {kN1, kN2}) {
          bench.hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
        }
      }
    }
  }

  TEST_CASE("a leader whose values get nowhere gives up, though everybody hears it") {
    Bench bench(three_nodes());
    bench.lead();
    Proposer::Effects out;
    bench.proposer.propose(bench.now, value("a"), out);
    const Time proposed_at = bench.now;
    while (bench.proposer.leads()) {
      REQUIRE(bench.now - proposed_at < 40 * kTimeout);
      bench.answer(bench.tick());
    }
    CHECK(bench.now - proposed_at >= 20 * kTimeout);  // Slow is something else.
  }

  // A link has no room for one large accept, and small ones follow it now and then.
  TEST_CASE("an accept that was lost is sent again, though later slots are voted for") {
    Bench bench(three_nodes());
    bench.lead();
    Proposer::Effects out;
    bench.proposer.propose(bench.now, value("lost"), out);
    bool again = false;
    for (std::uint64_t slot = 2; slot < 12 && !again; ++slot) {
      bench.proposer.propose(bench.now, value("later"), out);
      for (int ms = 0; ms < 100 && !again; ms += 10) {
        const auto sent = bench.tick();
        bench.answer(sent);
        for (const Accept& accept : all_of<Accept>(sent.sends)) {
          again = again || accept.slot == Slot{1};
        }
      }
      for (NodeId node : {kN1, kN2, kN3}) {
        bench.hear(node, Accepted{bench.proposer.ballot(), {slot}, {slot + 1}});
      }
    }
    CHECK(again);
  }

  // Two clients, and each append takes a commit of its own, so that slots wait for each other. Now
  // and then a slot has to be alone. Commits are slow, and carry few bytes.
  TEST_CASE("a time with little to do leaves the bound on bytes as it was") {
    Bench bench(three_nodes());
    bench.lead();
    const std::size_t before = bench.proposer.batch_bytes();
    std::uint64_t next = 1;
    const auto vote = [&](std::uint64_t slot) {
      for (NodeId node : {kN1, kN2}) {
        bench.hear(node, Accepted{bench.proposer.ballot(), {slot}, {slot + 1}});
      }
      Proposer::Effects out;
      bench.proposer.on_chosen_end(bench.now, {slot + 1}, out);
    };
    for (int i = 0; i < 600; ++i) {
      Proposer::Effects out;
      bench.proposer.propose(bench.now, value("one"), out);
      const std::uint64_t first = next++;
      bench.answer(bench.tick());
      const bool second = bench.proposer.has_room();
      if (second) bench.proposer.propose(bench.now, value("two"), out);
      for (int ms = 0; ms < 40; ms += 10) bench.answer(bench.tick());
      vote(first);
      if (!second) continue;
      for (int ms = 0; ms < 50; ms += 10) bench.answer(bench.tick());
      vote(next++);
    }
    CHECK(bench.proposer.batch_bytes() >= before);
  }

  TEST_CASE("on_fetch_failed: of the first slot in flight, too, phase 1 begins again") {
    Bench bench(three_nodes());
    bench.lead();
    Proposer::Effects idle;
    bench.proposer.on_fetch_failed(bench.now, idle);
    CHECK(bench.proposer.leads());  // Nothing in flight waits for that.
    Proposer::Effects out;
    bench.proposer.propose(bench.now, value("a"), out);
    // The others know another value as chosen there, vote no more, and do not serve it.
    bench.proposer.on_fetch_failed(bench.now, out);
    CHECK(out.stopped);
    CHECK(bench.proposer.standing() == Proposer::Standing::preparing);
    CHECK_FALSE(all_of<Prepare>(out.sends).empty());
  }

  TEST_CASE("on_nack: what is in flight when the disks are full is asked for with what they keep") {
    Bench bench(three_nodes());
    bench.lead();
    Proposer::Effects out;
    bench.proposer.propose(bench.now, value("a"), out);
    const auto refuse = [&](NodeId node) {
      bench.hear(node, Nack{.ballot = bench.proposer.ballot(), .promised = {}, .no_space = true});
    };
    /// Whether what is sent again is for full disks; the nodes in `full` refuse it.
    const auto again = [&](const std::vector<NodeId>& full) {
      std::set<bool> recovers;
      for (int i = 0; i < 100; ++i) {
        const Proposer::Effects sent = bench.tick();
        bench.answer(sent);
        for (NodeId node : full) refuse(node);
        for (const Accept& accept : all_of<Accept>(sent.sends)) recovers.insert(accept.recovers);
      }
      return recovers;
    };
    CHECK(again({kN1}) == std::set{false});  // The others have room.
    CHECK(again({kN1, kN2, kN3}) == std::set{true});
  }

  TEST_CASE(
      "others_know_more: as their answers say; a leader that lacks it hands over unfinished") {
    Bench bench(three_nodes());
    bench.lead();
    CHECK_FALSE(bench.proposer.others_know_more(bench.now));
    const auto answer = [&](const Proposer::Effects& out) {
      for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
        for (NodeId node : {kN1, kN2, kN3}) {
          const Slot chosen_end{node == kN3 ? 9U : 1U};
          bench.hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, chosen_end, false});
        }
      }
    };
    for (int i = 0; i < 10; ++i) answer(bench.tick());
    CHECK(bench.proposer.others_know_more(bench.now));
    Proposer::Effects out;
    bench.proposer.propose(bench.now, value("a"), out);
    bench.proposer.hand_over(bench.now);
    NodeSet asked;
    for (int i = 0; i < 100 && bench.proposer.leads(); ++i) {
      const Proposer::Effects sent = bench.tick();
      answer(sent);
      if (!all_of<TakeOver>(sent.sends).empty()) asked = receivers_of<TakeOver>(sent.sends);
    }
    CHECK(asked == set_of({kN3}));
    CHECK_FALSE(bench.proposer.leads());
    CHECK_FALSE(bench.proposer.others_know_more(bench.now));
  }

  TEST_CASE("hand_over: not to a node whose disk answers nothing") {
    Bench bench(*Configuration::make({kN1, kN2, kN3, kN4, kN5}));
    bench.lead();
    for (int i = 0; i < 100; ++i) {
      for (const Heartbeat& beat : all_of<Heartbeat>(bench.tick().sends)) {
        for (NodeId node : bench.others) {
          bench.hear(node, Heard{beat.ballot, beat.beat});
          const Slot chosen_end{node == kN2 ? 9U : 1U};  // It knows most, and its disk hangs.
          if (node == kN2 && i > 5) continue;
          bench.hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, chosen_end, false});
        }
        bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
      }
    }
    REQUIRE(bench.proposer.leads());
    Proposer::Effects out;
    bench.proposer.hand_over(bench.now);
    const auto receivers = receivers_of<TakeOver>(bench.tick().sends);
    CHECK(receivers.size() == 1);
    CHECK_FALSE(receivers.contains(kN2));
  }
}

}  // namespace stele::paxos
