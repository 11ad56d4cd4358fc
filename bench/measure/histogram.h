// Latencies, in buckets of at most 1.6 % width.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace stele::bench {

/// Nanoseconds in, percentiles out. Any range of 64 bits; constant memory.
class Histogram {
 public:
  void record(std::uint64_t ns) {
    ++counts_[index_of(ns)];
    ++count_;
    if (ns > max_) max_ = ns;
  }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    if (other.max_ > max_) max_ = other.max_;
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  /// The upper bound of the bucket that holds the given share (0 to 1) of all; 0 if there are none.
  [[nodiscard]] std::uint64_t at(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted || (seen == count_ && seen != 0))
        return upper_bound_of(i) < max_ ? upper_bound_of(i) : max_;
    }
    return 0;
  }

 private:
  static constexpr unsigned kSubBits = 6;  // 64 buckets for every power of two.
  static constexpr std::uint64_t kSub = 1ULL << kSubBits;

  static std::size_t index_of(std::uint64_t value) {
    if (value < kSub) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - kSubBits;
    return (static_cast<std::size_t>(shift) + 1) * kSub + ((value >> shift) - kSub);
  }
  static std::uint64_t upper_bound_of(std::size_t index) {
    if (index < kSub) return index;
    const std::size_t shift = index / kSub - 1;
    return ((kSub + index % kSub + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (65 - kSubBits) * kSub> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace stele::bench
