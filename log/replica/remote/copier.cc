#include "log/replica/remote/copier.h"

#include <algorithm>
#include <utility>

namespace stele::log {

void Copier::tick(Time now, const StateNumbers& numbers, bool paused) {
  now_ = now;
  paused_ = paused;
  const Holding& holding = store_.holding();
  // What is trimmed meanwhile is not needed.
  const bool left =
      holding.slots_begin > holding.first_slot && holding.entries_begin > numbers.first_lsn;
  if (std::exchange(copying_, left) != left) {
    events_.event(EventLevel::info, left ? "copies_slots" : "slots_copied",
                  {{"slots_begin", holding.slots_begin.value}});
  }
  if (holding.slots_begin <= asked_begin_) asked_begin_ = {};
  if (paused_ || now < copied_until_) return;
  for (const auto& next : std::exchange(go_on_, {})) next();
  if (!left || busy_ || asked_begin_ != Slot{} || now < rests_until_) return;
  busy_ = true;
  find_bounds(run_of({holding.slots_begin.value - 1}),
              [this, copies = std::weak_ptr<bool>(copies_)](std::optional<Bounds> bounds) {
                if (!copies.lock()) return;
                if (!bounds) return rest();
                copy(*bounds);
              });
}

void Copier::begin_anew() {
  stop();
  asked_begin_ = {};
  rests_until_ = {};
  known_.clear();
}

void Copier::rest() {
  stop();
  rests_until_ = now_ + kRest;
}

/// What is under way does not count any more.
void Copier::stop() {
  copies_ = std::make_shared<bool>(true);
  go_on_.clear();
  busy_ = false;
}

/// From the rows of runs, which came with the snapshot or were written here; what is not a whole
/// run is that in which the snapshot lies.
void Copier::find_bounds(std::uint64_t run, OnBounds done) {
  const std::weak_ptr<bool> alive = alive_;
  store_.find_run(
      [run](const RunRow& row) { return row.number <= run + 1; },
      [this, run, alive, done = std::move(done)](std::optional<RunRow> after) {
        if (!alive.lock()) return;
        const Holding& holding = store_.holding();
        Bounds bounds{run, begin_of_run(run + 1), 0, {1}, holding.slots_begin};
        if (holding.slots_begin < bounds.slot_end && run_of(holding.slots_begin) == run) {
          bounds.slot_end = holding.slots_begin;
          bounds.digest = holding.begin_digest;
        } else if (after && after->number == run + 1) {
          bounds.digest = after->digest;
        } else {
          return done(std::nullopt);
        }
        if (run == 0) return done(bounds);
        store_.find_run([run](const RunRow& row) { return row.number <= run; },
                        [alive, bounds, run, done](std::optional<RunRow> row) mutable {
                          if (!alive.lock()) return;
                          if (!row || row->number != run) return done(std::nullopt);
                          bounds.lsn_begin = row->next_lsn;
                          done(bounds);
                        });
      });
}

void Copier::copy(const Bounds& bounds) {
  remote_.run(
      now_, bounds.run, bounds.slot_end, bounds.digest,
      [this, bounds, copies = std::weak_ptr<bool>(copies_)](const RemoteSlots::Known& known) {
        if (!copies.lock()) return;
        if (!known) return rest();
        compare(bounds, known);
      });
}

/// Own votes may be what was chosen, or not.
void Copier::compare(const Bounds& bounds, const RemoteSlots::Known& known) {
  store_.read_run(
      bounds.run, bounds.slot_end,
      [this, bounds, known, copies = std::weak_ptr<bool>(copies_)](const RunRead& own) {
        if (!copies.lock()) return;
        std::vector<Slot> missing;
        auto at = own.slots.begin();
        for (const SlotSummary& slot : known->slots) {
          while (at != own.slots.end() && at->row.slot < slot.row.slot) ++at;
          const bool here =
              at != own.slots.end() && at->row.slot == slot.row.slot && at->same_value(slot);
          if (!here) missing.push_back(slot.row.slot);
        }
        if (missing.empty()) return finish(bounds, *known);
        const auto values = std::make_shared<Values>(Values{bounds, known, {}});
        const std::size_t most = (missing.size() + kAtOnce - 1) / kAtOnce;
        for (std::size_t i = 0; i < missing.size(); i += most) {
          const auto begin = missing.begin() + static_cast<std::ptrdiff_t>(i);
          const auto count = std::min(most, missing.size() - i);
          values->missing.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(count));
        }
        for (std::size_t i = 0; copies.lock() && i < values->missing.size(); ++i) {
          copy_values(values, i);
        }
      });
}

void Copier::copy_values(const std::shared_ptr<Values>& values, std::size_t part) {
  remote_.values(now_, values->known, values->missing[part].front(),
                 [this, values, part,
                  copies = std::weak_ptr<bool>(copies_)](std::vector<paxos::SlotRecord> records) {
                   if (!copies.lock()) return;
                   if (records.empty()) return rest();
                   take_values(values, part, std::move(records));
                 });
}

void Copier::take_values(const std::shared_ptr<Values>& values, std::size_t part,
                         std::vector<paxos::SlotRecord> records) {
  std::vector<Slot>& missing = values->missing[part];
  CopyWrite write;
  std::size_t bytes = 0;
  const Slot end = records.back().slot + 1;
  for (paxos::SlotRecord& record : records) {
    bytes += record.value.size();
    if (std::ranges::binary_search(missing, record.slot))
      write.records.push_back(std::move(record));
  }
  std::erase_if(missing, [end](Slot slot) { return slot < end; });
  store_.write_copy(std::move(write));
  store_.flush();
  copied_until_ = std::max(copied_until_, now_ - std::chrono::milliseconds(25)) +
                  std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
                      static_cast<double>(bytes) / static_cast<double>(bytes_per_second_)));
  if (std::ranges::all_of(values->missing, &std::vector<Slot>::empty)) {
    return finish(values->bounds, *values->known);
  }
  if (missing.empty()) return;
  if (!paused_ && now_ >= copied_until_) return copy_values(values, part);
  go_on_.emplace_back([this, values, part, copies = std::weak_ptr<bool>(copies_)] {
    if (copies.lock()) copy_values(values, part);
  });
}

void Copier::finish(const Bounds& bounds, const KnownRun& known) {
  CopyWrite write;
  for (const SlotSummary& slot : known.slots) {
    if (slot.row.count != 0) write.index.push_back(slot.row);
  }
  write.known_begin = bounds.known_begin;
  write.slots_begin = begin_of_run(bounds.run);
  write.entries_begin = bounds.lsn_begin;
  asked_begin_ = write.slots_begin;
  busy_ = false;
  store_.write_copy(std::move(write));
  store_.flush();
}

// --- Reads -----------------------------------------------------------------------------

void Copier::read(Time now, Slot chosen_end, Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                  std::function<void(EntriesRead)> done) {
  const std::weak_ptr<bool> alive = alive_;
  const auto nothing = [lsn_begin, done] {
    EntriesRead read;
    read.lsn_begin = lsn_begin;
    read.elsewhere = true;
    done(std::move(read));
  };
  if (remote_.room() <= kKeptForCopies) return nothing();
  store_.find_run(
      [chosen_end, lsn_begin](const RunRow& row) {
        return row.number <= run_of(chosen_end) && row.next_lsn <= lsn_begin;
      },
      [=, this](std::optional<RunRow> row) {
        if (!alive.lock()) return;
        const std::uint64_t run = row ? row->number : 0;
        if (const auto found = known_.find(run); found != known_.end()) {
          return read_from(found->second, lsn_begin, lsn_end, bytes_max, done);
        }
        find_bounds(run, [=, this](std::optional<Bounds> bounds) {
          if (!bounds) return nothing();
          remote_.run(now, run, bounds->slot_end, bounds->digest,
                      [=, this](const RemoteSlots::Known& known) {
                        if (!alive.lock()) return;
                        if (!known) return nothing();
                        if (known_.size() >= kRunsKept) known_.erase(known_.begin());
                        known_[run] = known;
                        read_from(known, lsn_begin, lsn_end, bytes_max, done);
                      });
        });
      });
}

void Copier::read_from(const RemoteSlots::Known& known, Lsn lsn_begin, Lsn lsn_end,
                       std::size_t bytes_max, const std::function<void(EntriesRead)>& done) {
  EntriesRead read;
  read.lsn_begin = lsn_begin;
  const auto at = std::ranges::find_if(known->slots, [lsn_begin](const SlotSummary& slot) {
    return slot.row.count != 0 && lsn_begin < slot.row.first_lsn + slot.row.count;
  });
  if (at == known->slots.end() || at->row.first_lsn > lsn_begin) {
    read.elsewhere = true;
    return done(std::move(read));
  }
  remote_.values(now_, known, at->row.slot,
                 [=, read = std::move(read), alive = std::weak_ptr<bool>(alive_)](
                     const std::vector<paxos::SlotRecord>& records) mutable {
                   if (!alive.lock()) return;
                   read.elsewhere = records.empty();
                   for (const paxos::SlotRecord& record : records) {
                     const IndexRow& row = known->at(record.slot).row;
                     if (row.count == 0) continue;
                     if (!add_entries(record.value, row, lsn_end, bytes_max, read)) break;
                   }
                   done(std::move(read));
                 });
}

}  // namespace stele::log
