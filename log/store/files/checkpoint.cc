#include "log/store/files/checkpoint.h"

#include <utility>

#include "log/store/redo.h"
#include "paxos/base/check.h"

namespace stele::log {

void Checkpoint::begin(CheckpointPart part) {
  const std::lock_guard lock(mutex_);
  STELE_CHECK(state_ == State::none);
  part_ = std::move(part);
  state_ = State::waiting;
}

Result<void> Checkpoint::write(const Lmdb& lmdb) {
  auto txn = lmdb.begin(true);
  if (!txn) return forward(txn);
  auto done = apply_redo(part_.redo, *txn);
  if (done) done = txn->put(Table::meta, kJournalKey, seal_journal_mark(part_.mark));
  if (done) done = txn->commit();
  if (done && part_.snapshot && on_snapshot_) on_snapshot_(lmdb.begin(false));
  return done;
}

Result<void> Checkpoint::run(const Lmdb& lmdb) {
  std::unique_lock lock(mutex_);
  if (state_ != State::waiting) return {};
  state_ = State::running;
  outcome_ = fail(Errc::io, "a checkpoint has ended in the midst of it");  // By a failed check.
  lock.unlock();
  struct Ending {
    ~Ending() {
      const std::lock_guard at_end(checkpoint.mutex_);
      checkpoint.state_ = State::written;
      checkpoint.no_longer_running_.notify_all();
    }
    Checkpoint& checkpoint;
  };
  const Ending ending{*this};
  Result<void> outcome = write_into_reserve(lmdb);
  lock.lock();
  outcome_ = outcome;
  lock.unlock();
  return outcome;
}

Result<void> Checkpoint::write_into_reserve(const Lmdb& lmdb) {
  Result<void> outcome = write(lmdb);
  while (!outcome && outcome.error().code == Errc::no_space && make_room_()) {
    auto again = write(lmdb);
    if (!again && again.error().code != Errc::no_space) break;  // The disk was full first.
    outcome = std::move(again);
  }
  return outcome;
}

Result<std::optional<StoredNumbers>> Checkpoint::end(const Lmdb& lmdb) {
  static_cast<void>(run(lmdb));
  std::unique_lock lock(mutex_);
  no_longer_running_.wait(lock, [this] { return state_ != State::running; });
  if (!outcome_) return forward(outcome_);
  if (std::exchange(state_, State::none) == State::none) return std::optional<StoredNumbers>();
  return std::optional(part_.numbers);
}

bool Checkpoint::busy() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::waiting || state_ == State::running;
}

bool Checkpoint::written() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::written;
}

}  // namespace stele::log
