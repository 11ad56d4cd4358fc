#include "paxos/acceptor.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

Acceptor make_acceptor(Acceptor::State state = {}) { return {three_nodes(), state}; }

Acceptor::Effects step(Acceptor& acceptor, NodeId source, Body body) {
  Acceptor::Effects effects;
  acceptor.step(source, message(std::move(body)), effects);
  return effects;
}

}  // namespace

TEST_SUITE("paxos.acceptor") {
  // PMMC 2.2 A1: a promise, once made, is never taken back.
  TEST_CASE("on_prepare: a lower ballot is nacked and writes nothing") {
    Acceptor acceptor = make_acceptor();
    const auto first = step(acceptor, kN2, Prepare{{2, kN2}, {1}});
    REQUIRE(first.writes.size() == 1);
    CHECK(std::get<WritePromised>(first.writes[0]) == WritePromised{{2, kN2}});
    CHECK(first.promises == std::vector{Acceptor::PromiseRead{kN2, {2, kN2}, {1}}});
    CHECK(first.heard == Ballot{2, kN2});

    const auto second = step(acceptor, kN1, Prepare{{1, kN1}, {1}});
    CHECK(second.writes.empty());
    CHECK(second.promises.empty());
    CHECK(second.heard == Ballot{});
    CHECK(all_of<Nack>(second.sends) == std::vector{Nack{{1, kN1}, {2, kN2}}});
  }

  TEST_CASE("on_prepare: an equal ballot is answered again and writes nothing") {
    Acceptor acceptor = make_acceptor();
    step(acceptor, kN2, Prepare{{2, kN2}, {1}});
    const auto again = step(acceptor, kN2, Prepare{{2, kN2}, {7}});
    CHECK(again.writes.empty());
    CHECK(again.promises == std::vector{Acceptor::PromiseRead{kN2, {2, kN2}, {7}}});
  }

  // PMMC 2.2 A2; design rule "durability (c)": the vote carries the promise of its ballot.
  TEST_CASE("on_accept: a ballot at or above the promise is voted for and raises it") {
    Acceptor acceptor = make_acceptor();
    const auto voted = step(acceptor, kN1, Accept{{3, kN1}, {1}, value("x")});
    REQUIRE(voted.writes.size() == 1);
    CHECK(std::get<WriteAccepted>(voted.writes[0]).record == record(1, {3, kN1}, "x"));
    CHECK(all_of<Accepted>(voted.sends) == std::vector{Accepted{{3, kN1}, {1}, {2}}});
    CHECK(acceptor.promised() == Ballot{3, kN1});

    const auto refused = step(acceptor, kN2, Prepare{{2, kN2}, {1}});
    CHECK(all_of<Nack>(refused.sends).size() == 1);
  }

  TEST_CASE("on_accept: a ballot below the promise is nacked and not voted for") {
    Acceptor acceptor = make_acceptor({.promised = {5, kN3}});
    const auto refused = step(acceptor, kN1, Accept{{4, kN1}, {1}, value("x")});
    CHECK(refused.writes.empty());
    CHECK(all_of<Nack>(refused.sends) == std::vector{Nack{{4, kN1}, {5, kN3}}});
    CHECK(all_of<Accepted>(refused.sends).empty());
  }

  TEST_CASE("on_accept: below chosen_end nothing is voted on, the chosen_end is told") {
    Acceptor acceptor = make_acceptor({.chosen_end = {10}});
    const auto told = step(acceptor, kN1, Accept{{1, kN1}, {9}, value("x")});
    CHECK(told.writes.empty());
    CHECK(all_of<ChosenEnd>(told.sends) == std::vector{ChosenEnd{{10}}});

    acceptor.on_chosen_end({12});
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {11}, value("x")}).writes.empty());
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {12}, value("x")}).writes.size() == 1);
  }

  TEST_CASE("on_accept: votes of one step are acknowledged as exact ranges") {
    Acceptor acceptor = make_acceptor();
    Acceptor::Effects effects;
    for (const std::uint64_t slot : {1U, 2U, 3U, 5U}) {
      acceptor.step(kN1, message(Accept{{1, kN1}, {slot}, value("x")}), effects);
    }
    CHECK(all_of<Accepted>(effects.sends) ==
          std::vector{Accepted{{1, kN1}, {1}, {4}}, Accepted{{1, kN1}, {5}, {6}}});
  }

  // On slow lines and disks an accept may come twice before its first vote is durable.
  TEST_CASE("on_accept: a vote that this process has written is answered again and not written") {
    Acceptor acceptor = make_acceptor();
    const Accept accept{{1, kN1}, {3}, value("x")};
    step(acceptor, kN1, accept);
    const auto again = step(acceptor, kN1, accept);
    CHECK(again.writes.empty());
    CHECK(all_of<Accepted>(again.sends) == std::vector{Accepted{{1, kN1}, {3}, {4}}});
    acceptor.set_space(true, true);  // It needs no room.
    CHECK(all_of<Accepted>(step(acceptor, kN1, accept).sends).size() == 1);
    acceptor.set_space(false, false);
    // Another ballot is another vote, though the value is the same.
    CHECK(step(acceptor, kN2, Accept{{2, kN2}, {3}, value("x")}).writes.size() == 1);
  }

  TEST_CASE("on_accept: a vote is written again once it has been seen faulty, or after a restart") {
    Acceptor acceptor = make_acceptor();
    const Accept accept{{1, kN1}, {3}, value("x")};
    step(acceptor, kN1, accept);
    acceptor.on_faulty({4});
    CHECK(step(acceptor, kN1, accept).writes.empty());
    acceptor.on_faulty({3});
    CHECK(step(acceptor, kN1, accept).writes.size() == 1);
    Acceptor restarted = make_acceptor({.promised = {1, kN1}});
    CHECK(step(restarted, kN1, accept).writes.size() == 1);
  }

  TEST_CASE("on_accept: of many votes some are forgotten, and written again") {
    Acceptor acceptor = make_acceptor();
    const std::uint64_t last = Acceptor::kVotedMax + 1;
    for (std::uint64_t slot = 1; slot <= last; ++slot) {
      step(acceptor, kN1, Accept{{1, kN1}, {slot}, value("x")});
    }
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("x")}).writes.empty());
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {last}, value("x")}).writes.size() == 1);
  }

  TEST_CASE("on_accept: low space is told, on a full disk batches are refused, noops are not") {
    Acceptor acceptor = make_acceptor();
    acceptor.set_space(true, false);
    CHECK(all_of<HeartbeatAck>(step(acceptor, kN1, Heartbeat{{1, kN1}, 1}).sends).at(0).no_space);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("x")}).writes.size() == 1);
    acceptor.set_space(true, true);
    const auto batch = step(acceptor, kN1, Accept{{1, kN1}, {2}, value("x")});
    CHECK(batch.writes.empty());
    REQUIRE(all_of<Nack>(batch.sends).size() == 1);
    CHECK(all_of<Nack>(batch.sends)[0].no_space);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, Value{}}).writes.size() == 1);
  }

  // Otherwise nobody could make room.
  TEST_CASE("on_accept: on a full disk upkeep is voted for, within its bound and what is kept") {
    Acceptor acceptor = make_acceptor();
    acceptor.set_space(true, true);
    acceptor.set_space_kept({0, kUpkeepBytesMax + 10});
    const auto upkeep = [](std::size_t bytes) {
      const Value as_batch = value(std::string(bytes, 'u'));
      return Value(ValueKind::upkeep, {as_batch.parts()[0]}, as_batch.digest());
    };
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("b")}).writes.empty());
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, upkeep(kUpkeepBytesMax + 1)}).writes.empty());
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, upkeep(kUpkeepBytesMax)}).writes.size() == 1);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {2}, upkeep(10)}).writes.size() == 1);
    const auto spent = step(acceptor, kN1, Accept{{1, kN1}, {3}, upkeep(1)});
    CHECK(spent.writes.empty());
    CHECK(all_of<Nack>(spent.sends).at(0).no_space);
    acceptor.set_space(true, false);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {3}, upkeep(1)}).writes.size() == 1);
  }

  TEST_CASE("on_heartbeat: that little is left for upkeep is told before nothing is") {
    Acceptor acceptor = make_acceptor();
    const auto told = [&] {
      return all_of<HeartbeatAck>(step(acceptor, kN1, Heartbeat{{1, kN1}, 1}).sends)
          .at(0)
          .no_upkeep;
    };
    acceptor.set_space_kept({0, Acceptor::kUpkeepRoomBytesMin - 1});
    CHECK_FALSE(told());
    acceptor.set_space(true, true);
    CHECK(told());
    acceptor.set_space_kept({Acceptor::kUpkeepRoomBytesMin, Acceptor::kUpkeepRoomBytesMin});
    CHECK_FALSE(told());
    // What recovers takes of the same.
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("v"), true}).writes.size() == 1);
    CHECK(told());
  }

  // Otherwise a leader that begins on full disks could not even serve reads.
  TEST_CASE("on_accept: on a full disk what phase 1 has found is voted for, as long as it lasts") {
    Acceptor acceptor = make_acceptor();
    acceptor.set_space(true, true);
    acceptor.set_space_kept({10, 0});
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("new")}).writes.empty());
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {1}, value("1234"), true}).writes.size() == 1);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {2}, value("567890"), true}).writes.size() == 1);
    const auto spent = step(acceptor, kN1, Accept{{1, kN1}, {3}, value("1"), true});
    CHECK(spent.writes.empty());
    REQUIRE(all_of<Nack>(spent.sends).size() == 1);
    CHECK(all_of<Nack>(spent.sends)[0].no_space);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {3}, Value{}, true}).writes.size() == 1);
    const Value known = value("x");
    const Value newer(static_cast<ValueKind>(9), {known.parts().begin(), known.parts().end()}, 1);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {4}, newer, true}).writes.empty());
    acceptor.set_space(true, false);
    CHECK(step(acceptor, kN1, Accept{{1, kN1}, {4}, value("new")}).writes.size() == 1);
  }

  TEST_CASE("on_heartbeat: answered with the promise, nacked below it") {
    Acceptor acceptor = make_acceptor({.promised = {2, kN1}});
    const auto equal = step(acceptor, kN1, Heartbeat{{2, kN1}, 7});
    REQUIRE(all_of<HeartbeatAck>(equal.sends).size() == 1);
    CHECK(all_of<HeartbeatAck>(equal.sends)[0].promised == Ballot{2, kN1});
    CHECK(all_of<HeartbeatAck>(equal.sends)[0].beat == 7);
    CHECK(equal.heard == Ballot{2, kN1});
    // A heartbeat does not raise the promise: it was heard, not promised.
    const auto higher = step(acceptor, kN2, Heartbeat{{3, kN2}, 1});
    CHECK(all_of<HeartbeatAck>(higher.sends)[0].promised == Ballot{2, kN1});
    CHECK(acceptor.promised() == Ballot{2, kN1});
    CHECK(all_of<Nack>(step(acceptor, kN3, Heartbeat{{1, kN3}, 1}).sends).size() == 1);
  }

  // It tells nothing of promises and votes: those wait for the disk.
  TEST_CASE(
      "on_heartbeat, on_prepare: that it has come is told at once, but not of a lower ballot") {
    Acceptor acceptor = make_acceptor({.promised = {2, kN1}});
    const auto beat = step(acceptor, kN1, Heartbeat{{2, kN1}, 7});
    CHECK(beat.at_once == std::vector{Send{kN1, message(Heard{{2, kN1}, 7})}});
    CHECK(all_of<Heard>(beat.sends).empty());
    CHECK(step(acceptor, kN3, Heartbeat{{1, kN3}, 1}).at_once.empty());
    const auto prepare = step(acceptor, kN2, Prepare{{3, kN2}, {1}});
    CHECK(prepare.at_once == std::vector{Send{kN2, message(Heard{{3, kN2}, 0})}});
    CHECK(step(acceptor, kN1, Prepare{{2, kN1}, {1}}).at_once.empty());
  }

  // Protocol-Aware Recovery: what was promised is unknown, so nothing may be promised or voted for.
  TEST_CASE("step: with a faulty promise record it neither promises nor votes") {
    Acceptor acceptor = make_acceptor({.promise_faulty = true});
    const auto prepare = step(acceptor, kN1, Prepare{{9, kN1}, {1}});
    CHECK((prepare.writes.empty() && prepare.promises.empty() && prepare.sends.empty()));
    const auto accept = step(acceptor, kN1, Accept{{9, kN1}, {1}, value("x")});
    CHECK((accept.writes.empty() && accept.sends.empty()));
    // It hears the leader, so that it does not help to unseat it.
    CHECK(step(acceptor, kN1, Heartbeat{{9, kN1}, 1}).heard == Ballot{9, kN1});
  }

  TEST_CASE("step: another epoch, or a stranger, is ignored") {
    Acceptor acceptor = make_acceptor();
    Acceptor::Effects effects;
    acceptor.step(kN1, {{2}, Prepare{{1, kN1}, {1}}}, effects);
    acceptor.step({9}, message(Prepare{{1, {9}}, {1}}), effects);
    CHECK((effects.writes.empty() && effects.promises.empty() && effects.sends.empty()));
  }
}

}  // namespace stele::paxos
