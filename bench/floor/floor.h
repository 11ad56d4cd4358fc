// This machine's limits: what one durable append cannot do without.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "bench/measure/histogram.h"

namespace stele::bench {

/// One figure: the median and the 99th percentile.
struct Figure {
  std::string what;
  std::string unit;
  double p50 = 0;
  double p99 = 0;
};

[[nodiscard]] Figure figure(std::string what, std::string unit, const Histogram& histogram,
                            double divisor);
/// How long `act` takes, `times` times.
[[nodiscard]] Histogram timed(int times, const std::function<void()>& act);

/// `act` in `count` processes at once; the medians of their figures. This process must have no
/// other thread.
[[nodiscard]] Figure at_once(int count, const std::function<Figure()>& act);

/// Writing and syncing `bytes` bytes of a file in `directory` that was zeroed ahead.
[[nodiscard]] Figure sync_figure(const std::string& directory, std::size_t bytes, int times);
/// Appending `bytes` bytes to a file in `directory`, past the page cache, and syncing it.
[[nodiscard]] Figure append_sync_figure(const std::string& directory, std::size_t bytes, int times);

/// A process that reads from one file in `directory` and appends to another, as two nodes do while
/// one of them catches up: in pieces of 512 KiB, each synced, at 200 MB/s each way. It ends with
/// this object.
class Copier {
 public:
  explicit Copier(const std::string& directory);
  ~Copier();
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;
  /// Throws if it has ended early: nothing was measured beside it then.
  void check();

 private:
  int child_ = -1;
};

/// A round trip between two processes, which sleep in between or spin.
[[nodiscard]] Figure round_trip_figure(bool spinning, int times);
/// What one durable append through a leader and one follower cannot do without: a sync of 4 KiB and
/// two round trips, while two other processes do the same.
[[nodiscard]] Figure append_figure(const std::string& directory, int times);
/// Its p50 in us, with files of its own on the disk of `data`.
[[nodiscard]] double append_floor_us(const std::string& data);

}  // namespace stele::bench
