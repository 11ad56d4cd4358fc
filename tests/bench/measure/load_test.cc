#include "bench/measure/load.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <asio/post.hpp>
#include <set>

namespace stele::bench {
namespace {

using std::chrono::milliseconds;

/// Answers in the next turn, or as the test wants.
class Subject final : public Target {
 public:
  explicit Subject(asio::io_context& context) : context_(context) {}

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    CHECK(under_way.insert(id).second);
    most_under_way = std::max(most_under_way, under_way.size());
    payloads.emplace(reinterpret_cast<const char*>(payload.data()), payload.size());
    ++appends;
    if (on_append) return on_append(id);
    answer(id, true);
  }
  void answer(std::uint64_t id, bool acknowledged) {
    asio::post(context_, [this, id, acknowledged] {
      under_way.erase(id);
      tell(id, acknowledged);
    });
  }

  std::function<void(std::uint64_t)> on_append;
  std::uint64_t appends = 0;
  std::set<std::uint64_t> under_way;
  std::size_t most_under_way = 0;
  std::set<std::string> payloads;

 private:
  asio::io_context& context_;
};

}  // namespace

TEST_SUITE("bench.load") {
  TEST_CASE("closed loop: so many under way, no payload twice, all are counted") {
    asio::io_context context;
    Subject subject(context);
    LoadOptions options;
    options.payload_bytes = 20;
    options.in_flight = 7;
    options.appends_max = 5000;
    options.warm_up = milliseconds(0);
    options.duration = std::chrono::hours(1);  // Ends with the last append.
    subject.on_append = [&](std::uint64_t id) { subject.answer(id, subject.appends % 5 != 0); };
    const LoadResult result = run_load(context, subject, options);
    CHECK(subject.appends == 5000);
    CHECK(subject.under_way.empty());
    CHECK(subject.most_under_way == 7);
    CHECK(subject.payloads.size() == 5000);
    CHECK(subject.payloads.begin()->size() == 20);
    CHECK(result.total == 4000);
    CHECK(result.failed == 1000);
    CHECK(result.late == 0);
  }

  TEST_CASE("only what is acknowledged in the measured time is measured") {
    asio::io_context context;
    Subject subject(context);
    LoadOptions options;
    options.in_flight = 3;
    options.warm_up = milliseconds(5);
    options.duration = milliseconds(10);
    // How many had been begun when the measured time began, was half over, and ended.
    std::vector<std::uint64_t> at;
    const auto note = [&] { at.push_back(subject.appends); };
    options.measured_begin = note;
    options.at_half = note;
    options.measured_end = note;
    const LoadResult result = run_load(context, subject, options);
    REQUIRE(at.size() == 3);
    CHECK(at[0] <= at[1]);
    CHECK(result.total == subject.appends);
    // Three may have been under way at either end.
    CHECK(result.acknowledged + 3 >= at[2] - at[0]);
    CHECK(result.acknowledged <= at[2] - at[0] + 3);
    CHECK(result.latency.count() == result.acknowledged);
    CHECK(result.seconds >= 0.010);
    std::uint64_t in_intervals = 0;
    for (const LoadResult::Interval& interval : result.intervals) {
      in_intervals += interval.acknowledged;
    }
    CHECK(in_intervals == result.acknowledged);
  }

  TEST_CASE("open loop: who had to wait for a stalled one counts from when it was due") {
    asio::io_context context;
    Subject subject(context);
    asio::steady_timer stall(context);
    LoadOptions options;
    options.in_flight = 1;
    options.rate = 1000;
    options.warm_up = milliseconds(0);
    options.duration = milliseconds(1500);
    subject.on_append = [&](std::uint64_t id) {
      if (subject.appends != 20) return subject.answer(id, true);
      stall.expires_after(milliseconds(100));
      stall.async_wait([&, id](asio::error_code) { subject.answer(id, true); });
    };
    const LoadResult result = run_load(context, subject, options);
    REQUIRE(result.acknowledged >= 120);
    CHECK(result.late >= 99);
    CHECK(result.latency.max() >= 100'000'000);
    // A closed loop would have seen one slow append; half of the 100 that were due waited for more
    // than 50 ms.
    const double share = 49.0 / static_cast<double>(result.acknowledged);
    CHECK(result.latency.at(1 - share) >= 50'000'000);
    CHECK(result.longest_gap_ns >= 100'000'000);
  }
}

}  // namespace stele::bench
