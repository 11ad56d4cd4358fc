#include "log/replica/snapshot_pace.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

using std::chrono::seconds;

/// A log that has grown by so many bytes since its last snapshot, which was asked for in `slot`.
StateNumbers grown_by(std::uint64_t bytes, Slot slot = {1}) {
  StateNumbers numbers;
  numbers.snapshot_slot = slot;
  numbers.snapshot_log_bytes = 1000;
  numbers.log_bytes = 1000 + bytes;
  return numbers;
}

}  // namespace

TEST_SUITE("log.snapshot_pace") {
  TEST_CASE("a snapshot is due after so many bytes, but not much more than what snapshots take") {
    SnapshotPace pace({.every_bytes = 100, .waiting_bytes = 10});
    CHECK_FALSE(pace.due(seconds(1), grown_by(99), 0, false));
    CHECK_FALSE(pace.due(seconds(1), grown_by(100), 13, false));
    CHECK(pace.due(seconds(1), grown_by(104), 13, false));
  }

  TEST_CASE("what was asked for is asked again only if nothing has come of it") {
    SnapshotPace pace({.every_bytes = 100, .waiting_bytes = 10});
    CHECK(pace.due(seconds(1), grown_by(100), 0, false));
    CHECK_FALSE(pace.due(seconds(1), grown_by(150), 0, false));
    CHECK(pace.due(seconds(2), grown_by(150), 0, false));
    CHECK_FALSE(pace.due(seconds(2), grown_by(0, {200}), 0, false));
    CHECK(pace.due(seconds(2), grown_by(100, {200}), 0, false));
  }

  TEST_CASE("a trim that waits has one at once, then after fewer bytes, or after a while") {
    SnapshotPace pace({.every_bytes = 100, .waiting_bytes = 10, .waiting = seconds(10)});
    CHECK(pace.due(seconds(1), grown_by(0), 0, true));
    CHECK_FALSE(pace.due(seconds(3), grown_by(9, {200}), 0, true));
    CHECK(pace.due(seconds(3), grown_by(10, {200}), 0, true));
    CHECK_FALSE(pace.due(seconds(12), grown_by(1, {300}), 0, true));
    CHECK(pace.due(seconds(13), grown_by(1, {300}), 0, true));
    // A large one less often.
    const std::uint64_t large = 60 * SnapshotPace::kBytesPerSecond;
    CHECK_FALSE(pace.due(seconds(72), grown_by(1, {400}), large, true));
    CHECK(pace.due(seconds(73), grown_by(1, {400}), large, true));
  }
}

}  // namespace stele::log
