// Copies of many small things, few allocations.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include "paxos/base/value.h"

namespace stele::log {

/// Copies small pieces of bytes beside each other into chunks, which they share; what is large gets
/// a buffer of its own. A chunk that nobody holds any more is used again, one that fills up while
/// they do is followed by a larger one. One thread, which also drops the slices last.
class Packer {
 public:
  [[nodiscard]] Slice copy(std::span<const std::byte> bytes) {
    if (bytes.empty()) return {};
    if (bytes.size() > kPieceBytesMax) {
      const auto own = std::make_shared_for_overwrite<std::byte[]>(bytes.size());
      std::memcpy(own.get(), bytes.data(), bytes.size());
      return {own, {own.get(), bytes.size()}};
    }
    if (used_ != 0 && chunk_.use_count() == 1) used_ = 0;
    if (capacity_ - used_ < bytes.size()) {
      capacity_ = std::clamp(2 * capacity_, std::max(kChunkBytesMin, bytes.size()), kChunkBytesMax);
      chunk_ = std::make_shared_for_overwrite<std::byte[]>(capacity_);
      used_ = 0;
    }
    std::byte* at = chunk_.get() + used_;
    std::memcpy(at, bytes.data(), bytes.size());
    used_ += bytes.size();
    return {chunk_, {at, bytes.size()}};
  }

  static constexpr std::size_t kChunkBytesMin = 1 << 10;
  static constexpr std::size_t kChunkBytesMax = 16 << 10;
  static constexpr std::size_t kPieceBytesMax = 8 << 10;

 private:
  std::shared_ptr<std::byte[]> chunk_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace stele::log
