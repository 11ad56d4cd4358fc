// What a commit takes for itself, whatever its bytes: measured while committing.
#pragma once

#include <chrono>
#include <cstddef>

namespace stele::log {

/// A line through the last commits, those of long ago counting less and less: what it says of a
/// commit without bytes. One thread.
class SyncCost {
 public:
  using Duration = std::chrono::nanoseconds;

  void add(std::size_t bytes, Duration took);
  /// Nothing as long as all commits were alike.
  [[nodiscard]] Duration get() const { return cost_; }
  /// What so many bytes take beside that.
  [[nodiscard]] Duration of_bytes(std::size_t bytes) const {
    return std::chrono::duration_cast<Duration>(per_byte_ * static_cast<double>(bytes));
  }

 private:
  // Sums of 1, bytes, seconds, bytes², bytes × seconds.
  double count_ = 0;
  double x_ = 0;
  double y_ = 0;
  double xx_ = 0;
  double xy_ = 0;
  Duration cost_{};
  std::chrono::duration<double> per_byte_{};
};

}  // namespace stele::log
