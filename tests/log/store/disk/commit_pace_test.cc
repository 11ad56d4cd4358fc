#include "log/store/disk/commit_pace.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A disk of 10 MB/s whose syncs take so long, beside each other or one after the other; as many
/// commits as may be are begun on it.
struct Disk {
  Disk(Duration sync, bool beside) : sync_(sync), beside_(beside) {}

  /// Commits of so many bytes, in turn, whenever one may begin, for so long.
  void run(Duration lasts, std::vector<std::size_t> bytes = {1000, 50'000}) {
    for (const Time end = now + lasts; now < end; now += std::chrono::microseconds(100)) {
      finish();
      if (!pace.may_begin(now, 1000)) continue;
      begin(bytes[begun++ % bytes.size()]);
      most = std::max(most, under_way.size());
    }
  }
  void begin(std::size_t bytes) {
    pace.on_begun(now, bytes);
    const Time free = std::max(now, free_at);
    free_at = free + std::chrono::nanoseconds(100 * bytes) + (beside_ ? Duration(0) : sync_);
    under_way.push_back(free_at + (beside_ ? sync_ : Duration(0)));
  }
  void finish() {
    while (!under_way.empty() && under_way.front() <= now) {
      pace.on_synced(under_way.front(), 0);
      pace.drop(1);
      under_way.erase(under_way.begin());
    }
  }
  void become(Duration sync, bool beside) {
    sync_ = sync;
    beside_ = beside;
    most = 0;
  }

  CommitPace pace;
  Time now = seconds(1);
  Time free_at{};
  std::vector<Time> under_way;  // When they will be synced.
  std::size_t begun = 0;
  std::size_t most = 0;

 private:
  Duration sync_;
  bool beside_;
};

}  // namespace

TEST_SUITE("log.commit_pace") {
  TEST_CASE("one at a time as long as a sync is quick, or nothing is known") {
    Disk disk(std::chrono::microseconds(500), true);
    disk.run(seconds(2));
    CHECK(disk.most == 1);
    CHECK_FALSE(disk.pace.several(disk.now, 1000));
    Disk alike(milliseconds(20), true);
    alike.run(seconds(2), {1000});
    CHECK(alike.most == 1);
  }

  TEST_CASE("a slow sync: several, spread over the time that one takes") {
    Disk disk(milliseconds(40), true);
    disk.run(seconds(2));
    CHECK(disk.pace.several(disk.now, 1000));
    CHECK(disk.most > CommitPace::kSeveral / 2);
    CHECK(disk.most <= CommitPace::kSeveral);
    disk.finish();
    const Time before = disk.pace.next_begin();
    CHECK(before <= disk.now + milliseconds(5));
  }

  TEST_CASE("a disk that does one sync after the other, or becomes such a one, or no longer is") {
    Disk disk(milliseconds(20), false);
    disk.run(seconds(3));
    CHECK_FALSE(disk.pace.several(disk.now, 1000));
    disk.become(milliseconds(20), true);
    disk.run(seconds(12));
    CHECK(disk.pace.several(disk.now, 1000));
    disk.become(milliseconds(20), false);
    disk.run(seconds(12));
    CHECK_FALSE(disk.pace.several(disk.now, 1000));
    disk.become(std::chrono::microseconds(100), true);
    disk.run(seconds(12));
    CHECK(disk.pace.cost() < CommitPace::kSlowSync);
    disk.most = 0;
    disk.run(seconds(1));
    CHECK(disk.most == 1);
  }

  TEST_CASE(
      "a disk that is kept busy by its bytes does not look like one that is so by its syncs") {
    Disk disk(milliseconds(20), true);
    disk.run(seconds(1));
    disk.run(seconds(20), {100'000, 300'000});
    CHECK(disk.pace.several(disk.now, 1000));
  }

  // All that were under way end at once, late, which looks like one after the other at first sight.
  TEST_CASE("a stall is not taken for a disk that does one sync after the other") {
    for (const Duration stall :
         {Duration(milliseconds(75)), Duration(milliseconds(1500)), Duration(seconds(7))}) {
      Disk disk(milliseconds(50), true);
      disk.run(seconds(3));
      REQUIRE(disk.pace.several(disk.now, 1000));
      for (Time& due : disk.under_way) due += stall;
      disk.free_at += stall;
      disk.run(stall + milliseconds(200));
      CHECK(disk.pace.several(disk.now, 1000));
      disk.run(seconds(3));
      CHECK(disk.pace.several(disk.now, 1000));
      disk.most = 0;
      disk.run(seconds(1));
      CHECK(disk.most > 1);
    }
  }

  // All that waits would be in the one commit that goes alone.
  TEST_CASE("whether syncs are quick is not looked at where bytes take most of the time") {
    Disk disk(milliseconds(40), true);
    disk.run(seconds(3));
    const Time later = disk.now + seconds(10);
    const auto may = [&](std::size_t bytes) { return disk.pace.may_begin(later, bytes); };
    REQUIRE(disk.under_way.size() > 0);
    CHECK_FALSE(may(1000));
    CHECK(may(2'000'000));
  }

  TEST_CASE("syncs end in any order") {
    CommitPace pace;
    pace.on_begun(milliseconds(1), 100);
    pace.on_begun(milliseconds(2), 100);
    pace.on_synced(milliseconds(3), 1);
    CHECK_FALSE(pace.may_begin(milliseconds(4), 100));
    pace.on_synced(milliseconds(5), 0);
    CHECK(pace.may_begin(milliseconds(5), 100));
    pace.drop(2);
    CHECK(pace.may_begin(milliseconds(5), 100));
  }
}

}  // namespace stele::log
