#include "log/client/resend_gate.h"

#include <algorithm>
#include <utility>

namespace stele::log {

std::optional<Sequence> ResendGate::miss(Sequence sequence, std::uint64_t left_bytes, Time now) {
  if (left_bytes < end_bytes_) {
    if (!later_) at_ = now + timeout_;
    last_ = later_ ? std::max(last_, sequence) : sequence;
    later_ = std::min(later_.value_or(sequence), sequence);
    return std::nullopt;
  }
  if (later_) sequence = std::min(sequence, *later_);
  later_.reset();
  return sequence;
}

std::optional<Sequence> ResendGate::due(Sequence first, std::uint64_t left_bytes, Time now) {
  if (!later_) return std::nullopt;
  if (*later_ < first) later_ = last_;  // It has come.
  if (*later_ < first) {
    later_.reset();
    return std::nullopt;
  }
  if (left_bytes < end_bytes_ && std::exchange(left_bytes_, left_bytes) != left_bytes)
    at_ = now + timeout_;
  if (now < at_) return std::nullopt;
  end_bytes_ = 0;
  return std::exchange(later_, std::nullopt);
}

}  // namespace stele::log
