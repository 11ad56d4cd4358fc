#include "log/client/resend_gate.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

using std::chrono::milliseconds;

constexpr Duration kTimeout = milliseconds(500);

/// Appends 1 to 3 were sent, and are sent again: that has left once 1,000 bytes have.
struct Gate {
  Gate() {
    gate.on_resend({4});
    gate.on_sent({1}, [] { return std::uint64_t{1'000}; });
  }
  std::optional<Sequence> miss(std::uint64_t sequence, std::uint64_t left) {
    return gate.miss({sequence}, left, now);
  }
  std::optional<Sequence> due(std::uint64_t first, std::uint64_t left) {
    return gate.due({first}, left, now);
  }

  ResendGate gate{kTimeout};
  Time now{milliseconds(10'000)};
};

}  // namespace

TEST_SUITE("log.resend_gate") {
  TEST_CASE("what was never sent again is sent at once") {
    ResendGate gate(kTimeout);
    gate.on_sent({1}, [] { return std::uint64_t{1'000}; });  // For the first time.
    CHECK(gate.miss({1}, 0, Time{}) == Sequence{1});
    CHECK_FALSE(gate.misses());
  }

  TEST_CASE("what was sent again waits until it has left") {
    Gate bench;
    CHECK_FALSE(bench.miss(2, 999));
    CHECK(bench.gate.misses());
    CHECK(bench.miss(3, 1'000) == Sequence{2});  // The lowest of those that were missed.
    CHECK_FALSE(bench.gate.misses());
  }

  TEST_CASE("as long as bytes leave, nothing is due; a time-out without any, and it is") {
    Gate bench;
    CHECK_FALSE(bench.miss(2, 0));
    for (std::uint64_t left = 1; left < 10; ++left) {
      bench.now += milliseconds(400);
      CHECK_FALSE(bench.due(1, left));
    }
    bench.now += milliseconds(499);
    CHECK_FALSE(bench.due(1, 9));
    bench.now += milliseconds(1);
    CHECK(bench.due(1, 9) == Sequence{2});
    CHECK_FALSE(bench.due(1, 9));  // Once.
  }

  TEST_CASE("of several that are missed, those that have come meanwhile are left out") {
    Gate bench;
    CHECK_FALSE(bench.miss(3, 0));
    CHECK_FALSE(bench.miss(2, 0));
    bench.now += kTimeout;
    CHECK(bench.due(3, 0) == Sequence{3});
  }

  TEST_CASE("if all have come, nothing is due") {
    Gate bench;
    CHECK_FALSE(bench.miss(2, 0));
    bench.now += kTimeout;
    CHECK_FALSE(bench.due(3, 0));
    CHECK_FALSE(bench.gate.misses());
  }

  TEST_CASE("another connection does not wait for the bytes of the last one") {
    Gate bench;
    bench.gate.forget_bytes();
    CHECK(bench.miss(2, 0) == Sequence{2});
  }

  TEST_CASE("another node is not asked for what the last one has missed") {
    Gate bench;
    CHECK_FALSE(bench.miss(2, 0));
    bench.gate.forget_misses();
    bench.now += kTimeout;
    CHECK_FALSE(bench.due(1, 0));
    // But what is sent to it was sent before.
    bench.gate.on_sent({1}, [] { return std::uint64_t{50}; });
    CHECK_FALSE(bench.miss(2, 49));
  }

  TEST_CASE("in another session nothing was sent before") {
    Gate bench;
    bench.gate.forget();
    bench.gate.on_sent({1}, [] { return std::uint64_t{1'000}; });
    CHECK(bench.miss(1, 0) == Sequence{1});
  }
}

}  // namespace stele::log
