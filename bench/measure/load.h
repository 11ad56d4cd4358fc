// A load of appends on anything that takes them, and what came of it.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "bench/measure/histogram.h"

namespace stele::bench {

using Clock = std::chrono::steady_clock;

/// Something that appends: Stele, or a peer.
class Target {
 public:
  /// Called once for every append, on the thread of the load, never from within append().
  using Done = std::function<void(std::uint64_t id, bool acknowledged)>;

  virtual ~Target() = default;
  /// `payload` is valid during the call. `id` is below the load's in_flight, and in use by no other
  /// append under way.
  virtual void append(std::uint64_t id, std::span<const std::byte> payload) = 0;
  /// Ends whatever would keep the context from ending. Nothing is under way any more.
  virtual void close() {}
  void on_done(Done done) { done_ = std::move(done); }

 protected:
  void tell(std::uint64_t id, bool acknowledged) { done_(id, acknowledged); }

 private:
  Done done_;
};

struct LoadOptions {
  std::size_t payload_bytes = 128;
  /// Closed loop: so many appends are always under way. Open loop: at most so many.
  std::size_t in_flight = 1024;
  /// Appends a second, at even times, whatever the answers do; 0: closed loop.
  double rate = 0;
  /// Closed loop: begin so many appends, then end.
  std::uint64_t appends_max = UINT64_MAX;
  std::chrono::milliseconds warm_up{1000};
  std::chrono::milliseconds duration{5000};
  /// Closed loop: asked after every 1,024 acknowledgements whether to end.
  std::function<bool()> stop = [] { return false; };
  /// At the begin of the measured time.
  std::function<void()> measured_begin = [] {};
  /// At the end of the measured time.
  std::function<void()> measured_end = [] {};
  /// In the middle of the measured time.
  std::function<void()> at_half = [] {};
};

struct LoadResult {
  struct Interval {
    std::uint64_t acknowledged = 0;
    std::uint64_t max_ns = 0;
    std::uint64_t sum_ns = 0;
  };
  static constexpr std::chrono::milliseconds kInterval{50};

  double seconds = 0;              ///< Measured time.
  std::uint64_t acknowledged = 0;  ///< In the measured time.
  std::uint64_t failed = 0;        ///< At any time: refused, or unknown.
  std::uint64_t total = 0;         ///< Acknowledged at any time, warm-up and end included.
  /// Open loop: appends that had to wait when they were due, since in_flight others were under way.
  /// At any time.
  std::uint64_t late = 0;
  Histogram latency;                 ///< Of the measured time; open loop: from the intended start.
  std::uint64_t longest_gap_ns = 0;  ///< Between two acknowledgements, in the measured time.
  std::vector<Interval> intervals;   ///< The measured time in steps of kInterval.

  [[nodiscard]] double per_second() const {
    return seconds > 0 ? static_cast<double>(acknowledged) / seconds : 0;
  }
};

/// Runs one load on `context`, which must do nothing else, until everything begun has ended.
[[nodiscard]] LoadResult run_load(asio::io_context& context, Target& target,
                                  const LoadOptions& options);

}  // namespace stele::bench
