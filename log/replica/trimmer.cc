#include "log/replica/trimmer.h"

#include <algorithm>
#include <utility>

namespace stele::log {

void Trimmer::tick(Time now, const LogState& state, bool leads, const Bounds& bounds) {
  if (leads && !finding_target_ && now - target_looked_at_ >= kLookAgain) retain(now, state);
  const bool under_way = store_.holding().first_slot < asked_end_;
  if (!finding_slots_ && !under_way) look_for_slots(now, bounds);
  if (!counting_ && store_.holding().first_slot != counted_from_) count();
  settle(now, state);
}

/// What is trimmed durably must be known in the tables before slots are looked for, and what was
/// given up gone from them before files are. On a store that is written to both come by themselves.
void Trimmer::settle(Time now, const LogState& state) {
  const bool trimmed = state.numbers().first_lsn > store_.readable().first_lsn;
  if (!unsettled_since_ && (trimmed || gave_up_)) {
    unsettled_since_ = now;
    commits_then_ = store_.commits();
    gave_up_ = false;
  }
  if (!unsettled_since_ || now - *unsettled_since_ < kSettleAfter) return;
  unsettled_since_.reset();
  if (store_.commits() - commits_then_ < kQuietCommits) store_.settle();
}

void Trimmer::count() {
  const Slot first = store_.holding().first_slot;
  counting_ = true;
  store_.find_run([first](const RunRow& row) { return row.number <= run_of(first); },
                  [this, first, alive = std::weak_ptr<bool>(alive_)](std::optional<RunRow> row) {
                    if (!alive.lock()) return;
                    counting_ = false;
                    if (!row || row->number != run_of(first)) return;
                    counted_from_ = first;
                    bytes_before_ = row->log_bytes;
                  });
}

/// The target is a run's begin: what is kept is never less than the policy says.
void Trimmer::retain(Time now, const LogState& state) {
  const RetentionPolicy policy = state.retention().policy();
  const Slot policy_slot = state.retention().policy_slot();  // It may be another one by then.
  if (policy.empty()) return;
  target_looked_at_ = now;
  const StateNumbers numbers = state.numbers();
  finding_target_ = true;
  store_.find_run(
      [policy, numbers](const RunRow& row) {
        const bool by_bytes =
            policy.bytes != 0 && numbers.log_bytes - row.log_bytes >= policy.bytes;
        const bool by_age =
            policy.age_us != 0 && numbers.log_time_us - row.log_time_us >= policy.age_us;
        return row.number <= run_of(numbers.chosen_end) && (by_bytes || by_age);
      },
      [this, &state, policy_slot, alive = std::weak_ptr<bool>(alive_)](std::optional<RunRow> row) {
        if (!alive.lock()) return;
        finding_target_ = false;
        if (!row) return;
        const Lsn first = state.numbers().first_lsn;
        const Lsn held = state.retention().held_from(first);
        const Lsn before = held == Lsn{} ? row->next_lsn : std::min(row->next_lsn, held);
        if (before > first) propose_({before, policy_slot});
      });
}

/// Up to the last run whose entries are all trimmed, and as far as the bounds let it.
void Trimmer::look_for_slots(Time now, const Bounds& bounds) {
  const Slot first = store_.holding().first_slot;
  // A trim that is applied may not be durable yet.
  const Lsn first_lsn = store_.readable().first_lsn;
  if (first_lsn == Lsn{1} || now - slots_looked_at_ < kLookAgain) return;
  slots_looked_at_ = now;
  const std::uint64_t end = run_of(store_.readable().chosen_end);
  const std::uint64_t last = std::min(run_of(first) + kRunsPerCommit, run_of(bounds.snapshot));
  const auto is_trimmed = [end, first_lsn](const RunRow& row) {
    return row.number <= end && row.next_lsn <= first_lsn;
  };
  finding_slots_ = true;
  const std::weak_ptr<bool> alive = alive_;
  store_.find_run(is_trimmed, [this, first, last, bounds, alive](std::optional<RunRow> trimmed) {
    if (!alive.lock()) return;
    finding_slots_ = false;
    const std::uint64_t trimmed_end = trimmed ? trimmed->number : 0;
    waits_for_snapshot_ = trimmed_end > run_of(bounds.snapshot);
    if (std::min(trimmed_end, last) <= run_of(first)) return;
    const auto may_go = [bounds, bytes = trimmed->log_bytes](const RunRow& row) {
      const bool lacked = row.number > run_of(bounds.needed);
      return row.number <= run_of(bounds.snapshot) &&
             (!lacked || bytes - row.log_bytes >= bounds.needed_bytes);
    };
    const auto goes_now = [may_go, end = std::min(trimmed_end, last)](const RunRow& row) {
      return row.number <= end && may_go(row);
    };
    finding_slots_ = true;
    store_.find_run(goes_now, [this, first, trimmed, may_go, offered = bounds.offered,
                               alive](std::optional<RunRow> row) {
      if (!alive.lock()) return;
      finding_slots_ = false;
      if (row && row->number > run_of(first)) return give_up(*row, offered);
      if (store_.holding().slots_begin > first) give_up_gap(*trimmed, may_go, offered);
    });
  });
}

/// Between the runs that it had and those of a snapshot that were copied there are none.
void Trimmer::give_up_gap(const RunRow& trimmed, const std::function<bool(const RunRow&)>& may_go,
                          Slot offered) {
  const std::uint64_t copied = run_of(store_.holding().slots_begin);
  if (trimmed.number <= copied) {
    if (may_go(trimmed)) give_up(trimmed, offered);
    return;
  }
  finding_slots_ = true;
  store_.find_run([copied](const RunRow& row) { return row.number <= copied; },
                  [this, trimmed, may_go, offered,
                   alive = std::weak_ptr<bool>(alive_)](std::optional<RunRow> row) {
                    if (!alive.lock()) return;
                    finding_slots_ = false;
                    // Its row may be rotten: then more goes at once.
                    const bool found = row && row->number > run_of(store_.holding().first_slot);
                    const RunRow& begin = found ? *row : trimmed;
                    if (may_go(begin)) give_up(begin, offered);
                  });
}

/// All slots before that run.
void Trimmer::give_up(const RunRow& begin, Slot offered) {
  const Slot end{begin.number * kRunSlots};
  if (end <= store_.holding().first_slot) return;
  slots_looked_at_ = {};  // There may be more.
  asked_end_ = end;
  gave_up_ = true;
  store_.write_trim({end, begin.next_lsn, offered});
  store_.flush();
}

}  // namespace stele::log
