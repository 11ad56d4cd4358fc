#include "paxos/leader/read_confirmation.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

using Ready = std::vector<ReadConfirmation::Ready>;

Ready confirmed(ReadConfirmation& confirmation, bool starts_another = false) {
  Ready ready;
  CHECK(confirmation.confirm(2, ready) == starts_another);
  return ready;
}

}  // namespace

TEST_SUITE("paxos.read_confirmation") {
  TEST_CASE("a read is confirmed by a beat that started after it, answered by a quorum") {
    ReadConfirmation confirmation;
    CHECK(confirmation.start_beat(milliseconds(1), {3}) == 1);
    CHECK(confirmation.add(7));
    CHECK(confirmation.on_answer(kN1, 1));
    CHECK(confirmation.on_answer(kN2, 1));
    Ready ready;
    CHECK(confirmation.confirm(2, ready));  // The beat before it is of no use.
    CHECK(ready.empty());
    CHECK(confirmation.start_beat(milliseconds(2), {4}) == 2);
    CHECK(confirmation.on_answer(kN1, 2));
    CHECK(confirmed(confirmation).empty());
    CHECK(confirmation.on_answer(kN3, 2));
    CHECK(confirmed(confirmation) == Ready{{7, {4}}});
    CHECK(confirmed(confirmation).empty());  // Once.
  }

  TEST_CASE("reads that come during a beat share the next one") {
    ReadConfirmation confirmation;
    CHECK(confirmation.add(1));
    confirmation.start_beat(milliseconds(1), {3});
    CHECK_FALSE(confirmation.add(2));
    CHECK_FALSE(confirmation.add(3));
    CHECK(confirmation.on_answer(kN1, 1));
    CHECK(confirmation.on_answer(kN2, 1));
    CHECK(confirmed(confirmation, /*starts_another=*/true) == Ready{{1, {3}}});
    confirmation.start_beat(milliseconds(2), {5});
    CHECK(confirmation.on_answer(kN1, 2));
    CHECK(confirmation.on_answer(kN2, 2));
    CHECK(confirmed(confirmation) == Ready{{2, {5}}, {3, {5}}});
  }

  TEST_CASE("answers: older ones do not count, nor those of a node that has refused since") {
    ReadConfirmation confirmation;
    confirmation.start_beat(milliseconds(1), {3});
    confirmation.start_beat(milliseconds(2), {3});
    CHECK(confirmation.on_answer(kN1, 2));
    CHECK_FALSE(confirmation.on_answer(kN1, 1));
    CHECK(confirmation.on_answer(kN2, 2));
    CHECK_FALSE(confirmation.on_answer(kN3, 0));
    CHECK(confirmation.followers() == 2);
    confirmation.forget(kN2);
    CHECK(confirmation.followers() == 1);
    CHECK(confirmation.add(9));
    confirmation.start_beat(milliseconds(3), {4});
    CHECK(confirmation.on_answer(kN1, 3));
    CHECK(confirmed(confirmation).empty());
    confirmation.reset();  // Another ballot.
    CHECK(confirmation.followers() == 0);
  }

  TEST_CASE("refuse_all: what waits is refused, whether its beat has started or not") {
    ReadConfirmation confirmation;
    CHECK(confirmation.add(1));
    confirmation.start_beat(milliseconds(1), {3});
    CHECK_FALSE(confirmation.add(2));
    std::vector<std::uint64_t> refused;
    confirmation.refuse_all(refused);
    CHECK(refused == std::vector<std::uint64_t>{1, 2});
    CHECK(confirmation.add(3));
  }

  TEST_CASE("started_at: of the beats that are remembered") {
    ReadConfirmation confirmation;
    for (int beat = 1; beat <= 2000; ++beat) confirmation.start_beat(milliseconds(beat), {1});
    CHECK(confirmation.beat() == 2000);
    CHECK(confirmation.started_at() == milliseconds(2000));
    CHECK(confirmation.started_at(1500) == milliseconds(1500));
    CHECK_FALSE(confirmation.started_at(10));
  }
}

}  // namespace stele::paxos
