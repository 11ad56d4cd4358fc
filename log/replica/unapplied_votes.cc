#include "log/replica/unapplied_votes.h"

#include <algorithm>
#include <iterator>

namespace stele::log {

void UnappliedVotes::add(Slot slot, std::size_t bytes) {
  bytes_ += bytes;
  end_ = std::max(end_, slot + 1);
  const auto after = stretches_.upper_bound(slot);
  if (after == stretches_.begin()) {
    stretches_.emplace_hint(after, slot, bytes);
    return;
  }
  const auto at = std::prev(after);
  const bool begins_next = after == stretches_.end() && at->second >= stretch_bytes_;
  if (begins_next && at->first != slot) {
    stretches_.emplace_hint(after, slot, bytes);
  } else {
    at->second += bytes;
  }
}

void UnappliedVotes::applied(Slot chosen_end) {
  while (!stretches_.empty()) {
    const auto first = stretches_.begin();
    const auto next = std::next(first);
    if ((next == stretches_.end() ? end_ : next->first) > chosen_end) return;
    bytes_ -= first->second;
    stretches_.erase(first);
  }
}

std::uint64_t UnappliedVotes::bytes_before(Slot slot) const {
  std::uint64_t bytes = bytes_;
  for (auto at = stretches_.rbegin(); at != stretches_.rend(); ++at) {
    bytes -= at->second;
    if (at->first <= slot) break;  // It may be one of these.
  }
  return bytes;
}

}  // namespace stele::log
