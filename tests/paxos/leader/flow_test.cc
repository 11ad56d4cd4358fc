#include "paxos/leader/flow.h"

#include <doctest/doctest.h>

#include <deque>

namespace stele::paxos {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// Something that drains what a leader has in flight, in virtual time: a line, which takes so long
/// there and back and lets so many bytes through; or a disk, which commits everything that waits,
/// and takes so long for each commit and its bytes. There is always more to propose.
struct Drain {
  Duration way{};
  Duration sync{};
  double bytes_per_second = 1e9;
  bool disk = false;
  std::size_t batch_min = 0;  // Entries are that large.

  struct InFlight {
    Slot slot;
    std::size_t bytes;
    Time proposed_at;
    std::size_t ahead_bytes;
  };
  struct Seen {
    double bytes_per_second = 0;
    Duration longest{};
  };

  [[nodiscard]] Duration takes(std::size_t bytes) const {
    return sync + std::chrono::duration_cast<Duration>(
                      std::chrono::duration<double>(static_cast<double>(bytes) / bytes_per_second));
  }

  /// What happens in `last` after `first`; so many bytes come in at once at most.
  Seen run(Flow& flow, Duration first, Duration last, std::size_t batch_max = 512 << 10,
           std::size_t offered = SIZE_MAX) {
    Seen seen;
    const Time until = now + first + last;
    const Time from = now + first;
    std::size_t counted = 0;
    while (now < until) {
      // Everything goes that may.
      const auto may = [&] {
        return !flow.measures() && in_flight_bytes < std::min(flow.bytes_max(), offered);
      };
      while (in_flight_bytes == 0 || may()) {
        const std::size_t bytes = std::max(std::min(flow.batch_bytes(), batch_max), batch_min);
        const bool alone = in_flight_bytes == 0;
        in_flight_bytes += bytes;
        queue.push_back({next, bytes, now, in_flight_bytes});
        flow.on_proposed(now, next, alone);
        ++next;
      }
      if (in_flight_bytes < offered) flow.on_held_back();
      // One commit takes all that waits when it begins; a line one after the other.
      std::size_t count = disk ? queue.size() : 1;
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count; ++i) bytes += queue[i].bytes;
      now += takes(bytes);
      for (; count != 0; --count) {
        const InFlight done = queue.front();
        queue.pop_front();
        in_flight_bytes -= done.bytes;
        flow.on_chosen(now + way, done.slot, {done.proposed_at, done.bytes, done.ahead_bytes});
        if (now < from) continue;
        counted += done.bytes;
        seen.longest = std::max(seen.longest, now + way - done.proposed_at);
      }
    }
    seen.bytes_per_second =
        static_cast<double>(counted) / std::chrono::duration<double>(last).count();
    return seen;
  }

  Time now = milliseconds(1);
  Slot next{1};
  std::deque<InFlight> queue{};
  std::size_t in_flight_bytes = 0;
};

}  // namespace

TEST_SUITE("paxos.flow") {
  TEST_CASE("lines of any rate are kept full, and nothing waits long in them") {
    for (const double rate : {6e5, 6e6, 25e6, 60e6}) {
      CAPTURE(rate);
      Flow flow(8 << 20);
      flow.begin(milliseconds(1));
      Drain line{.way = milliseconds(1), .bytes_per_second = rate};
      const auto seen = line.run(flow, std::chrono::seconds(30), std::chrono::seconds(30));
      CHECK(seen.bytes_per_second > 0.95 * rate);
      CHECK(seen.longest < 3 * flow.target());
      CHECK(flow.target() < milliseconds(100));
    }
  }

  // bytes in flight ÷ (sync + bytes ÷ rate) with much in flight is nearly the rate.
  TEST_CASE("disks with slow syncs get so much with each that the sync is a small part") {
    for (const int sync_ms : {1, 10, 50}) {
      for (const double rate : {5e6, 20e6, 100e6}) {
        CAPTURE(sync_ms);
        CAPTURE(rate);
        Flow flow(8 << 20);
        flow.begin(milliseconds(1));
        Drain disk{.way = microseconds(200),
                   .sync = milliseconds(sync_ms),
                   .bytes_per_second = rate,
                   .disk = true};
        const auto seen = disk.run(flow, std::chrono::seconds(30), std::chrono::seconds(30));
        const double most = 8e6 / (sync_ms / 1e3 + 8e6 / rate);
        CHECK(seen.bytes_per_second > 0.85 * most);
        CHECK(seen.longest < 3 * flow.target());
      }
    }
  }

  TEST_CASE(
      "large entries: soon as much as a slow disk takes, and measuring costs next to nothing") {
    Flow flow(12 << 20);
    flow.begin(milliseconds(1));
    Drain disk{.way = microseconds(200),
               .sync = milliseconds(40),
               .bytes_per_second = 15e6,
               .disk = true,
               .batch_min = 100'000};
    const double most = 10e6 / (0.04 + 10e6 / 15e6);
    // The first ten seconds, and then those around the next slot that goes alone.
    const auto first = disk.run(flow, std::chrono::seconds(2), std::chrono::seconds(8));
    CHECK(first.bytes_per_second > 0.9 * most);
    const auto later = disk.run(flow, {}, std::chrono::seconds(4));
    CHECK(later.bytes_per_second > 0.85 * most);
    CHECK(flow.bytes_max() > 1e6);
  }

  TEST_CASE("a line that becomes slow is noticed within seconds, and so is one that recovers") {
    Flow flow(8 << 20);
    flow.begin(milliseconds(1));
    Drain line{.way = milliseconds(1), .bytes_per_second = 60e6};
    line.run(flow, {}, std::chrono::seconds(5));
    line.bytes_per_second = 1e6;
    const auto slow = line.run(flow, std::chrono::seconds(20), std::chrono::seconds(10));
    CHECK(slow.longest < milliseconds(300));
    line.bytes_per_second = 60e6;
    const auto fast = line.run(flow, std::chrono::seconds(5), std::chrono::seconds(10));
    CHECK(fast.bytes_per_second > 0.95 * 60e6);
  }

  TEST_CASE("a disk whose syncs become slow is measured anew") {
    Flow flow(8 << 20);
    flow.begin(milliseconds(1));
    Drain disk{.sync = milliseconds(1), .bytes_per_second = 20e6, .disk = true};
    disk.run(flow, {}, std::chrono::seconds(20));
    disk.sync = milliseconds(50);
    const auto slow = disk.run(flow, std::chrono::seconds(60), std::chrono::seconds(30));
    CHECK(slow.bytes_per_second > 0.85 * 8e6 / (0.05 + 8e6 / 20e6));
  }

  // The time that its own bytes take, at a low rate so far, must not hide how long the sync takes.
  TEST_CASE(
      "a large slot that was alone on a disk with slow syncs: the bound grows within seconds") {
    for (const std::size_t bytes : {std::size_t{10'000}, std::size_t{100'000}}) {
      Flow flow(8 << 20);
      flow.begin(milliseconds(1));
      Drain disk{
          .sync = milliseconds(50), .bytes_per_second = 100e6, .disk = true, .batch_min = bytes};
      const auto seen = disk.run(flow, std::chrono::seconds(5), std::chrono::seconds(30));
      CHECK(seen.bytes_per_second > 0.4 * 100e6);
    }
  }

  // Little in flight shows nothing of how much more would be too much: the bound stays.
  TEST_CASE("it grows only while something is held back") {
    Flow flow(8 << 20);
    flow.begin(milliseconds(1));
    Drain line{.way = milliseconds(1), .bytes_per_second = 60e6};
    line.run(flow, {}, std::chrono::seconds(5), 1000, 1000);
    CHECK(flow.batch_bytes() == Flow::kBytesAtFirst / 4);
  }

  TEST_CASE("bounds: what it may be at most, and what always goes") {
    Flow small(5000);
    small.begin(milliseconds(1));
    Drain line{.bytes_per_second = 1e9};
    line.run(small, {}, std::chrono::seconds(1));
    CHECK(small.bytes_max() <= 5000);
    Flow slow(8 << 20);
    slow.begin(milliseconds(1));
    Drain snail{.way = milliseconds(1), .bytes_per_second = 1e3};
    snail.run(slow, {}, std::chrono::seconds(1000));
    CHECK(slow.batch_bytes() >= Flow::kBatchBytesMin);
  }

  TEST_CASE("at first, and after a while in which slots always shared, one goes alone") {
    Flow flow(8 << 20);
    flow.begin(milliseconds(1));
    CHECK(flow.measures());
    flow.on_proposed(milliseconds(1), {1}, true);
    flow.on_chosen(milliseconds(2), {1}, {milliseconds(1), 100, 100});
    CHECK_FALSE(flow.measures());
    CHECK(flow.target() > Flow::kQueueTime);
    // What shares its commit with others tells nothing.
    const Time later = Flow::kMeasureEvery + milliseconds(3);
    flow.on_proposed(later, {2}, true);
    flow.on_proposed(later, {3}, false);
    flow.on_chosen(later + milliseconds(1), {2}, {later, 100, 100});
    CHECK(flow.measures());
    flow.on_chosen(later + milliseconds(1), {3}, {later, 100, 100});
    flow.on_proposed(later, {4}, true);
    flow.on_chosen(later + milliseconds(1), {4}, {later, 100, 100});
    CHECK_FALSE(flow.measures());
  }
}

}  // namespace stele::paxos
