#include "paxos/leader/disk_watch.h"

#include <doctest/doctest.h>

#include <utility>

namespace stele::paxos {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A look every 10 ms, of a leader with two others.
struct Bench {
  void look(Duration lasts, Duration own, std::vector<Duration> others) {
    for (const Time end = now + lasts; now < end; now += milliseconds(10)) {
      watch.look(now, own, others, 2);
    }
  }
  DiskWatch watch{seconds(4)};
  Time now{};
};

}  // namespace

TEST_SUITE("paxos.disk_watch") {
  TEST_CASE("slow: far later than q2 others, all the time") {
    Bench bench;
    bench.look(seconds(3), milliseconds(100), {milliseconds(10), milliseconds(20)});
    CHECK_FALSE(bench.watch.slow(bench.now));
    bench.look(seconds(2), milliseconds(100), {milliseconds(10), milliseconds(20)});
    CHECK(bench.watch.slow(bench.now));
    bench.look(milliseconds(10), milliseconds(30), {milliseconds(10), milliseconds(20)});
    CHECK_FALSE(bench.watch.slow(bench.now));
  }

  TEST_CASE(
      "disks that are alike, others too few of which are quicker, and quick ones are no reason") {
    Bench bench;
    bench.look(seconds(10), milliseconds(1000), {milliseconds(300), milliseconds(400)});
    CHECK_FALSE(bench.watch.slow(bench.now));
    bench.look(seconds(10), milliseconds(1000), {milliseconds(1), milliseconds(400)});
    CHECK_FALSE(bench.watch.slow(bench.now));
    bench.look(seconds(10), milliseconds(1000), {milliseconds(1)});
    CHECK_FALSE(bench.watch.slow(bench.now));
    bench.look(seconds(10), milliseconds(19), {milliseconds(0), milliseconds(0)});
    CHECK_FALSE(bench.watch.slow(bench.now));
  }

  TEST_CASE("done: this node is reluctant for a while, and what it sees counts anew") {
    Bench bench;
    bench.look(seconds(5), milliseconds(100), {milliseconds(1), milliseconds(1)});
    bench.watch.done(bench.now);
    CHECK_FALSE(bench.watch.slow(bench.now));
    CHECK(bench.watch.reluctant(bench.now));
    CHECK(bench.watch.reluctant(bench.now + seconds(59)));
    CHECK_FALSE(bench.watch.reluctant(bench.now + seconds(60)));
    bench.look(seconds(3), milliseconds(100), {milliseconds(1), milliseconds(1)});
    bench.watch.begin();
    bench.look(seconds(3), milliseconds(100), {milliseconds(1), milliseconds(1)});
    CHECK_FALSE(bench.watch.slow(bench.now));
  }
}

}  // namespace stele::paxos
