#include "log/store/disk/commit_queue.h"

#include <algorithm>
#include <asio/post.hpp>
#include <system_error>
#include <utility>

#include "log/store/disk/on_exception.h"
#include "log/store/files/table_reads.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// The loop itself commits what is not larger, if it may: a page or so.
constexpr std::size_t kLoopBytesMax = 4 << 10;
/// If its last commit has taken longer, the loop does not commit for that long.
constexpr Duration kLoopCommitMax = std::chrono::milliseconds(2);
constexpr Duration kLoopPause = std::chrono::seconds(1);
/// A commit that has taken longer was a stall of the disk.
constexpr Duration kStall = std::chrono::milliseconds(50);
/// How long the loop does not commit after a stall.
constexpr Duration kLoopPauseAfterStall = std::chrono::minutes(1);

Time now() { return std::chrono::steady_clock::now().time_since_epoch(); }
std::chrono::steady_clock::time_point point(Time time) {
  return std::chrono::steady_clock::time_point(time);
}

}  // namespace

CommitQueue::CommitQueue(StoreFiles files, net::Loop& loop, CommitListener& listener,
                         std::function<void()> commit_wanted)
    : files_(std::move(files)),
      loop_(loop),
      listener_(listener),
      commit_wanted_(std::move(commit_wanted)) {
  queue_.lock()->readable = files_->readable();
}

void CommitQueue::start_threads() {
  STELE_CHECK(commit_wanted_ == nullptr);
  writer_ =
      std::thread([self = shared_from_this()] { self->loop_.guard([&] { self->write_loop(); }); });
}

void CommitQueue::stop() {
  on_loop_.closed = true;
  {
    auto queue = queue_.lock();
    queue->stopping = true;
    queue->failed = queue->failed || loop_.ended();  // Nobody would hear of it.
  }
  work_.notify_one();
  if (writer_.joinable()) writer_.join();
  on_writer_.syncs.reset();
  for (std::thread& syncer : on_writer_.syncers) syncer.join();
  on_writer_.syncers.clear();
}

// --- Loop's thread ---------------------------------------------------------------------

void CommitQueue::wake_writer() {
  if (commit_wanted_) {
    commit_wanted_();
  } else if (on_loop_.may_commit && loop_.now() >= on_loop_.pauses_until) {
    // After what this turn still adds and sends.
    loop_.post([self = shared_from_this()] { self->commit_on_loop(); });
  } else {
    work_.notify_one();
  }
}

/// Commits what is pending if that is one small write and one sync; otherwise the writer does.
void CommitQueue::commit_on_loop() {
  const OnException gives_up([this] { give_up(); });
  auto queue = queue_.lock();
  const Commit& pending = queue->pending;
  if (!pending.urgent || queue->failed) return;
  const bool small = on_loop_.may_commit && pending.transaction.bytes <= kLoopBytesMax &&
                     !pending.moves_all() && !queue->stopping &&
                     queue->pace.cost() < CommitPace::kSlowSync;
  if (queue->committing || queue->waits_for_more || !queue->alone() || !small ||
      !files_->quick(pending.transaction)) {
    return work_.notify_one();
  }
  const Time begin = loop_.now();
  static_cast<void>(commit_alone(queue));
  if (queue->pending.urgent) work_.notify_one();  // What was for the next commit.
  const Duration took = loop_.now() - begin;
  const Duration pause = took > kStall ? Duration(kLoopPauseAfterStall) : Duration(kLoopPause);
  if (took > kLoopCommitMax) on_loop_.pauses_until = loop_.now() + pause;
}

void CommitQueue::when_durable(std::function<void()> durable) {
  {
    auto queue = queue_.lock();
    if (!queue->pending.transaction.votes.empty())
      return queue->pending.durable.push_back(std::move(durable));
    if (queue->committing) return queue->after_commit.push_back(std::move(durable));
    if (!queue->under_way.empty())
      return queue->under_way.back()->durable.push_back(std::move(durable));
  }
  // After the completion of the last commit, should that be posted and not yet run.
  loop_.post([self = shared_from_this(), durable = std::move(durable)] {
    if (!self->on_loop_.closed) durable();
  });
}

void CommitQueue::flush() {
  bool wake = false;
  {
    auto queue = queue_.lock();
    const Transaction& pending = queue->pending.transaction;
    wake = (pending.state || pending.trim || pending.copy) && !queue->pending.urgent;
    queue->pending.urgent = queue->pending.urgent || wake;
  }
  if (wake) wake_writer();
}

void CommitQueue::on_committed(Commit& commit) {
  on_loop_.take_off(commit.transaction.bytes);
  if (on_loop_.closed) return;
  listener_.on_committed(commit);
  for (const auto& done : commit.durable) done();
  for (VoteRead& read : commit.reads) read.done(std::move(read.result));
  for (const auto& now_readable : commit.readable) now_readable();
}

// --- Writer's thread -------------------------------------------------------------------

/// When the writer may begin the next commit, if there is to be one and that is all it waits for.
std::optional<Time> CommitQueue::Queue::begins_at() const {
  const bool wanted = pending.urgent || (stopping && !pending.transaction.empty());
  if (committing || !wanted) return std::nullopt;
  if (alone()) return Time{};
  const Time at = std::max(now(), pace.next_begin());
  const bool may = !pending.moves_all() && pace.may_begin(at, pending.transaction.bytes);
  return may ? std::optional(at) : std::nullopt;
}

void CommitQueue::write_loop() {
  const OnException gives_up([this] { give_up(); });
  auto queue = queue_.lock();
  while (!queue->failed) {
    const auto begins = queue->begins_at();
    if (queue->untold > 0) {
      if (!end_told(queue)) return;
    } else if (begins && *begins <= now()) {
      if (!commit_next(queue)) return;
    } else if (begins) {
      queue.wait_until(work_, point(*begins));
    } else if (queue->stopping && queue->alone() && !queue->committing) {
      // Nobody waits for it: should it fail, the journal still has everything.
      return queue.without([this] { static_cast<void>(files_->checkpoint()); });
    } else {
      queue.wait(work_);
    }
  }
}

bool CommitQueue::commit_next(Access& queue) {
  const auto several = [&] { return queue->pace.several(now(), queue->pending.transaction.bytes); };
  if (queue->alone() && !several()) gather(queue);
  if (queue->failed) return false;
  if (queue->alone() && (queue->pending.moves_all() || !several())) return commit_alone(queue);
  if (!begin(queue)) return false;
  // It is under way until it is synced.
  Commit* const begun = queue->under_way.back().get();
  queue.without([this, begun] {
    make_syncers();
    if (on_writer_.syncers.empty()) return sync(*begun);
    asio::post(on_writer_.sync_queue, [this, begun] { sync(*begun); });
  });
  return true;
}

/// As many as the system lets it have.
void CommitQueue::make_syncers() {
  if (on_writer_.syncs) return;
  on_writer_.syncs.emplace(on_writer_.sync_queue.get_executor());
  try {
    while (on_writer_.syncers.size() < CommitPace::kSeveral) {
      on_writer_.syncers.emplace_back(
          [this] { loop_.guard([this] { on_writer_.sync_queue.run(); }); });
    }
  } catch (const std::system_error&) {
  }
}

void CommitQueue::gather(Access& queue) {
  if (queue->stopping || queue->pending.moves_all()) return;
  const Time begin = now();
  const auto until = queue->gathering.begin(begin, queue->pending.transaction.bytes);
  if (!until) return;
  queue->waits_for_more = true;
  queue.wait_until(work_, point(*until), [&] {
    return queue->failed || queue->stopping ||
           queue->gathering.complete(queue->pending.transaction.bytes);
  });
  queue->waits_for_more = false;
  queue->gathering.end(now() - begin, queue->pace.cost(), queue->pending.transaction.bytes);
}

// --- Whichever thread commits --------------------------------------------------------------

/// Commits what is pending, with nothing beside it; false if that failed, and nothing is committed
/// any more.
bool CommitQueue::commit_alone(Access& queue) { return commit_alone(queue, take(queue->pending)); }

bool CommitQueue::commit_alone(Access& queue, std::shared_ptr<Commit> commit) {
  STELE_CHECK(queue->alone());
  queue->committing = true;
  // To be read back, LMDB takes over what it lacks: that is no cost of a sync.
  const bool counts = !commit->moves_all();
  if (counts) queue->pace.on_begun(now(), commit->transaction.bytes);
  const auto committed = queue.without([&] { return this->commit(*commit); });
  if (counts) {
    queue->pace.on_synced(now(), 0);
    queue->pace.drop(1);
  }
  if (!committed) fail(*queue, committed.error());
  if (queue->failed) {
    loop_.post([commit] {});  // Its buffers are dropped there.
    return false;
  }
  queue->committing = false;
  queue->gathering.on_committed(now(), queue->pace.cost(), commit->transaction.bytes);
  queue->readable = commit->found;
  for (auto& later : std::exchange(queue->after_commit, {}))
    commit->durable.push_back(std::move(later));
  tell(std::move(commit));
  return true;
}

Result<void> CommitQueue::commit(Commit& commit) {
  files_->keep_cached(keep_cached_);
  if (auto done = files_->commit(commit.transaction, commit.moves_all()); !done) return done;
  commit.found = files_->readable();
  commit.commits = files_->commits();
  commit.numbers = files_->written();
  listener_.on_wrote(commit.transaction.bytes);
  return read_votes(commit);
}

Result<void> CommitQueue::read_votes(Commit& commit) {
  if (commit.reads.empty()) return {};
  auto snapshot = files_->lmdb().begin(false);
  if (!snapshot) return forward(snapshot);
  for (VoteRead& read : commit.reads) {
    const Slot begin = std::max(read.begin, commit.found.state.chosen_end);
    auto records = get_records(*snapshot, files_->values(), begin, read.end, read.bytes_max);
    if (!records) return forward(records);
    read.result = *std::move(records);
  }
  return {};
}

// --- Several at once -------------------------------------------------------------------

/// Writes what is pending; false if that failed.
bool CommitQueue::begin(Access& queue) {
  auto commit = take(queue->pending);
  queue->under_way.push_back(commit);
  queue->pace.on_begun(now(), commit->transaction.bytes);
  auto sync = queue.without([&] {
    files_->keep_cached(keep_cached_);
    auto begun = files_->begin(commit->transaction, true);
    commit->commits = files_->commits();
    commit->numbers = files_->written();
    listener_.on_wrote(commit->transaction.bytes);
    return begun;
  });
  if (!sync) fail(*queue, sync.error());
  if (queue->failed) return false;
  commit->sync = *std::move(sync);
  return true;
}

/// Any thread.
void CommitQueue::sync(Commit& commit) {
  const OnException gives_up([this] { give_up(); });
  const auto done = commit.sync.run();
  auto queue = queue_.lock();
  if (!done) fail(*queue, done.error());
  if (!queue->failed) on_synced(*queue, commit);
}

/// Tells of it, and of those after it that are synced already, unless it must wait for one before.
void CommitQueue::on_synced(Queue& queue, Commit& commit) {
  auto& under_way = queue.under_way;
  const auto found = std::ranges::find(under_way, &commit, &std::shared_ptr<Commit>::get);
  queue.pace.on_synced(now(), static_cast<std::size_t>(found - under_way.begin()));
  commit.synced = true;
  std::size_t count = 0;
  while (!under_way.empty() && under_way.front()->synced) {
    under_way.front()->found = queue.readable;
    tell(std::move(under_way.front()));
    under_way.pop_front();
    ++count;
  }
  queue.pace.drop(count);
  queue.untold += count;
  work_.notify_one();
}

/// The files hear which of those under way are durable.
bool CommitQueue::end_told(Access& queue) {
  const std::size_t count = queue->untold;
  StoredNumbers readable;
  bool more = false;
  const auto done = queue.without([&]() -> Result<void> {
    Result<void> ended;
    for (std::size_t i = 0; ended && i < count; ++i) ended = files_->end();
    readable = files_->readable();
    more = ended && files_->untold();
    return ended;
  });
  queue->untold -= count;
  queue->readable = readable;
  if (!done) fail(*queue, done.error());
  // The last ones do not say of each other that they are durable.
  if (more && queue->alone()) queue->pending.urgent = true;
  return done.has_value();
}

// --- Without threads -------------------------------------------------------------------

bool CommitQueue::begin_commit() {
  STELE_CHECK(commit_wanted_ != nullptr);
  auto queue = queue_.lock();
  const bool moves_all = queue->pending.moves_all();
  const bool must_wait = queue->committing || (moves_all && !queue->under_way.empty());
  if (!queue->pending.urgent || queue->failed || must_wait ||
      queue->under_way.size() >= kUnsyncedMax) {
    return false;
  }
  if (moves_all) {
    queue->waiting_alone = take(queue->pending);
    queue->committing = true;
    return true;
  }
  return begin(queue);
}

void CommitQueue::sync_commit(std::size_t index) {
  Commit* commit = nullptr;
  {
    auto queue = queue_.lock();
    if (index < queue->under_way.size()) commit = queue->under_way[index].get();
  }
  if (commit != nullptr && !commit->synced) sync(*commit);
}

std::size_t CommitQueue::finish_commit() {
  if (!queue_.lock()->waiting_alone) sync_commit(0);
  std::size_t told = 0;
  bool more = false;
  {
    auto queue = queue_.lock();
    if (queue->failed) return 0;
    told = queue->untold;
    if (queue->waiting_alone) {
      told = 1;
      static_cast<void>(commit_alone(queue, std::exchange(queue->waiting_alone, nullptr)));
    } else if (told > 0) {
      static_cast<void>(end_told(queue));
    }
    more = queue->pending.urgent && !queue->failed;
  }
  if (more) wake_writer();
  return told;
}

// --- Any thread ------------------------------------------------------------------------

/// What is on the disk is unknown from here on: no acknowledgement leaves any more.
void CommitQueue::fail(Queue& queue, Error error) {
  if (std::exchange(queue.failed, true)) return;
  work_.notify_one();
  if (error.code == Errc::no_space) error.code = Errc::io;
  listener_.on_commit_failed(std::move(error));
}

void CommitQueue::fail(Error error) { fail(*queue_.lock(), std::move(error)); }

/// A check has failed within a commit: what is on the disk is unknown, too. Takes the lock.
void CommitQueue::give_up() {
  queue_.lock()->failed = true;
  work_.notify_one();
}

/// The commit goes back to the loop, which alone drops the buffers it shares with the sockets.
/// Posted under the lock, so that no later callback comes before its own.
void CommitQueue::tell(std::shared_ptr<Commit> commit) {
  loop_.post(
      [self = shared_from_this(), commit = std::move(commit)] { self->on_committed(*commit); });
}

}  // namespace stele::log
