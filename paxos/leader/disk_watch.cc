#include "paxos/leader/disk_watch.h"

#include <algorithm>

namespace stele::paxos {

void DiskWatch::look(Time now, Duration own, std::vector<Duration> others, std::size_t q2) {
  const auto better =
      std::ranges::count_if(others, [own](Duration other) { return quicker(other, own); });
  if (done_at_ && now - *done_at_ >= kForgotten) done_ = 0;
  if (static_cast<std::size_t>(better) < q2) {
    since_.reset();
  } else if (!since_) {
    since_ = now;
  }
}

void DiskWatch::done(Time now) {
  since_.reset();
  done_ = std::min(done_ + 1, kDoneMax);
  done_at_ = now;
}

}  // namespace stele::paxos
