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
  double count_ = 0;  // Sum of 1.
  double x_ = 0;      // Sum of bytes.
  double y_ = 0;      // Sum of seconds.
  double xx_ = 0;     // Sum of bytes².
  double xy_ = 0;     // Sum of bytes × seconds.
  Duration cost_{};
  std::chrono::duration<double> per_byte_{};
};

}  // namespace stele::log
