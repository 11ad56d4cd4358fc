#include "bench/measure/histogram.h"

#include <doctest/doctest.h>

namespace stele::bench {

TEST_SUITE("bench.histogram") {
  TEST_CASE("at: small values exactly, others at most 1.6 % too high, never above the largest") {
    for (std::uint64_t value = 0; value < 64; ++value) {
      Histogram one;
      one.record(value);
      CHECK(one.at(0.5) == value);
    }
    for (std::uint64_t value = 64; value < UINT64_MAX / 3; value += value / 5) {
      Histogram histogram;
      histogram.record(value);
      CHECK(histogram.at(0.5) == value);  // It is the largest.
      histogram.record(UINT64_MAX);
      const std::uint64_t low = histogram.at(0);
      CHECK(low >= value);
      CHECK(low - value <= value / 64);
      CHECK(histogram.max() == UINT64_MAX);
      CHECK(histogram.at(1) == UINT64_MAX);
    }
  }

  TEST_CASE("at: the share of all values, in any order") {
    Histogram histogram;
    for (std::uint64_t value = 1000; value > 0; --value) histogram.record(value);
    CHECK(histogram.count() == 1000);
    const auto near = [&](double share, std::uint64_t value) {
      return histogram.at(share) >= value && histogram.at(share) <= value + value / 64 + 1;
    };
    CHECK(near(0.5, 500));
    CHECK(near(0.9, 900));
    CHECK(near(0.99, 990));
    CHECK(histogram.at(1) == 1000);
  }

  TEST_CASE("add: as if all had been recorded in one; an empty one is 0") {
    Histogram first;
    CHECK(first.at(0.5) == 0);
    CHECK(first.max() == 0);
    Histogram second;
    first.record(10);
    second.record(20);
    second.record(30);
    first.add(second);
    CHECK(first.count() == 3);
    CHECK(first.at(0.5) == 20);
    CHECK(first.max() == 30);
  }
}

}  // namespace stele::bench
