#include "log/store/disk/sync_cost.h"

#include <doctest/doctest.h>

#include <cmath>

namespace stele::log {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Commits on a disk of 10 MB/s whose syncs take so long.
void commit(SyncCost& cost, SyncCost::Duration sync, std::size_t bytes) {
  cost.add(bytes, sync + std::chrono::nanoseconds(100 * bytes));
}

bool about(SyncCost::Duration a, SyncCost::Duration b) {
  return std::abs((a - b).count()) <= b.count() / 10;
}

}  // namespace

TEST_SUITE("log.sync_cost") {
  TEST_CASE("known once commits differ, kept while they are alike") {
    SyncCost cost;
    for (int i = 0; i < 100; ++i) commit(cost, milliseconds(50), 1'000'000);
    CHECK(cost.get() == milliseconds(0));
    for (int i = 0; i < 4; ++i) commit(cost, milliseconds(50), i % 2 == 0 ? 10'000 : 500'000);
    CHECK(about(cost.get(), milliseconds(50)));
    for (int i = 0; i < 1000; ++i) commit(cost, milliseconds(50), 1'000'000);
    CHECK(about(cost.get(), milliseconds(50)));
  }

  TEST_CASE("a disk whose syncs change") {
    SyncCost cost;
    for (std::size_t i = 0; i < 100; ++i) commit(cost, milliseconds(50), 1000 * (i % 7));
    CHECK(about(cost.get(), milliseconds(50)));
    for (std::size_t i = 0; i < 200; ++i) commit(cost, microseconds(100), 1000 * (i % 7));
    CHECK(cost.get() < milliseconds(1));
  }

  // Whatever has been measured, it is a time, and no longer than a commit.
  TEST_CASE("commits that take less the more they write") {
    SyncCost cost;
    for (std::size_t i = 0; i < 100; ++i) cost.add(1000 * (i % 7), milliseconds(7 - i % 7));
    CHECK(cost.get() >= milliseconds(0));
    CHECK(cost.get() <= milliseconds(7));
  }
}

}  // namespace stele::log
