#include "paxos/leader/phase_one.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

constexpr Ballot kB5{5, kN3};

Promise whole(std::uint64_t begin, std::uint64_t chosen_end,
              std::vector<SlotRecord> accepted = {}) {
  const Slot end = accepted.empty() ? Slot{std::max(begin, chosen_end)} : accepted.back().slot + 1;
  return {kB5, {begin}, end, true, {chosen_end}, std::move(accepted)};
}

Promise piece(std::uint64_t begin, std::uint64_t end, std::vector<SlotRecord> accepted) {
  return {kB5, {begin}, {end}, false, {1}, std::move(accepted)};
}

}  // namespace

TEST_SUITE("paxos.phase_one") {
  TEST_CASE("won: with q1 promises, complete once q1 have told everything") {
    PhaseOne phase(three_nodes(), kB5, {1});
    CHECK_FALSE(phase.won());
    CHECK(phase.on_promise(kN3, whole(1, 1)));
    CHECK_FALSE(phase.won());
    CHECK(phase.on_promise(kN1, piece(1, 2, {record(1, {1, kN1}, "a")})));
    CHECK(phase.won());
    CHECK_FALSE(phase.complete());
    CHECK(phase.covered_end() == Slot{2});
    CHECK(phase.on_promise(kN1, whole(2, 1)));
    CHECK(phase.complete());
  }

  // PMMC 2.4 pmax: of all votes told for a slot, the one of the highest ballot.
  TEST_CASE("take: the value of the highest ballot, whatever the order of the answers") {
    for (const bool high_first : {true, false}) {
      PhaseOne phase(three_nodes(), kB5, {1});
      const Promise low = whole(1, 1, {record(1, {1, kN1}, "old")});
      const Promise high = whole(1, 1, {record(1, {2, kN2}, "new")});
      phase.on_promise(kN1, high_first ? high : low);
      phase.on_promise(kN2, high_first ? low : high);
      const auto taken = phase.take({1});
      REQUIRE(taken);
      CHECK(text_of(*taken) == "new");
    }
  }

  TEST_CASE("take: nothing where nobody voted, so that the hole becomes a noop") {
    PhaseOne phase(three_nodes(), kB5, {1});
    phase.on_promise(kN1, whole(1, 1, {record(3, {1, kN1}, "c")}));
    phase.on_promise(kN2, whole(1, 1));
    CHECK(phase.reported_end() == Slot{4});
    CHECK_FALSE(phase.take({1}));
    CHECK_FALSE(phase.take({2}));
    CHECK(text_of(*phase.take({3})) == "c");
  }

  TEST_CASE("on_promise: a piece that leaves a gap does not count") {
    PhaseOne phase(three_nodes(), kB5, {1});
    phase.on_promise(kN1, whole(1, 1));
    CHECK(phase.on_promise(kN2, piece(1, 3, {record(1, {1, kN1}, "a"), record(2, {1, kN1}, "b")})));
    // Slot 3 was not told: a vote there must not be overlooked.
    CHECK_FALSE(phase.on_promise(kN2, whole(4, 1)));
    CHECK_FALSE(phase.complete());
    CHECK(phase.covered_end() == Slot{3});
    CHECK(phase.next_piece(kN2, {1}) == Slot{3});
    CHECK(phase.on_promise(kN2, whole(3, 1)));
    CHECK(phase.complete());
  }

  TEST_CASE("on_promise: a first piece that begins too late does not count") {
    PhaseOne phase(three_nodes(), kB5, {4});
    CHECK_FALSE(phase.on_promise(kN1, whole(5, 1)));
    CHECK(phase.on_promise(kN1, whole(4, 1)));
  }

  TEST_CASE("base: the largest chosen_end promised; votes below it are dropped") {
    PhaseOne phase(three_nodes(), kB5, {1});
    phase.on_promise(kN1, whole(1, 1, {record(2, {1, kN1}, "b"), record(6, {1, kN1}, "f")}));
    phase.on_promise(kN2, whole(1, 5));
    CHECK(phase.base() == Slot{5});
    CHECK(phase.reported_end() == Slot{7});
    CHECK_FALSE(phase.take({5}));
    CHECK(text_of(*phase.take({6})) == "f");
  }

  TEST_CASE("base: what lies below it need not be told") {
    PhaseOne phase(three_nodes(), kB5, {1});
    phase.on_promise(kN2, whole(1, 100));
    CHECK(phase.on_promise(kN1, piece(1, 3, {record(1, {1, kN1}, "a"), record(2, {1, kN1}, "b")})));
    CHECK(phase.next_piece(kN1, {100}) == Slot{100});
    CHECK(phase.on_promise(kN1, whole(100, 1)));
    CHECK(phase.complete());
  }

  TEST_CASE("on_promise: a vote of this very ballot, told late, changes nothing that was taken") {
    PhaseOne phase(three_nodes(), kB5, {1});
    phase.on_promise(kN1, piece(1, 2, {record(1, {1, kN1}, "a")}));
    phase.on_promise(kN2, piece(1, 2, {record(1, {1, kN1}, "a")}));
    CHECK(text_of(*phase.take({1})) == "a");
    CHECK(phase.on_promise(kN3, whole(1, 1, {record(1, kB5, "a")})));
    CHECK(phase.on_promise(kN1, whole(2, 1)));
    CHECK(phase.complete());
    CHECK(phase.reported_end() == Slot{1});
  }

  TEST_CASE("on_promise: resent answers, other ballots and strangers are ignored") {
    PhaseOne phase(three_nodes(), kB5, {1});
    CHECK(phase.on_promise(kN1, whole(1, 1)));
    CHECK_FALSE(phase.on_promise(kN1, whole(1, 1)));
    Promise other = whole(1, 1);
    other.ballot = {4, kN3};
    CHECK_FALSE(phase.on_promise(kN2, other));
    CHECK_FALSE(phase.on_promise({9}, whole(1, 1)));
  }

  // Bounded memory: a promise of any length is worked off piece by piece.
  TEST_CASE("next_piece: not asked for while enough is buffered that can be proposed") {
    PhaseOne phase(three_nodes(), kB5, {1});
    const std::string megabyte(1 << 20, 'x');
    std::uint64_t slot = 1;
    while (phase.next_piece(kN1, {1}) && slot < 100) {
      phase.on_promise(kN1, piece(slot, slot + 1, {record(slot, {1, kN1}, megabyte)}));
      phase.on_promise(kN2, piece(slot, slot + 1, {record(slot, {1, kN1}, megabyte)}));
      ++slot;
    }
    CHECK(slot <= 10);
    CHECK_FALSE(phase.next_piece(kN2, {1}));
    // Proposing makes room.
    for (Slot taken{1}; taken < Slot{4}; ++taken) phase.take(taken);
    CHECK(phase.next_piece(kN1, {4}) == Slot{slot});
  }

  // A leader that could not fetch what others say is chosen: the votes of the rest must do.
  TEST_CASE("ignore_ahead: who is ahead does not count, as long as the others are a quorum") {
    PhaseOne phase(three_nodes(), kB5, {5}, true);
    CHECK_FALSE(phase.on_promise(kN1, whole(5, 9)));
    CHECK(phase.on_promise(kN2, piece(5, 6, {record(5, {1, kN1}, "e")})));
    CHECK(phase.on_promise(kN3, piece(5, 6, {record(5, {1, kN1}, "e")})));
    CHECK(phase.base() == Slot{5});
    CHECK(text_of(*phase.take({5})) == "e");
    // What counts gets ahead while its promise is worked off: later pieces count all the same.
    Promise second = whole(6, 6);
    CHECK(phase.on_promise(kN2, second));
    CHECK(phase.on_promise(kN3, second));
    CHECK(phase.complete());
  }

  TEST_CASE("ignore_ahead: all count if without those who are ahead there is no quorum") {
    PhaseOne phase(three_nodes(), kB5, {5}, true);
    CHECK(phase.on_promise(kN1, whole(5, 5)));
    CHECK_FALSE(phase.on_promise(kN2, whole(5, 9)));
    CHECK(phase.on_promise(kN3, whole(5, 9)));
    CHECK(phase.complete());
    CHECK(phase.base() == Slot{9});
  }

  TEST_CASE("covered_end: with q1 of 1 a single promise is enough") {
    PhaseOne phase(*Configuration::make({kN1, kN2, kN3}, 1, 3), kB5, {1});
    phase.on_promise(kN2, whole(1, 1));
    CHECK(phase.complete());
  }
}

}  // namespace stele::paxos
