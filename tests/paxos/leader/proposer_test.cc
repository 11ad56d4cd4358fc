#include "paxos/leader/proposer.h"

#include <doctest/doctest.h>

#include "tests/paxos/leader/proposer_bench.h"

namespace stele::paxos {
namespace {

using namespace proposer_bench;

}  // namespace

TEST_SUITE("paxos.proposer") {
  // Design rule "durability (d)".
  TEST_CASE("campaign: the own acceptor hears of the ballot first, the others after its promise") {
    Bench bench;
    const auto own = bench.campaign();
    CHECK(receivers_of<Prepare>(own.sends) == set_of({kN1}));
    CHECK(bench.proposer.standing() == Proposer::Standing::preparing);
    // Nobody else may hear of it before, not even when time passes.
    CHECK(all_of<Prepare>(bench.tick(milliseconds(150)).sends).empty());

    const auto others = bench.hear(kN1, bench.promise());
    CHECK(receivers_of<Prepare>(others.sends) == set_of({kN2, kN3}));
    CHECK(bench.proposer.standing() == Proposer::Standing::candidate);
  }

  TEST_CASE("campaign: a promise of another node does not stand for the own one") {
    Bench bench;
    bench.campaign();
    bench.hear(kN2, bench.promise());
    CHECK(bench.proposer.standing() == Proposer::Standing::preparing);
  }

  TEST_CASE("campaign: a new ballot is above every round seen, also before a restart") {
    Proposer proposer(kN1, three_nodes(), {}, {7, kN3}, {1}, milliseconds(0));
    Proposer::Effects out;
    proposer.step(milliseconds(0), kN2, message(PreVoteAnswer{1, false, 9, {1}}), out);
    Time now{};
    while (proposer.standing() == Proposer::Standing::follower && now < std::chrono::seconds(10)) {
      now += milliseconds(10);
      Proposer::Effects ticked;
      proposer.tick(now, ticked);
      for (const PreVote& ask : all_of<PreVote>(ticked.sends)) {
        proposer.step(now, kN2, message(PreVoteAnswer{ask.attempt, true, 0, {1}}), out);
      }
    }
    CHECK(proposer.ballot() == Ballot{10, kN1});
  }

  TEST_CASE("begin_leading: with q1 promises; then the window opens") {
    Bench bench;
    const auto out = bench.lead();
    REQUIRE(out.began);
    CHECK(*out.began == bench.proposer.ballot());
    CHECK(bench.proposer.window_open());
    CHECK(receivers_of<Heartbeat>(out.sends) == set_of({kN1, kN2, kN3}));
  }

  // PMMC 2.4; invariants 2 and 4.
  TEST_CASE("repropose: what was voted for is proposed again, holes become noops, then it opens") {
    Bench bench;
    bench.campaign();
    bench.hear(kN1, bench.promise({record(2, {1, kN3}, "b-old")}));
    const auto out =
        bench.hear(kN2, bench.promise({record(2, {2, kN2}, "b"), record(4, {1, kN3}, "d")}));
    const auto accepts = all_of<Accept>(out.sends);
    REQUIRE(accepts.size() == 12);  // Four slots to three nodes.
    CHECK(accepts[0].slot == Slot{1});
    CHECK(accepts[0].value.kind() == ValueKind::noop);
    CHECK(text_of(accepts[3].value) == "b");
    CHECK(accepts[6].value.kind() == ValueKind::noop);
    CHECK(text_of(accepts[9].value) == "d");
    for (const Accept& accept : accepts) CHECK(accept.recovers);  // Also on full disks.
    // The window of four is full with them; clients' batches come after.
    CHECK_FALSE(bench.proposer.window_open());
    Proposer::Effects chosen;
    bench.accepted(kN1, 1, 5, chosen);
    bench.accepted(kN2, 1, 5, chosen);
    CHECK(bench.proposer.window_open());
    Proposer::Effects next;
    CHECK(bench.proposer.propose(bench.now, value("new"), next) == Slot{5});
    for (const Accept& accept : all_of<Accept>(next.sends)) CHECK_FALSE(accept.recovers);
  }

  // Design, "phase 1": nothing is proposed below the largest chosen_end promised.
  TEST_CASE("repropose: begins at the base, whatever was voted for below it") {
    Bench bench;
    bench.campaign();
    bench.hear(kN1, bench.promise({record(2, {1, kN3}, "b")}));
    const auto out = bench.hear(kN2, bench.promise({}, {5}));
    CHECK(all_of<Accept>(out.sends).empty());
    const auto proposed = bench.propose("x");
    CHECK(all_of<Accept>(proposed.sends).at(0).slot == Slot{5});
  }

  TEST_CASE("on_accepted: chosen with q2 votes in the own ballot, told to the own learner, once") {
    Bench bench;
    bench.lead();
    bench.propose("x");
    Proposer::Effects out;
    bench.accepted(kN1, 1, 2, out);
    bench.accepted(kN1, 1, 2, out);  // One acceptor has one vote.
    CHECK(all_of<Chosen>(out.sends).empty());
    bench.accepted(kN2, 1, 2, out);
    CHECK(receivers_of<Chosen>(out.sends) == set_of({kN1}));
    CHECK(all_of<Chosen>(out.sends)[0] == Chosen{bench.proposer.ballot(), {1}, {2}});
    Proposer::Effects late;
    bench.accepted(kN3, 1, 2, late);
    CHECK(late.sends.empty());
  }

  TEST_CASE("chosen: the others are told with the next accept, after it, or with the next tick") {
    Bench bench;
    bench.lead();
    const auto choose = [&](std::uint64_t slot) {
      bench.propose("x");
      Proposer::Effects out;
      bench.accepted(kN1, slot, slot + 1, out);
      bench.accepted(kN2, slot, slot + 1, out);
    };
    choose(1);
    const auto proposed = bench.propose("y");
    CHECK(receivers_of<Chosen>(proposed.sends) == set_of({kN2, kN3}));
    CHECK(all_of<Chosen>(proposed.sends)[0] == Chosen{bench.proposer.ballot(), {1}, {2}});
    CHECK(std::holds_alternative<Accept>(proposed.sends.front().message.body));
    Proposer::Effects out;
    bench.accepted(kN1, 2, 3, out);
    bench.accepted(kN3, 2, 3, out);
    const auto tick = bench.tick(milliseconds(1));
    CHECK(receivers_of<Chosen>(tick.sends) == set_of({kN2, kN3}));
    CHECK(all_of<Chosen>(bench.tick(milliseconds(1)).sends).empty());
  }

  TEST_CASE("chosen: a leader that stops still tells what was chosen in its ballot") {
    Bench bench;
    bench.lead();
    bench.propose("x");
    Proposer::Effects out;
    bench.accepted(kN1, 1, 2, out);
    bench.accepted(kN2, 1, 2, out);
    const auto stopped = bench.tick(milliseconds(10'000));  // No fresh answers.
    CHECK(stopped.stopped);
    CHECK(receivers_of<Chosen>(stopped.sends) == set_of({kN2, kN3}));
  }

  TEST_CASE("on_accepted: votes of another ballot do not count") {
    Bench bench;
    bench.lead();
    bench.propose("x");
    const auto out = bench.hear(kN2, Accepted{{99, kN1}, {1}, {2}});
    const auto more = bench.hear(kN3, Accepted{{99, kN1}, {1}, {2}});
    CHECK((all_of<Chosen>(out.sends).empty() && all_of<Chosen>(more.sends).empty()));
  }

  TEST_CASE("on_accepted: a range chosen around a hole is told as two ranges") {
    Bench bench;
    bench.lead();
    for (const char* text : {"a", "b", "c"}) bench.propose(text);
    Proposer::Effects out;
    bench.accepted(kN1, 1, 4, out);
    bench.accepted(kN2, 1, 2, out);
    bench.accepted(kN2, 3, 4, out);
    const auto chosen = all_of<Chosen>(out.sends);
    REQUIRE(chosen.size() == 2);
    CHECK(chosen[0] == Chosen{bench.proposer.ballot(), {1}, {2}});
    CHECK(chosen[1] == Chosen{bench.proposer.ballot(), {3}, {4}});
  }

  TEST_CASE("window: bounded, and held up by its oldest slot") {
    Bench bench(2);
    bench.lead();
    bench.propose("a");
    bench.propose("b");
    CHECK_FALSE(bench.proposer.window_open());
    Proposer::Effects out;
    bench.accepted(kN1, 2, 3, out);
    bench.accepted(kN2, 2, 3, out);
    CHECK_FALSE(bench.proposer.window_open());
    bench.accepted(kN1, 1, 2, out);
    bench.accepted(kN2, 1, 2, out);
    CHECK(bench.proposer.window_open());
  }

  TEST_CASE("tick: heartbeats repeat what was chosen in this ballot") {
    Bench bench;
    bench.lead();
    bench.propose("a");
    Proposer::Effects out;
    bench.accepted(kN1, 1, 2, out);
    bench.accepted(kN2, 1, 2, out);
    (void)bench.tick(milliseconds(1));  // Tells it for the first time.
    const auto beat = bench.tick(milliseconds(50));
    CHECK(all_of<Heartbeat>(beat.sends).size() == 3);
    REQUIRE(all_of<Chosen>(beat.sends).size() == 3);
    CHECK(all_of<Chosen>(beat.sends)[0] == Chosen{bench.proposer.ballot(), {1}, {2}});
  }

  // Slots learned from others were not counted here: Chosen must not claim this ballot for them.
  TEST_CASE("on_chosen_end: slots learned as chosen leave the window and are not told as counted") {
    Bench bench;
    bench.lead();
    bench.propose("a");
    bench.propose("b");
    Proposer::Effects out;
    bench.proposer.on_chosen_end(bench.now, {2}, out);
    bench.accepted(kN1, 2, 3, out);
    bench.accepted(kN2, 2, 3, out);
    const auto beat = bench.tick(milliseconds(50));
    REQUIRE_FALSE(all_of<Chosen>(beat.sends).empty());
    CHECK(all_of<Chosen>(beat.sends)[0] == Chosen{bench.proposer.ballot(), {2}, {3}});
  }

  // Nobody votes below its own chosen_end: such slots would stay in flight for ever.
  TEST_CASE("on_chosen_end: what is learned during phase 1 is not proposed again") {
    Bench bench;
    bench.campaign();
    Proposer::Effects out;
    bench.proposer.on_chosen_end(bench.now, {5}, out);
    bench.hear(kN1, bench.promise({record(1, {1, kN1}, "a"), record(2, {1, kN1}, "b")}));
    const auto led = bench.hear(kN2, bench.promise({record(6, {1, kN1}, "f")}));
    REQUIRE(bench.proposer.leads());
    std::set<Slot> proposed;
    for (const Accept& accept : all_of<Accept>(led.sends)) proposed.insert(accept.slot);
    CHECK(proposed == std::set<Slot>{{5}, {6}});
  }

  TEST_CASE("tick: a candidate waits for promises on slow lines as long as it is heard") {
    Bench bench;
    bench.campaign();
    bench.hear(kN1, bench.promise());
    for (int i = 0; i < 100; ++i) {
      bench.tick(milliseconds(10));
      bench.hear(kN2, Heard{bench.proposer.ballot(), 0});
      REQUIRE(bench.proposer.standing() == Proposer::Standing::candidate);
    }
    for (int i = 0; i < 41; ++i) bench.tick(milliseconds(10));
    CHECK(bench.proposer.standing() == Proposer::Standing::follower);
  }

  TEST_CASE("tick: a candidate that is heard and never promised gives up in the end") {
    Bench bench;
    bench.campaign();
    bench.hear(kN1, bench.promise());
    for (int i = 0; i < 410; ++i) {
      bench.tick(milliseconds(10));
      bench.hear(kN2, Heard{bench.proposer.ballot(), 0});
    }
    CHECK(bench.proposer.standing() == Proposer::Standing::follower);
  }

  TEST_CASE("on_nack: while q2 still follow, phase 1 is repeated above the other ballot") {
    Bench bench;
    bench.confirm(bench.lead());
    const Ballot before = bench.proposer.ballot();
    const auto out = bench.hear(kN3, Nack{before, {9, kN3}, false});
    CHECK(out.stopped);
    CHECK(bench.proposer.standing() == Proposer::Standing::preparing);
    CHECK(bench.proposer.ballot() == Ballot{10, kN1});
    CHECK(receivers_of<Prepare>(out.sends) == set_of({kN1}));
  }

  // Two nodes that win ballots and never hear q2 would unseat each other for ever.
  TEST_CASE("on_nack: who has not answered in this ballot does not count as following") {
    Bench bench;
    bench.lead();
    const auto out = bench.hear(kN3, Nack{bench.proposer.ballot(), {9, kN3}});
    CHECK(out.stopped);
    CHECK(bench.proposer.standing() == Proposer::Standing::follower);
    CHECK(all_of<Prepare>(out.sends).empty());
  }

  TEST_CASE("on_nack: a leader that q2 no longer follow gives up") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.hear(kN2, Nack{bench.proposer.ballot(), {9, kN3}, false});
    CHECK(bench.proposer.standing() == Proposer::Standing::preparing);
    bench.hear(kN1, Nack{bench.proposer.ballot(), {20, kN3}, false});
    CHECK(bench.proposer.standing() == Proposer::Standing::follower);
  }

  TEST_CASE("on_heard: a higher ballot that the own acceptor promised ends the leadership") {
    Bench bench;
    bench.lead();
    Proposer::Effects out;
    bench.proposer.on_heard(bench.now, {9, kN2}, out);
    CHECK(out.stopped);
    CHECK(bench.proposer.leader(bench.now) == kN2);
  }

  // Linearizable reads: a round that starts after the read arrived, confirmed by q2 acceptors.
  TEST_CASE("read: served after a round that began after it, up to the slots proposed by then") {
    Bench bench;
    bench.confirm(bench.lead());
    bench.propose("a");
    Proposer::Effects out;
    bench.proposer.read(bench.now, 7, out);
    const auto beats = all_of<Heartbeat>(out.sends);
    REQUIRE(beats.size() == 3);
    CHECK(out.reads.empty());
    bench.propose("b");
    CHECK(bench.hear(kN1, HeartbeatAck{beats[0].ballot, beats[0].beat, beats[0].ballot, {1}, false})
              .reads.empty());
    const auto done =
        bench.hear(kN3, HeartbeatAck{beats[0].ballot, beats[0].beat, beats[0].ballot, {1}, false});
    REQUIRE(done.reads.size() == 1);
    CHECK(done.reads[0] == Proposer::ReadReady{7, {2}});
  }

  TEST_CASE("read: an acceptor that has not promised the ballot does not confirm") {
    Bench bench;
    bench.confirm(bench.lead());
    Proposer::Effects out;
    bench.proposer.read(bench.now, 7, out);
    const Heartbeat beat = all_of<Heartbeat>(out.sends).at(0);
    bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
    const auto no = bench.hear(kN2, HeartbeatAck{beat.ballot, beat.beat, {0, {}}, {1}, false});
    CHECK(no.reads.empty());
  }

  TEST_CASE("read: during a round waits for the next one") {
    Bench bench;
    bench.confirm(bench.lead());
    Proposer::Effects first;
    bench.proposer.read(bench.now, 1, first);
    Proposer::Effects second;
    bench.proposer.read(bench.now, 2, second);
    CHECK(second.sends.empty());
    const Heartbeat beat = all_of<Heartbeat>(first.sends).at(0);
    bench.hear(kN1, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
    const auto out = bench.hear(kN2, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
    REQUIRE(out.reads.size() == 1);
    CHECK(out.reads[0].read == 1);
    CHECK(all_of<Heartbeat>(out.sends).size() == 3);
  }

  TEST_CASE("read: refused by a node that does not lead, or stops leading") {
    Bench bench;
    Proposer::Effects out;
    bench.proposer.read(bench.now, 1, out);
    CHECK(out.reads_refused == std::vector<std::uint64_t>{1});
    bench.lead();
    Proposer::Effects waiting;
    bench.proposer.read(bench.now, 2, waiting);
    Proposer::Effects heard;
    bench.proposer.on_heard(bench.now, {9, kN2}, heard);
    CHECK(heard.reads_refused == std::vector<std::uint64_t>{2});
  }
}

}  // namespace stele::paxos
