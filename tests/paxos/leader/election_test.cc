#include "paxos/leader/election.h"

#include <set>

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

constexpr Timing kTiming{milliseconds(50), milliseconds(400)};

Election make_election(std::uint64_t seed = 1, Configuration configuration = three_nodes()) {
  return {kN1, std::move(configuration), kTiming, seed, milliseconds(0)};
}

/// Ticks every 10 ms until it asks or campaigns; returns when.
Time run_until_it_asks(Election& election, Time from, std::vector<Send>& sends) {
  Time now = from;
  while (sends.empty() && now < from + std::chrono::seconds(5)) {
    now += milliseconds(10);
    if (election.tick(now, {1}, sends)) return now;
  }
  return now;
}

PreVoteAnswer lost(const std::vector<Send>& asked, Slot chosen_end = {1}) {
  return {all_of<PreVote>(asked).back().attempt, true, 0, chosen_end};
}

}  // namespace

TEST_SUITE("paxos.election") {
  TEST_CASE(
      "tick: asks all others once the drawn time-out has passed, and does not campaign alone") {
    Election election = make_election();
    std::vector<Send> sends;
    const Time asked_at = run_until_it_asks(election, milliseconds(0), sends);
    CHECK(asked_at >= milliseconds(400));
    CHECK(asked_at <= milliseconds(810));
    CHECK(receivers_of<PreVote>(sends) == set_of({kN2, kN3}));
    std::vector<Send> more;
    CHECK_FALSE(election.tick(asked_at + milliseconds(10), {1}, more));
    CHECK(more.empty());
  }

  TEST_CASE("tick: time-outs differ from seed to seed") {
    std::set<Time> times;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      Election election = make_election(seed);
      std::vector<Send> sends;
      times.insert(run_until_it_asks(election, milliseconds(0), sends));
    }
    CHECK(times.size() > 4);
  }

  TEST_CASE("suspect: asks within half a heartbeat, answers that the leader is lost") {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      Election election = make_election(seed);
      election.on_heard(milliseconds(100));
      election.suspect(milliseconds(100));
      CHECK(election.leader_lost(milliseconds(100)));
      std::vector<Send> sends;
      CHECK(run_until_it_asks(election, milliseconds(100), sends) <= milliseconds(130));
      election.on_pre_vote_answer(milliseconds(140), kN2, lost(sends), {1});
      CHECK(election.tick(milliseconds(140), {1}, sends));
    }
  }

  TEST_CASE(
      "suspect: who still hears the leader says so; it is asked again, and not elected over") {
    Election election = make_election();
    election.suspect(milliseconds(0));
    std::vector<Send> sends;
    Time now = run_until_it_asks(election, milliseconds(0), sends);
    PreVoteAnswer hears = lost(sends);
    hears.leader_lost = false;
    election.on_pre_vote_answer(now, kN2, hears, {1});
    sends.clear();
    now = run_until_it_asks(election, now, sends);
    CHECK(now <= milliseconds(100));
    CHECK_FALSE(sends.empty());
    // Nor is it lost for good.
    election.on_heard(now);
    CHECK_FALSE(election.suspects());
    CHECK_FALSE(election.leader_lost(now));
  }

  // Raft thesis 9.6: no round is raised before a quorum has lost the leader, too.
  TEST_CASE("on_pre_vote_answer: campaigns once a q1 quorum has lost the leader") {
    Election election = make_election();
    std::vector<Send> sends;
    const Time now = run_until_it_asks(election, milliseconds(0), sends);
    PreVoteAnswer hears = lost(sends);
    hears.leader_lost = false;
    election.on_pre_vote_answer(now, kN2, hears, {1});
    std::vector<Send> ignored;
    CHECK_FALSE(election.tick(now + milliseconds(1), {1}, ignored));
    election.on_pre_vote_answer(now, kN3, lost(sends), {1});
    CHECK(election.tick(now + milliseconds(2), {1}, ignored));
  }

  // Flexible Paxos: with a q1 below q2 a node could win ballots in which nothing is ever chosen.
  TEST_CASE("on_pre_vote_answer: campaigns only if q2 nodes answer at all") {
    Election election = make_election(1, *Configuration::make({kN1, kN2, kN3}, 1, 3));
    std::vector<Send> sends;
    const Time now = run_until_it_asks(election, milliseconds(0), sends);
    std::vector<Send> ignored;
    election.on_pre_vote_answer(now, kN2, lost(sends), {1});
    CHECK_FALSE(election.tick(now + milliseconds(1), {1}, ignored));
    PreVoteAnswer hears = lost(sends);
    hears.leader_lost = false;
    election.on_pre_vote_answer(now, kN3, hears, {1});
    CHECK(election.tick(now + milliseconds(2), {1}, ignored));
  }

  TEST_CASE("on_pre_vote_answer: an answer to an earlier attempt does not count") {
    Election election = make_election();
    std::vector<Send> sends;
    const Time now = run_until_it_asks(election, milliseconds(0), sends);
    PreVoteAnswer stale = lost(sends);
    ++stale.attempt;
    election.on_pre_vote_answer(now, kN2, stale, {1});
    std::vector<Send> ignored;
    CHECK_FALSE(election.tick(now + milliseconds(1), {1}, ignored));
  }

  TEST_CASE("on_pre_vote_answer: lag delays a candidacy, and does not veto it") {
    Election election = make_election();
    std::vector<Send> sends;
    Time now = run_until_it_asks(election, milliseconds(0), sends);
    election.on_pre_vote_answer(now, kN2, lost(sends, {100}), {1});
    std::vector<Send> ignored;
    CHECK_FALSE(election.tick(now + milliseconds(1), {1}, ignored));
    bool campaigned = false;
    for (int i = 0; i < 30 && !campaigned; ++i) {
      now += milliseconds(10);
      campaigned = election.tick(now, {1}, ignored);
    }
    CHECK(campaigned);
  }

  TEST_CASE("on_heard: a leader that is heard again ends the asking") {
    Election election = make_election();
    std::vector<Send> sends;
    const Time now = run_until_it_asks(election, milliseconds(0), sends);
    election.on_heard(now);
    election.on_pre_vote_answer(now, kN2, lost(sends), {1});
    std::vector<Send> ignored;
    CHECK_FALSE(election.tick(now + milliseconds(1), {1}, ignored));
    CHECK_FALSE(election.leader_lost(now + milliseconds(399)));
    CHECK(election.leader_lost(now + milliseconds(400)));
  }

  TEST_CASE(
      "on_pre_vote: has lost the leader only after a minimal time-out, and never if it leads") {
    Election election = make_election();
    const auto answer = [&](Time now, bool leading) {
      std::vector<Send> sends;
      election.on_pre_vote(now, kN2, {3, {1}}, leading, 5, {9}, sends);
      return all_of<PreVoteAnswer>(sends).at(0);
    };
    CHECK(answer(milliseconds(399), false) == PreVoteAnswer{3, false, 5, {9}});
    CHECK(answer(milliseconds(400), false) == PreVoteAnswer{3, true, 5, {9}});
    CHECK(answer(milliseconds(400), true).leader_lost == false);
  }

  // A process that was stopped has heard nothing because it did not listen.
  TEST_CASE("tick: after a pause of the process it counts as hearing for one minimal time-out") {
    Election election = make_election();
    std::vector<Send> sends;
    CHECK_FALSE(election.tick(milliseconds(10), {1}, sends));
    CHECK_FALSE(election.tick(std::chrono::seconds(60), {1}, sends));
    CHECK(sends.empty());
    CHECK_FALSE(election.leader_lost(std::chrono::seconds(60)));
  }

  TEST_CASE("tick: a cluster of one campaigns by itself") {
    Election election = make_election(1, *Configuration::make({kN1}));
    std::vector<Send> sends;
    Time now{};
    bool campaigned = false;
    for (int i = 0; i < 100 && !campaigned; ++i) {
      now += milliseconds(10);
      campaigned = election.tick(now, {1}, sends);
    }
    CHECK(campaigned);
    CHECK(sends.empty());
  }
}

}  // namespace stele::paxos
