#include "log/store/disk/commit_queue.h"

#include <algorithm>
#include <asio/post.hpp>
#include <system_error>
#include <utility>

#include "log/store/files/table_reads.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// What the loop commits itself, if it may: a page or so,
constexpr std::size_t kLoopBytesMax = 4 << 10;
/// unless the disk took so long for the last one; then not for a second, or for a minute if that
/// was a stall.
constexpr Duration kLoopCommitMax = std::chrono::milliseconds(2);
constexpr Duration kLoopPause = std::chrono::seconds(1);
constexpr Duration kStall = std::chrono::milliseconds(50);
constexpr Duration kLoopPauseAfterStall = std::chrono::minutes(1);
/// Where a sync by itself is slow and commits do not overlap, those whom one answers get a part of
/// its time to come again, so that all share the next one; otherwise two groups of them would take
/// turns.
constexpr int kGatherPart = 2;
constexpr Duration kGatherMax = std::chrono::milliseconds(25);
/// If that took longer than it saved, so many commits do without.
constexpr int kWithoutGathering = 16;

Time now() { return std::chrono::steady_clock::now().time_since_epoch(); }
std::chrono::steady_clock::time_point point(Time time) {
  return std::chrono::steady_clock::time_point(time);
}

}  // namespace

Committer::Committer(StoreFiles files, net::Loop& loop, Hooks hooks)
    : files_(std::move(files)), loop_(loop), hooks_(std::move(hooks)) {
  readable_ = files_->readable();
}

void Committer::start_threads() {
  if (!hooks_.commit_wanted)
    writer_ = std::thread([self = shared_from_this()] { self->write_loop(); });
}

void Committer::stop() {
  closed_ = true;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_one();
  if (writer_.joinable()) writer_.join();
  syncs_.reset();
  for (std::thread& syncer : syncers_) syncer.join();
  syncers_.clear();
}

// --- Loop's thread ---------------------------------------------------------------------

void Committer::wake_writer() {
  if (hooks_.commit_wanted) {
    hooks_.commit_wanted();
  } else if (loop_may_commit_ && loop_.now() >= loop_pauses_until_) {
    // After what this turn still adds and sends.
    loop_.post([self = shared_from_this()] { self->commit_on_loop(); });
  } else {
    work_.notify_one();
  }
}

/// Commits what is pending if that is one small write and one sync; otherwise the writer does.
void Committer::commit_on_loop() {
  Lock lock(mutex_);
  if (!pending_.urgent || failed_) return;
  const bool small = loop_may_commit_ && pending_.transaction.bytes <= kLoopBytesMax &&
                     !pending_.moves_all() && !stopping_ && pace_.cost() < CommitPace::kSlowSync;
  if (committing_ || waits_for_more_ || !alone() || !small ||
      !files_->quick(pending_.transaction)) {
    return work_.notify_one();
  }
  const Time begin = loop_.now();
  static_cast<void>(commit_alone(lock));
  const Duration took = loop_.now() - begin;
  const Duration pause = took > kStall ? Duration(kLoopPauseAfterStall) : Duration(kLoopPause);
  if (took > kLoopCommitMax) loop_pauses_until_ = loop_.now() + pause;
}

void Committer::when_durable(std::function<void()> durable) {
  {
    const std::lock_guard lock(mutex_);
    if (!pending_.transaction.votes.empty()) return pending_.durable.push_back(std::move(durable));
    if (committing_) return after_commit_.push_back(std::move(durable));
    if (!under_way_.empty()) return under_way_.back()->durable.push_back(std::move(durable));
  }
  // After the completion of the last commit, should that be posted and not yet run.
  loop_.post([self = shared_from_this(), durable = std::move(durable)] {
    if (!self->closed_) durable();
  });
}

void Committer::flush() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = pending_.transaction.state && !pending_.urgent;
    pending_.urgent = pending_.urgent || wake;
  }
  if (wake) wake_writer();
}

void Committer::on_committed(Commit& commit) {
  backlog_ -= commit.transaction.bytes;
  if (closed_) return;
  hooks_.committed(commit);
  for (const auto& done : commit.durable) done();
  for (VoteRead& read : commit.reads) read.done(std::move(read.result));
  for (const auto& now_readable : commit.readable) now_readable();
}

// --- Writer's thread -------------------------------------------------------------------

/// When the writer may begin the next commit, if there is to be one and that is all it waits for.
/// Guarded by mutex_.
std::optional<Time> Committer::begins_at() const {
  const bool wanted = pending_.urgent || (stopping_ && !pending_.transaction.empty());
  if (committing_ || !wanted) return std::nullopt;
  if (alone()) return Time{};
  const Time at = std::max(now(), pace_.next_begin());
  const bool may = !pending_.moves_all() && pace_.may_begin(at, pending_.transaction.bytes);
  return may ? std::optional(at) : std::nullopt;
}

void Committer::write_loop() {
  Lock lock(mutex_);
  while (!failed_) {
    const auto begins = begins_at();
    if (untold_ > 0) {
      if (!end_told(lock)) return;
    } else if (begins && *begins <= now()) {
      if (!commit_next(lock)) return;
    } else if (begins) {
      work_.wait_until(lock, point(*begins));
    } else if (stopping_ && alone() && !committing_) {
      lock.unlock();
      // Nobody waits for it: should it fail, the journal still has everything.
      return static_cast<void>(files_->checkpoint());
    } else {
      work_.wait(lock);
    }
  }
}

bool Committer::commit_next(Lock& lock) {
  const auto several = [this] { return pace_.several(now(), pending_.transaction.bytes); };
  if (alone() && !several()) gather(lock);
  if (failed_) return false;
  if (alone() && (pending_.moves_all() || !several())) return commit_alone(lock);
  if (!begin(lock)) return false;
  // It is under way until it is synced.
  Commit* const begun = under_way_.back().get();
  lock.unlock();
  make_syncers();
  if (syncers_.empty()) sync(*begun);
  if (!syncers_.empty()) asio::post(sync_queue_, [this, begun] { sync(*begun); });
  lock.lock();
  return true;
}

/// As many as the system lets it have.
void Committer::make_syncers() {
  if (syncs_) return;
  syncs_.emplace(sync_queue_.get_executor());
  try {
    while (syncers_.size() < CommitPace::kSeveral) {
      syncers_.emplace_back([this] { sync_queue_.run(); });
    }
  } catch (const std::system_error&) {
  }
}

/// Those whom the last commit has answered come again, if there is a loop of them; who comes at
/// times of its own is not waited for.
void Committer::gather(Lock& lock) {
  const Time begin = now();
  const std::size_t before = pending_.transaction.bytes;
  if (stopping_ || begin >= gather_until_ || before == 0 || pending_.moves_all()) return;
  if (without_gathering_ > 0) {
    --without_gathering_;
    return;
  }
  const std::size_t all = before + committed_bytes_;
  waits_for_more_ = true;
  work_.wait_until(lock, point(gather_until_), [&] {
    return failed_ || stopping_ || pending_.transaction.bytes >= all - all / 8;
  });
  waits_for_more_ = false;
  // What shares a commit saves its part of another sync.
  const double all_bytes = static_cast<double>(pending_.transaction.bytes) + 1;
  const double shared = 1 - static_cast<double>(before) / all_bytes;
  const std::chrono::duration<double> waited = now() - begin;
  if (shared * std::chrono::duration<double>(pace_.cost()) < waited) {
    without_gathering_ = kWithoutGathering;
  }
}

/// Commits what is pending, with nothing beside it; false if that failed, and nothing is committed
/// any more.
bool Committer::commit_alone(Lock& lock) {
  return commit_alone(lock, std::make_shared<Commit>(std::exchange(pending_, {})));
}

bool Committer::commit_alone(Lock& lock, std::shared_ptr<Commit> commit) {
  STELE_CHECK(alone());
  committing_ = true;
  // To be read back, LMDB takes over what it lacks: that is no cost of a sync.
  const bool counts = !commit->moves_all();
  if (counts) pace_.on_begun(now(), commit->transaction.bytes);
  lock.unlock();
  const auto committed = this->commit(*commit);
  lock.lock();
  if (counts) {
    pace_.on_synced(now(), 0);
    pace_.drop(1);
  }
  if (!committed) fail_locked(committed.error());
  if (failed_) {
    loop_.post([commit] {});  // Its buffers are dropped there.
    return false;
  }
  committing_ = false;
  const Duration cost = pace_.cost();
  committed_bytes_ = commit->transaction.bytes;
  if (cost >= CommitPace::kSlowSync) {
    gather_until_ = now() + std::min<Duration>(cost / kGatherPart, kGatherMax);
  }
  readable_ = commit->found;
  for (auto& later : std::exchange(after_commit_, {})) commit->durable.push_back(std::move(later));
  tell(std::move(commit));
  return true;
}

Result<void> Committer::commit(Commit& commit) {
  files_->keep_cached(keep_cached_);
  if (auto done = files_->commit(commit.transaction, commit.moves_all()); !done) return done;
  commit.found = files_->readable();
  commit.commits = files_->commits();
  hooks_.wrote(commit.transaction.bytes);
  return read_votes(commit);
}

Result<void> Committer::read_votes(Commit& commit) {
  if (commit.reads.empty()) return {};
  auto snapshot = files_->lmdb().begin(false);
  if (!snapshot) return forward(snapshot);
  for (VoteRead& read : commit.reads) {
    auto records =
        get_records(*snapshot, files_->values(), std::max(read.begin, commit.found.chosen_end),
                    read.end, read.bytes_max);
    if (!records) return forward(records);
    read.result = *std::move(records);
  }
  return {};
}

// --- Several at once -------------------------------------------------------------------

/// Writes what is pending; false if that failed.
bool Committer::begin(Lock& lock) {
  auto commit = std::make_shared<Commit>(std::exchange(pending_, {}));
  under_way_.push_back(commit);
  pace_.on_begun(now(), commit->transaction.bytes);
  lock.unlock();
  files_->keep_cached(keep_cached_);
  auto sync = files_->begin(commit->transaction, true);
  commit->commits = files_->commits();
  hooks_.wrote(commit->transaction.bytes);
  lock.lock();
  if (!sync) fail_locked(sync.error());
  if (failed_) return false;
  commit->sync = *std::move(sync);
  return true;
}

/// Any thread.
void Committer::sync(Commit& commit) {
  const auto done = commit.sync.run();
  const std::lock_guard lock(mutex_);
  if (!done) fail_locked(done.error());
  if (!failed_) on_synced(commit);
}

/// Tells of it, and of those after it that are synced already, unless it must wait for one before.
/// Guarded by mutex_.
void Committer::on_synced(Commit& commit) {
  const auto found = std::ranges::find(under_way_, &commit, &std::shared_ptr<Commit>::get);
  pace_.on_synced(now(), static_cast<std::size_t>(found - under_way_.begin()));
  commit.synced = true;
  std::size_t count = 0;
  while (!under_way_.empty() && under_way_.front()->synced) {
    under_way_.front()->found = readable_;
    tell(std::move(under_way_.front()));
    under_way_.pop_front();
    ++count;
  }
  pace_.drop(count);
  untold_ += count;
  work_.notify_one();
}

/// The files hear which of those under way are durable.
bool Committer::end_told(Lock& lock) {
  const std::size_t count = untold_;
  lock.unlock();
  Result<void> done;
  for (std::size_t i = 0; done && i < count; ++i) done = files_->end();
  const StateNumbers readable = files_->readable();
  const bool more = done && files_->untold();
  lock.lock();
  untold_ -= count;
  readable_ = readable;
  if (!done) fail_locked(done.error());
  // The last ones do not say of each other that they are durable.
  if (more && alone()) pending_.urgent = true;
  return done.has_value();
}

// --- Without threads -------------------------------------------------------------------

bool Committer::begin_commit() {
  Lock lock(mutex_);
  STELE_CHECK(hooks_.commit_wanted != nullptr);
  const bool must_wait = committing_ || (pending_.moves_all() && !under_way_.empty());
  if (!pending_.urgent || failed_ || must_wait || under_way_.size() >= kUnsyncedMax) return false;
  if (pending_.moves_all()) {
    waiting_alone_ = std::make_shared<Commit>(std::exchange(pending_, {}));
    committing_ = true;
    return true;
  }
  return begin(lock);
}

void Committer::sync_commit(std::size_t index) {
  if (index < under_way_.size() && !under_way_[index]->synced) sync(*under_way_[index]);
}

std::size_t Committer::finish_commit() {
  if (!waiting_alone_) sync_commit(0);
  Lock lock(mutex_);
  if (failed_) return 0;
  std::size_t told = untold_;
  if (waiting_alone_) {
    told = 1;
    static_cast<void>(commit_alone(lock, std::exchange(waiting_alone_, nullptr)));
  } else if (told > 0) {
    static_cast<void>(end_told(lock));
  }
  const bool more = pending_.urgent && !failed_;
  lock.unlock();
  if (more) wake_writer();
  return told;
}

// --- Any thread ------------------------------------------------------------------------

/// What is on the disk is unknown from here on: no acknowledgement leaves any more. Guarded by
/// mutex_.
void Committer::fail_locked(Error error) {
  if (std::exchange(failed_, true)) return;
  work_.notify_one();
  if (error.code == Errc::no_space) error.code = Errc::io;
  hooks_.failed(std::move(error));
}

void Committer::fail(Error error) {
  const std::lock_guard lock(mutex_);
  fail_locked(std::move(error));
}

/// The commit goes back to the loop, which alone drops the buffers it shares with the sockets.
/// Posted under the lock, so that no later callback comes before its own.
void Committer::tell(std::shared_ptr<Commit> commit) {
  loop_.post(
      [self = shared_from_this(), commit = std::move(commit)] { self->on_committed(*commit); });
}

}  // namespace stele::log
