#include "bench/measure/load.h"

#include <algorithm>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <cstring>
#include <deque>
#include <random>

namespace stele::bench {
namespace {

/// How often an open loop looks which appends are due.
constexpr std::chrono::microseconds kTick{100};

std::uint64_t ns(Clock::duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count());
}

class Load {
 public:
  Load(asio::io_context& context, Target& target, const LoadOptions& options)
      : context_(context), target_(target), options_(options), timer_(context), ticks_(context) {
    // Random bytes, so that nobody along the way saves work by compressing them.
    std::mt19937_64 random(1);
    payload_.resize(options.payload_bytes);
    for (std::byte& byte : payload_) byte = static_cast<std::byte>(random());
    for (std::uint64_t id = 0; id < options.in_flight; ++id) free_.push_back(id);
    starts_.resize(options.in_flight);
    target_.on_done([this](std::uint64_t id, bool acknowledged) { done(id, acknowledged); });
  }

  LoadResult run() {
    began_ = Clock::now();
    timer_.expires_at(began_ + options_.warm_up);
    timer_.async_wait([this](asio::error_code error) {
      if (!error) begin_measuring();
    });
    if (options_.rate > 0) {
      asio::post(context_, [this] { tick(); });
    } else {
      for (std::size_t i = 0; i < options_.in_flight; ++i) start(Clock::now());
    }
    context_.restart();
    const auto work = asio::make_work_guard(context_);  // Answers may come from other threads.
    context_.run();
    return std::move(result_);
  }

 private:
  enum class Phase : std::uint8_t { warm_up, measured, ending };

  void begin_measuring() {
    phase_ = Phase::measured;
    options_.measured_begin();
    measured_from_ = last_ack_ = Clock::now();
    timer_.expires_at(measured_from_ + options_.duration / 2);
    timer_.async_wait([this](asio::error_code half_error) {
      if (half_error) return;
      options_.at_half();
      timer_.expires_at(measured_from_ + options_.duration);
      timer_.async_wait([this](asio::error_code error) {
        if (!error) end_measuring();
      });
    });
  }

  void end_measuring() {
    if (phase_ == Phase::ending) return;
    const auto now = Clock::now();
    phase_ = Phase::ending;
    result_.seconds = std::chrono::duration<double>(now - measured_from_).count();
    result_.longest_gap_ns = std::max(result_.longest_gap_ns, ns(now - last_ack_));
    options_.measured_end();
    ticks_.cancel();
    if (under_way_ == 0) context_.stop();
  }

  void tick() {
    if (phase_ == Phase::ending) return;
    const auto now = Clock::now();
    const std::chrono::duration<double> each(1 / options_.rate);
    while (true) {
      const auto intended =
          began_ + std::chrono::duration_cast<Clock::duration>(each * static_cast<double>(due_));
      if (intended > now) break;
      if (under_way_ >= options_.in_flight) break;  // It waits; its latency counts already.
      ++due_;
      if (intended < full_until_) ++result_.late;
      start(intended);
    }
    ticks_.expires_after(kTick);
    ticks_.async_wait([this](asio::error_code error) {
      if (!error) tick();
    });
  }

  void start(Clock::time_point intended) {
    if (numbers_ % 1024 == 1023 && options_.stop()) options_.appends_max = numbers_;
    if (numbers_ == options_.appends_max) {
      if (under_way_ == 0) end_measuring();
      return;
    }
    const std::uint64_t id = free_.front();
    free_.pop_front();
    starts_[id] = intended;
    // No two payloads are the same.
    const std::uint64_t number = ++numbers_;
    std::memcpy(payload_.data(), &number, std::min(sizeof number, payload_.size()));
    ++under_way_;
    target_.append(id, payload_);
  }

  void done(std::uint64_t id, bool acknowledged) {
    const auto now = Clock::now();
    if (under_way_-- == options_.in_flight) full_until_ = now;
    free_.push_back(id);
    if (acknowledged) {
      ++result_.total;
    } else {
      ++result_.failed;
    }
    if (phase_ == Phase::measured && acknowledged) measure(now, ns(now - starts_[id]));
    if (phase_ == Phase::ending) {
      if (under_way_ == 0) context_.stop();  // Clients keep it alive otherwise.
    } else if (options_.rate <= 0) {
      start(now);
    }
  }

  void measure(Clock::time_point now, std::uint64_t latency) {
    ++result_.acknowledged;
    result_.latency.record(latency);
    result_.longest_gap_ns = std::max(result_.longest_gap_ns, ns(now - last_ack_));
    last_ack_ = now;
    const auto at = static_cast<std::size_t>((now - measured_from_) / LoadResult::kInterval);
    if (at >= result_.intervals.size()) result_.intervals.resize(at + 1);
    LoadResult::Interval& interval = result_.intervals[at];
    ++interval.acknowledged;
    interval.max_ns = std::max(interval.max_ns, latency);
    interval.sum_ns += latency;
  }

  asio::io_context& context_;
  Target& target_;
  LoadOptions options_;
  asio::steady_timer timer_;
  asio::steady_timer ticks_;
  std::vector<std::byte> payload_;
  Phase phase_ = Phase::warm_up;
  Clock::time_point began_;
  Clock::time_point measured_from_;
  Clock::time_point last_ack_;
  std::vector<Clock::time_point> starts_;  // By id.
  std::deque<std::uint64_t> free_;         // Ids that are not in use, the oldest first.
  std::uint64_t numbers_ = 0;
  std::uint64_t due_ = 0;         // Open loop: how many have been due.
  Clock::time_point full_until_;  // An append that was due before had to wait for room.
  std::size_t under_way_ = 0;
  LoadResult result_;
};

}  // namespace

LoadResult run_load(asio::io_context& context, Target& target, const LoadOptions& options) {
  return Load(context, target, options).run();
}

}  // namespace stele::bench
