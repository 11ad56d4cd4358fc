#include "log/client/completions.h"

namespace stele::log {

bool Completions::tell_next() {
  if (empty()) return false;
  Completed next = std::move(waiting_[told_++]);
  if (empty()) {
    waiting_.clear();
    told_ = 0;
  }
  if (next.call) {
    next.call();
  } else {
    AppendResult result;
    result.lsn = next.lsn;
    next.append->complete({}, std::move(result));
  }
  return true;
}

}  // namespace stele::log
