#include "paxos/leader/acceptors.h"

#include <doctest/doctest.h>

#include "tests/paxos/leader/proposer_bench.h"

namespace stele::paxos {
namespace {

using namespace proposer_bench;

}  // namespace

TEST_SUITE("paxos.acceptors") {
  TEST_CASE("tick: an accept without a vote is sent again, to those who have not voted") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    Proposer::Effects voted;
    bench.accepted(kN1, 1, 2, voted);
    CHECK(bench.again(250) == set_of({kN2, kN3}));
  }

  // What is on a slow line arrives: a second one after it would only take longer.
  TEST_CASE("tick: nothing is sent again to a node as long as its line holds something") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    bench.proposer.set_progress(kN2, {1000, 900});
    CHECK(bench.again(1000) == set_of({kN1, kN3}));
    bench.proposer.set_progress(kN2, {5000, 1000});  // What came after it does not matter.
    CHECK(bench.again(150) == NodeSet{});
    CHECK(bench.again(100).contains(kN2));
  }

  TEST_CASE("tick: who does not answer is asked again more and more rarely, a vote makes it anew") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    bench.propose("b");
    std::size_t sent = 0;
    for (int i = 0; i < 29; ++i) {
      if (bench.again(100).contains(kN2)) ++sent;
    }
    CHECK(sent == 3);  // After 200, 600 and 1,400 ms, and next after 3,000.
    Proposer::Effects out;
    bench.accepted(kN2, 1, 2, out);
    CHECK_FALSE(bench.again(150).contains(kN2));
    CHECK(bench.again(100).contains(kN2));
  }

  // A slow disk has much to write with each commit.
  TEST_CASE("tick: who answers late is given longer") {
    Bench bench;
    std::deque<std::pair<Time, Proposer::Effects>> beats;
    beats.emplace_back(bench.now, bench.lead());
    // Each answer comes 300 ms late.
    const auto again = [&](int ms) {
      bool sent = false;
      for (int i = 0; i < ms / 10; ++i) {
        beats.emplace_back(bench.now, bench.tick(milliseconds(10)));
        sent = sent || receivers_of<Accept>(beats.back().second.sends).contains(kN2);
        for (; bench.now - beats.front().first >= milliseconds(300); beats.pop_front()) {
          bench.confirm(beats.front().second);
        }
      }
      return sent;
    };
    again(500);
    bench.propose("a");
    CHECK_FALSE(again(850));
    CHECK(again(100));
  }

  TEST_CASE("on_connected: what has no vote yet is sent at once, and promises are asked for") {
    Bench bench;
    bench.campaign();
    bench.hear(kN1, bench.promise());
    Proposer::Effects out;
    bench.proposer.on_connected(bench.now, kN3, out);
    CHECK(out.sends.empty());
    CHECK(receivers_of<Prepare>(bench.tick(milliseconds(1)).sends).contains(kN3));
    bench.confirm(bench.hear(kN2, bench.promise()));
    bench.propose("a");
    bench.propose("b");
    Proposer::Effects voted;
    bench.accepted(kN2, 1, 2, voted);
    bench.proposer.on_connected(bench.now, kN2, voted);
    REQUIRE(all_of<Accept>(voted.sends).size() == 1);
    CHECK(all_of<Accept>(voted.sends)[0].slot == Slot{2});
    Proposer::Effects none;
    bench.proposer.on_connected(bench.now, {9}, none);
    CHECK(none.sends.empty());
  }

  TEST_CASE("tick: a leader without fresh answers from q2 gives up and stops its heartbeats") {
    Bench bench;
    bench.confirm(bench.lead());
    bool stopped = false;
    for (int i = 0; i < 60; ++i) stopped = bench.tick(milliseconds(10)).stopped || stopped;
    CHECK(stopped);
    CHECK(bench.proposer.standing() == Proposer::Standing::follower);
    CHECK(all_of<Heartbeat>(bench.tick(milliseconds(50)).sends).empty());
  }

  // Two times: that a node lives, and since when it has promised no other ballot.
  TEST_CASE("tick: who answers at all lives, however late its disk is; reads wait for the disk") {
    Bench bench;
    bench.confirm(bench.lead());
    Proposer::Effects asked;
    bench.proposer.read(bench.now, 7, asked);
    for (int i = 0; i < 200; ++i) {
      const auto out = bench.tick(milliseconds(10));
      for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
        bench.hear(kN1, HeartbeatAck{beat.ballot, 1, beat.ballot, {1}, false});
        CHECK(bench.hear(kN2, Heard{beat.ballot, beat.beat}).reads.empty());
      }
    }
    CHECK(bench.proposer.leads());
    bench.hear(kN2, Heard{{99, kN1}, 1});  // Another ballot's shows nothing.
    CHECK(bench.tick(milliseconds(400)).stopped);
  }

  TEST_CASE("tick: a leader whose own disk stalls gives up, though the others answer") {
    Bench bench;
    bench.lead();
    bool stopped = false;
    for (int i = 0; i < 60; ++i) {
      const auto out = bench.tick(milliseconds(10));
      stopped = stopped || out.stopped;
      for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
        for (NodeId node : {kN2, kN3}) {
          bench.hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
        }
      }
    }
    CHECK(stopped);
  }

  TEST_CASE("room: none once fewer than q2 acceptors can have room") {
    using Room = Proposer::Room;
    Bench bench;
    const auto out = bench.lead();
    const Heartbeat beat = all_of<Heartbeat>(out.sends).at(0);
    bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, true});
    CHECK(bench.proposer.room(bench.now) == Room::enough);
    bench.hear(kN2, Nack{beat.ballot, {}, true});
    CHECK(bench.proposer.room(bench.now) == Room::none);
    CHECK_FALSE(bench.proposer.others_have_space(bench.now));
  }

  // A silent node, or one whose disk is slow, has not said that it is full.
  TEST_CASE("room: unknown, not none, while others are silent") {
    using Room = Proposer::Room;
    Bench bench;
    bench.confirm(bench.lead());
    std::uint64_t round = 0;
    const auto pass = [&](bool n2_answers, bool n2_full) {
      for (int i = 0; i < 30; ++i) {
        for (const Heartbeat& beat : all_of<Heartbeat>(bench.tick(milliseconds(10)).sends)) {
          round = beat.beat;
          bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
          if (!n2_answers) continue;
          bench.hear(kN2, Heard{beat.ballot, beat.beat});
          if (n2_full)
            bench.hear(kN2, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, true});
        }
      }
    };
    pass(false, false);
    bench.hear(kN2, Heard{bench.proposer.ballot(), 1});
    pass(true, false);
    CHECK(bench.proposer.room(bench.now) == Room::enough);  // n2 lives, and has not said otherwise.
    pass(true, true);
    CHECK(bench.proposer.room(bench.now) == Room::unknown);  // n3 is silent.
    CHECK_FALSE(bench.proposer.others_have_space(bench.now));
    const Ballot ballot = bench.proposer.ballot();
    bench.hear(kN3, HeartbeatAck{ballot, round, ballot, {1}, true});
    CHECK(bench.proposer.room(bench.now) == Room::none);
    pass(true, true);
    pass(true, true);
    CHECK(bench.proposer.room(bench.now) == Room::unknown);  // It said so long ago.
  }

  // Otherwise nobody could make room while one node is full and another one away.
  TEST_CASE("room_for_upkeep: a full disk counts as long as it keeps some for it") {
    using Room = Proposer::Room;
    Bench bench;
    bench.confirm(bench.lead());
    const auto pass = [&](bool no_upkeep) {
      for (int i = 0; i < 30; ++i) {
        for (const Heartbeat& beat : all_of<Heartbeat>(bench.tick(milliseconds(10)).sends)) {
          bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
          bench.hear(kN2, Heard{beat.ballot, beat.beat});
          bench.hear(kN2, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, true, no_upkeep});
        }
      }
    };
    for (int i = 0; i < 3; ++i) pass(false);
    CHECK(bench.proposer.room(bench.now) == Room::unknown);  // n3 is silent.
    CHECK(bench.proposer.room_for_upkeep(bench.now) == Room::enough);
    pass(true);
    CHECK(bench.proposer.room_for_upkeep(bench.now) == Room::unknown);
    const Ballot ballot = bench.proposer.ballot();
    bench.hear(kN3, HeartbeatAck{ballot, 1, ballot, {1}, true, true});
    CHECK(bench.proposer.room_for_upkeep(bench.now) == Room::none);
  }
}

}  // namespace stele::paxos
