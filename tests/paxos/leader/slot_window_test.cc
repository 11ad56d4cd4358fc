#include "paxos/leader/slot_window.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;

using Slots = std::vector<std::uint64_t>;

/// A window from slot 5 on, with so many values.
struct Bench {
  explicit Bench(int values) {
    for (int i = 0; i < values; ++i) window.push(value("v" + std::to_string(i)), now, false);
  }
  /// The slots that become chosen by this vote, with a quorum of two.
  Slots vote(NodeId node, std::uint64_t begin, std::uint64_t end) {
    Slots chosen;
    window.on_votes(node, {{}, {begin}, {end}}, 2,
                    [&](Slot slot, const SlotWindow::InFlight&) { chosen.push_back(slot.value); });
    return chosen;
  }
  Slots owed(NodeId node) {
    Slots slots;
    window.for_each_owed(
        node, [&](Slot slot, const SlotWindow::InFlight&) { slots.push_back(slot.value); });
    return slots;
  }

  Time now = milliseconds(1);
  SlotWindow window{{5}};
};

}  // namespace

TEST_SUITE("paxos.slot_window") {
  TEST_CASE("on_votes: a slot is chosen once, by votes of different nodes, in this window alone") {
    Bench bench(3);
    CHECK(bench.window.begin() == Slot{5});
    CHECK(bench.window.next() == Slot{8});
    CHECK(bench.vote(kN1, 5, 8).empty());
    CHECK(bench.vote(kN1, 5, 8).empty());
    CHECK(bench.vote(kN2, 1, 100) == Slots{5, 6, 7});
    CHECK(bench.vote(kN3, 5, 8).empty());
  }

  TEST_CASE("drop_chosen: from the front, up to the first that is not chosen") {
    Bench bench(3);
    bench.vote(kN1, 5, 8);
    CHECK(bench.vote(kN2, 6, 7) == Slots{6});
    bench.window.drop_chosen();
    CHECK(bench.window.begin() == Slot{5});
    CHECK(bench.vote(kN2, 5, 6) == Slots{5});
    bench.window.drop_chosen();
    CHECK(bench.window.begin() == Slot{7});
    CHECK(bench.window.size() == 1);
    CHECK(bench.window.counted_begin() == Slot{5});
  }

  TEST_CASE("drop_learned: what others say is chosen leaves, and is not counted as chosen here") {
    Bench bench(3);
    bench.window.drop_learned({6});
    CHECK(bench.window.begin() == Slot{6});
    CHECK(bench.window.counted_begin() == Slot{6});
    bench.window.drop_learned({20});  // More than was proposed.
    CHECK(bench.window.empty());
    CHECK(bench.window.begin() == Slot{20});
    CHECK(bench.window.next() == Slot{20});
  }

  TEST_CASE("owed: what is not chosen and that node has not voted for") {
    Bench bench(3);
    bench.vote(kN1, 5, 8);
    bench.vote(kN2, 5, 6);
    CHECK(bench.owed(kN2) == Slots{6, 7});
    CHECK(bench.window.first_owed(kN2) == Slot{6});
    CHECK(bench.owed(kN3) == Slots{6, 7});
    CHECK_FALSE(bench.window.first_owed(kN1));
  }

  TEST_CASE("bytes: of all that is in flight; each slot knows what was with it") {
    Bench bench(0);
    bench.window.push(value("1234"), bench.now, false);
    CHECK(bench.window.push(value("56"), bench.now, true).ahead_bytes == 6);
    CHECK(bench.window.bytes() == 6);
    CHECK_FALSE(bench.window.front().recovers);
    bench.window.mark_recovering();
    CHECK(bench.window.front().recovers);
    bench.window.clear();
    CHECK(bench.window.bytes() == 0);
  }
}

}  // namespace stele::paxos
