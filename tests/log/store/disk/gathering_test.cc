#include "log/store/disk/gathering.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

using std::chrono::milliseconds;

constexpr Time kStart = std::chrono::seconds(1);

/// A commit of 1000 bytes was told of at kStart, with a sync of 10 ms.
Gathering after_slow_sync() {
  Gathering gathering;
  gathering.on_committed(kStart, milliseconds(10), 1000);
  return gathering;
}

}  // namespace

TEST_SUITE("log.gathering") {
  TEST_CASE("after a slow sync a commit waits for half of its time; after a fast one it does not") {
    CHECK(after_slow_sync().begin(kStart, 10) == kStart + milliseconds(5));
    Gathering gathering;
    gathering.on_committed(kStart, std::chrono::microseconds(50), 1000);
    CHECK_FALSE(gathering.begin(kStart, 10));
    gathering.on_committed(kStart, std::chrono::seconds(1), 1000);
    CHECK(gathering.begin(kStart, 10) == kStart + Gathering::kMax);
  }

  TEST_CASE("a commit that comes later, or is empty, does not wait") {
    CHECK_FALSE(after_slow_sync().begin(kStart + milliseconds(5), 10));
    CHECK_FALSE(after_slow_sync().begin(kStart, 0));
  }

  TEST_CASE("it is complete with almost all that the last commit had") {
    Gathering gathering = after_slow_sync();
    REQUIRE(gathering.begin(kStart, 200));
    CHECK_FALSE(gathering.complete(1000));
    CHECK(gathering.complete(1060));
  }

  TEST_CASE("after a wait that brought nothing the next ones are left out, after a good one not") {
    Gathering gathering = after_slow_sync();
    REQUIRE(gathering.begin(kStart, 100));
    gathering.end(milliseconds(1), milliseconds(10), 1000);  // Nine tenths have come.
    CHECK(gathering.begin(kStart, 100));
    gathering.end(milliseconds(5), milliseconds(10), 100);  // Nothing has come.
    for (int i = 0; i < Gathering::kWithout; ++i) CHECK_FALSE(gathering.begin(kStart, 100));
    CHECK(gathering.begin(kStart, 100));
  }
}

}  // namespace stele::log
