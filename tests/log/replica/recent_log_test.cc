#include "log/replica/recent_log.h"

#include <doctest/doctest.h>

#include "tests/support/commands.h"

namespace stele::log {
namespace {

using Texts = std::vector<std::string>;

/// A log of batches, applied by a real state.
struct Bench {
  Bench() { state.apply({1}, batch_of({open_command(1)})); }

  void append(const Texts& entries) {
    const Slot slot = state.numbers().chosen_end;
    const paxos::Value value =
        batch_of({append_command({1}, state.sessions().next_sequence({1}), entries)});
    recent.add(state.apply(slot, value).value().row, value);
  }

  LogState state;
  RecentLog recent{Lsn{1}, 4 << 20};
};

}  // namespace

TEST_SUITE("log.recent_log") {
  TEST_CASE("read: any range, across batches, by bytes but at least one") {
    Bench bench;
    bench.append({"a", "b", "c"});
    bench.append({"d"});
    bench.append({"e", "f"});
    CHECK(payloads(bench.recent.read({1}, {7}, SIZE_MAX).entries) ==
          Texts{"a", "b", "c", "d", "e", "f"});
    CHECK(payloads(bench.recent.read({2}, {5}, SIZE_MAX).entries) == Texts{"b", "c", "d"});
    CHECK(payloads(bench.recent.read({6}, {100}, SIZE_MAX).entries) == Texts{"f"});
    CHECK(bench.recent.read({7}, {100}, SIZE_MAX).count == 0);
    CHECK(payloads(bench.recent.read({3}, {7}, 1).entries) == Texts{"c"});
    CHECK(bench.recent.read({1}, {7}, 20).count == 2);
  }

  TEST_CASE("read: shares the buffers of the batches, without a copy") {
    Bench bench;
    const std::string big(100'000, 'x');
    bench.append({big});
    const auto first = bench.recent.read({1}, {2}, SIZE_MAX);
    const auto second = bench.recent.read({1}, {2}, SIZE_MAX);
    CHECK(first.entries[0].bytes.data() == second.entries[0].bytes.data());
  }

  TEST_CASE("read: a little of a large batch does not keep all of it") {
    Bench bench;
    bench.append(Texts(100, std::string(1000, 'x')));
    const auto first = bench.recent.read({1}, {2}, SIZE_MAX);
    const auto second = bench.recent.read({1}, {2}, SIZE_MAX);
    CHECK(payloads(first.entries) == Texts{std::string(1000, 'x')});
    CHECK(first.entries[0].bytes.data() != second.entries[0].bytes.data());
  }

  // What is not durable can be read from nowhere else.
  TEST_CASE("on_durable: bounded, but keeps everything that is not durable") {
    Bench bench;
    const std::string big(1 << 20, 'x');
    for (int i = 0; i < 10; ++i) bench.append({big});
    bench.recent.on_durable({1});
    CHECK(bench.recent.holds({1}));
    bench.recent.on_durable({4});
    CHECK_FALSE(bench.recent.holds({3}));
    CHECK(bench.recent.holds({4}));
    bench.recent.on_durable({11});
    CHECK_FALSE(bench.recent.holds({6}));
    CHECK(bench.recent.holds({9}));
    CHECK(bench.recent.read({9}, {11}, SIZE_MAX).count == 2);
  }
}

}  // namespace stele::log
