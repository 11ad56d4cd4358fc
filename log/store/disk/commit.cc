#include "log/store/disk/commit.h"

#include <utility>

namespace stele::log {

void Commit::add(StateWrite state, bool readable_then) {
  if (!transaction.takes_state()) {
    later_bytes += bytes_of(state);
    later.push_back({std::move(state), readable_then});
    return;
  }
  transaction.add(std::move(state));
  if (readable_then) readable.emplace_back([] {});
}

std::shared_ptr<Commit> take(Commit& pending) {
  auto taken = std::make_shared<Commit>(std::exchange(pending, {}));
  taken->later_bytes = 0;
  for (Commit::Later& next : std::exchange(taken->later, {})) {
    pending.add(std::move(next.state), next.readable);
    pending.urgent = true;
  }
  return taken;
}

}  // namespace stele::log
