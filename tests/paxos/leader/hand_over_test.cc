#include "paxos/leader/hand_over.h"

#include <doctest/doctest.h>

#include "tests/paxos/leader/proposer_bench.h"

namespace stele::paxos {
namespace {

using namespace proposer_bench;

}  // namespace

TEST_SUITE("paxos.hand_over") {
  TEST_CASE("hand_over: once everything is applied, the follower that knows most takes over") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    bench.proposer.hand_over(bench.now);
    CHECK_FALSE(bench.proposer.window_open());
    CHECK(all_of<TakeOver>(bench.tick(milliseconds(10)).sends).empty());
    Proposer::Effects out;
    bench.accepted(kN1, 1, 2, out);
    bench.accepted(kN2, 1, 2, out);
    CHECK(all_of<TakeOver>(out.sends).empty());  // Chosen, but its caller is not answered yet.
    Proposer::Effects applied;
    bench.proposer.on_chosen_end(bench.now, {2}, applied);
    CHECK(all_of<TakeOver>(applied.sends).size() == 1);
    CHECK(applied.stopped);
  }

  // A leader whose own disk is full cannot apply everything: it must not hold up the others for
  // that.
  TEST_CASE("hand_over: after a time-out also if not everything is applied") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    bench.proposer.hand_over(bench.now);
    bool told = false;
    bool stopped = false;
    for (int i = 0; i < 50 && !stopped; ++i) {
      const auto out = bench.tick(milliseconds(10));
      bench.confirm(out);
      told = told || !all_of<TakeOver>(out.sends).empty();
      stopped = out.stopped;
    }
    CHECK(told);
    CHECK(stopped);
  }

  // With hysteresis: not at once, and not to one that is no better.
  TEST_CASE("a leader whose disk is far slower than the others' hands over to one of them") {
    Bench bench;
    bench.confirm(bench.lead());
    struct Asked {
      Heartbeat beat;
      Time due;
    };
    std::deque<Asked> asked;
    bool told = false;
    bool stopped = false;
    Time at{};
    for (int i = 0; i < 1000 && !stopped; ++i) {
      while (!asked.empty() && asked.front().due <= bench.now) {
        const Heartbeat beat = asked.front().beat;
        bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
        asked.pop_front();
      }
      const auto out = bench.tick(milliseconds(10));
      for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
        if (asked.empty() || asked.back().beat.beat != beat.beat) {
          asked.push_back({beat, bench.now + milliseconds(150)});
          for (NodeId node : {kN2, kN3})
            bench.hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
        }
      }
      if (out.slow_disk) {
        CHECK(out.slow_disk->own >= milliseconds(150));
        CHECK(out.slow_disk->others < milliseconds(20));
      }
      told = told || !all_of<TakeOver>(out.sends).empty();
      stopped = out.stopped;
      at = bench.now;
    }
    CHECK(told);
    CHECK(stopped);
    CHECK(at > 10 * Timing{}.election_timeout);
    CHECK(bench.proposer.disk_is_slow(bench.now));
  }

  TEST_CASE("on_take_over: the follower of that leader campaigns at once; others do not") {
    Bench bench;
    Proposer::Effects heard;
    bench.proposer.on_heard(bench.now, {4, kN2}, heard);
    CHECK(all_of<Prepare>(bench.hear(kN2, TakeOver{{3, kN2}}).sends).empty());
    CHECK(all_of<Prepare>(bench.hear(kN2, TakeOver{{4, kN2}}).sends).size() == 1);
    CHECK(bench.proposer.ballot() == Ballot{5, kN1});
  }
}

}  // namespace stele::paxos
