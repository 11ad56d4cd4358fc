// How a user of the cluster tails the log.

#include <algorithm>
#include <string>

#include "tests/sim/checker/violation.h"
#include "tests/sim/nodes/sim_client.h"

namespace stele::sim {

/// A tail anew: from the beginning, from somewhere, or from now on.
void SimClient::tail() {
  const bool from_now_on = !epilogue_ && random_.chance(30);
  tail_next_ = from_now_on ? Lsn{} : Lsn{random_.between(1, end_seen_.value)};
  tail_.reset();
  go_on_tailing(++tails_);
}

void SimClient::on_tail(std::uint64_t generation, std::optional<Errc> error,
                        const ReadResult& result) {
  if (gone_ || generation != tails_) return;
  if (error == Errc::trimmed) {
    on_trimmed(tail_next_, result.first_lsn);
    world_.coverage.count(Path::tails_trimmed);
    tail_.reset();
    tail_next_ = result.first_lsn;
    tail_owed_ = tail_owed_ && tail_next_ < acknowledged_end_;
    process_->post([this, generation] {
      if (!gone_ && generation == tails_) go_on_tailing(generation);
    });
    return;
  }
  if (error) {
    // One node cannot read its record: it repairs it, or another one leads by then.
    tail_timer_ = process_->after(std::chrono::milliseconds(20), [this, generation] {
      if (generation == tails_) go_on_tailing(generation);
    });
    return;
  }
  if (!tail_) {
    tail_ = world_.history.tails.size();
    const std::uint64_t from =
        tail_next_ == Lsn{}
            ? (result.entries.empty() ? result.lsn_next.value : result.entries.front().lsn.value)
            : tail_next_.value;
    world_.history.tails.push_back({from, {}, false});
  }
  test::Tail& seen = world_.history.tails[*tail_];
  for (const Entry& entry : result.entries) {
    if (entry.lsn.value != seen.from + seen.entries.size()) {
      throw Violation("11", "a tail delivered LSN " + std::to_string(entry.lsn.value) + " after " +
                                std::to_string(seen.from + seen.entries.size() - 1));
    }
    seen.entries.push_back(text_of(entry));
  }
  world_.coverage.count(Path::tail_entries, result.entries.size());
  tail_next_ = result.lsn_next;
  tail_owed_ = tail_owed_ && tail_next_ < acknowledged_end_;
  go_on_tailing(generation);
}

void SimClient::go_on_tailing(std::uint64_t generation) {
  core().tail(tail_next_, [this, generation](std::optional<Errc> error, const ReadResult& result) {
    on_tail(generation, error, result);
  });
}

}  // namespace stele::sim
