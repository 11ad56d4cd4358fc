#include "log/store/disk/sync_cost.h"

#include <algorithm>

namespace stele::log {
namespace {

/// So much of its weight a commit keeps with each later one.
constexpr double kKept = 0.97;
/// Commits that differ by less, relative to their mean, say nothing.
constexpr double kDeviationMin = 0.1;

}  // namespace

void SyncCost::add(std::size_t bytes, Duration took) {
  const auto x = static_cast<double>(bytes);
  const double y = std::chrono::duration<double>(took).count();
  for (double* sum : {&count_, &x_, &y_, &xx_, &xy_}) *sum *= kKept;
  count_ += 1;
  x_ += x;
  y_ += y;
  xx_ += x * x;
  xy_ += x * y;
  const double mean = x_ / count_;
  const double variance = xx_ / count_ - mean * mean;
  if (variance <= kDeviationMin * mean * kDeviationMin * mean) return;
  const double slope = std::max(0.0, (xy_ / count_ - mean * y_ / count_) / variance);
  per_byte_ = std::chrono::duration<double>(slope);
  const double at_none = std::clamp(y_ / count_ - slope * mean, 0.0, y_ / count_);
  cost_ = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(at_none));
}

}  // namespace stele::log
