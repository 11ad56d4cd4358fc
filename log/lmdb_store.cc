#include "log/lmdb_store.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "log/store_files.h"
#include "log/sync_cost.h"
#include "log/table_reads.h"
#include "log/transaction.h"
#include "paxos/check.h"

namespace stele::log {
namespace {

/// So much of the learner's writes is committed without waiting for a vote to ride with.
constexpr std::size_t kStateBytesMax = 4 << 20;
/// So much is written before the disk's free space is looked at again.
constexpr std::size_t kUnmeasuredBytesMax = 64 << 10;
/// What the loop commits itself, if it may: a page or so,
constexpr std::size_t kLoopBytesMax = 4 << 10;
/// unless the disk took so long for the last one; then not for a while.
constexpr auto kLoopCommitMax = std::chrono::milliseconds(2);
constexpr auto kLoopPause = std::chrono::seconds(1);
/// Where a sync by itself takes so long, those whom a commit answers get a part of that time to
/// come again, so that all share the next one; otherwise two groups of them would take turns.
constexpr auto kSlowSync = std::chrono::milliseconds(2);
constexpr int kGatherPart = 2;
constexpr std::chrono::nanoseconds kGatherMax = std::chrono::milliseconds(25);
/// If that took longer than it saved, so many commits do without.
constexpr int kWithoutGathering = 16;

}  // namespace

struct LmdbStore::Impl : std::enable_shared_from_this<LmdbStore::Impl> {
  struct VoteRead {
    Slot begin;
    Slot end;
    std::size_t bytes_max;
    std::function<void(SlotsRead)> done;
    SlotsRead result;
  };
  /// The next transaction, and who waits for it.
  struct Pending {
    Transaction transaction;
    std::vector<VoteRead> reads;
    std::vector<std::function<void()>> durable;
    std::vector<std::function<void()>> readable;  ///< Wait until it can be read from LMDB.
    bool urgent = false;
    StateNumbers found;         ///< What can be read from LMDB behind it.
    std::uint64_t commits = 0;  ///< As of StoreFiles, behind it.
  };

  Impl(DataDirectory d, StoreFiles f, net::Loop& lp, std::function<void(Error)> on_fail)
      : directory(std::move(d)),
        files(std::move(f)),
        loop(lp),
        on_failure(std::move(on_fail)),
        commits(files->commits_found()),
        durable(files->readable()),
        readable(files->readable()) {}

  // --- Loop's thread -------------------------------------------------------------------

  /// Adds to the pending transaction; wakes the writer if `urgent`.
  template <class Add>
  void enqueue(bool urgent, Add add) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex);
      const std::size_t before = pending.transaction.bytes;
      add(pending);
      backlog += pending.transaction.bytes - before;
      if (gathering) work.notify_one();
      wake = (urgent || pending.transaction.state_bytes > kStateBytesMax) && !pending.urgent;
      pending.urgent = pending.urgent || wake;
    }
    if (wake) wake_writer();
  }

  void wake_writer() {
    if (commit_wanted) {
      commit_wanted();
    } else if (loop_may_commit && loop.now() >= loop_pauses_until) {
      // Behind what this turn still adds and sends.
      loop.post([self = shared_from_this()] { self->commit_on_loop(); });
    } else {
      work.notify_one();
    }
  }

  /// Commits what is pending if that is one small write and one sync; otherwise the writer does.
  void commit_on_loop() {
    std::unique_lock lock(mutex);
    if (!pending.urgent || failed) return;
    const bool small = loop_may_commit && pending.transaction.bytes <= kLoopBytesMax &&
                       pending.reads.empty() && pending.readable.empty() && !stopping;
    if (committing || gathering || !small || !files->quick(pending.transaction)) {
      return work.notify_one();
    }
    const Time begin = loop.now();
    static_cast<void>(commit_pending(lock));
    if (loop.now() - begin > kLoopCommitMax) loop_pauses_until = loop.now() + kLoopPause;
  }

  // --- Checkpoint's thread -------------------------------------------------------------

  void run_checkpoint() {
    if (const auto done = files->run_checkpoint(); !done) {
      const std::lock_guard lock(mutex);
      fail_store(done.error());
    }
  }

  // --- Writer thread -------------------------------------------------------------------

  void write_loop() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return failed || (!committing && (pending.urgent || stopping)); });
      if (failed) return;
      gather(lock);
      if (failed) return;
      const bool nothing_left = !pending.urgent && pending.transaction.empty();
      if (stopping && nothing_left) break;
      if (!commit_pending(lock)) return;
    }
    lock.unlock();
    // Nobody waits for it: should it fail, the journal still has everything.
    static_cast<void>(files->checkpoint());
  }

  /// Those whom the last commit has answered come again, if there is a loop of them; who comes at
  /// times of its own is not waited for.
  void gather(std::unique_lock<std::mutex>& lock) {
    const auto begin = std::chrono::steady_clock::now();
    const std::size_t before = pending.transaction.bytes;
    const bool reads = !pending.reads.empty() || !pending.readable.empty();
    if (stopping || begin >= gather_until || before == 0 || reads) return;
    if (without_gathering > 0) {
      --without_gathering;
      return;
    }
    const std::size_t all = before + committed_bytes;
    gathering = true;
    work.wait_until(lock, gather_until, [&] {
      return failed || stopping || pending.transaction.bytes >= all - all / 8;
    });
    gathering = false;
    // What shares a commit saves its part of another sync.
    const double all_bytes = static_cast<double>(pending.transaction.bytes) + 1;
    const double shared = 1 - static_cast<double>(before) / all_bytes;
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
    if (shared * std::chrono::duration<double>(sync_cost.get()) < waited) {
      without_gathering = kWithoutGathering;
    }
  }

  /// Commits what is pending; false if that failed, and the store does nothing any more.
  bool commit_pending(std::unique_lock<std::mutex>& lock) {
    auto batch = std::make_shared<Pending>(std::exchange(pending, {}));
    committing = true;
    lock.unlock();
    const auto committed = commit(*batch);
    lock.lock();
    if (!committed) fail_store(committed.error());
    if (failed) {
      loop.post([batch] {});  // There, as below, its buffers are dropped.
      return false;
    }
    committing = false;
    for (auto& later : std::exchange(after_commit, {})) batch->durable.push_back(std::move(later));
    // The batch goes back to the loop, which alone drops the buffers it shares with the sockets.
    // Posted under the lock, so that no later callback comes before its own.
    loop.post(
        [self = shared_from_this(), batch = std::move(batch)] { self->on_committed(*batch); });
    return true;
  }

  /// What is on the disk is unknown from here on: no acknowledgement leaves any more. Guarded by
  /// mutex.
  void fail_store(Error error) {
    if (std::exchange(failed, true)) return;
    if (error.code == Errc::no_space) error.code = Errc::io;
    work.notify_one();
    measure_space();
    if (free_space < (1 << 20)) error.detail += " (the disk, or the store's bound, is full)";
    loop.post([self = shared_from_this(), error = std::move(error)] {
      if (self->on_failure && !self->closed) self->on_failure(error);
    });
  }

  Result<void> commit(Pending& batch) {
    files->keep_cached(keep_cached);
    const bool read_back = !batch.reads.empty() || !batch.readable.empty();
    const auto begin = std::chrono::steady_clock::now();
    if (auto committed = files->commit(batch.transaction, read_back); !committed) return committed;
    const auto end = std::chrono::steady_clock::now();
    // To be read back, LMDB has taken over what it lacked: that is no cost of a sync.
    if (!read_back) sync_cost.add(batch.transaction.bytes, end - begin);
    committed_bytes = batch.transaction.bytes;
    const auto cost = sync_cost.get();
    if (cost >= kSlowSync) gather_until = end + std::min(cost / kGatherPart, kGatherMax);
    batch.found = files->readable();
    batch.commits = files->commits();
    used_bytes = files->used_bytes();
    unmeasured_bytes += batch.transaction.bytes;
    if (unmeasured_bytes >= kUnmeasuredBytesMax) measure_space();
    if (batch.reads.empty()) return {};
    auto snapshot = files->lmdb().begin(false);
    if (!snapshot) return tl::unexpected<Error>(snapshot.error());
    for (VoteRead& read : batch.reads) {
      auto records =
          get_records(*snapshot, files->values(), std::max(read.begin, batch.found.chosen_end),
                      read.end, read.bytes_max);
      if (!records) return tl::unexpected<Error>(records.error());
      read.result = *std::move(records);
    }
    return {};
  }

  /// Any thread; what the store itself uses is known by the last commit.
  void measure_space() {
    unmeasured_bytes = 0;
    struct statvfs disk {};
    std::uint64_t free_bytes = UINT64_MAX;
    if (::statvfs(directory.path().c_str(), &disk) == 0) {
      free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    }
    if (!failed) files->reserve().refill(free_bytes);
    const std::uint64_t used = used_bytes;
    const std::uint64_t map_left = map_bytes > used ? map_bytes - used : 0;
    free_space = std::min(free_bytes, map_left);
    // Of no use against the store's own bound.
    kept_bytes = free_bytes <= map_left ? files->reserve().held_bytes() : 0;
    ++measured;
  }

  /// Closes the files and gives up the lock; callbacks that are still posted find `closed` set.
  void release() {
    files.reset();
    const DataDirectory unlocked = std::move(directory);
  }

  // --- Loop's thread again -------------------------------------------------------------

  void on_committed(Pending& batch) {
    backlog -= batch.transaction.bytes;
    if (closed) return;
    if (batch.transaction.state) durable = batch.transaction.state->numbers;
    readable = batch.found;
    commits = batch.commits;
    for (const auto& done : batch.durable) done();
    for (VoteRead& read : batch.reads) read.done(std::move(read.result));
    for (const auto& now : batch.readable) now();
  }

  // --- Reader thread -------------------------------------------------------------------

  /// Runs `get` on a fresh snapshot on the reader thread, then `done` on the loop. If `lags`, what
  /// is durable is moved to where it can be read first.
  template <class Get, class Done>
  void read(bool lags, Get get, Done done) {
    if (lags) {
      enqueue(true, [&](Pending& next) {
        next.readable.push_back(
            [this, get = std::move(get), done = std::move(done)] { read(false, get, done); });
      });
      return;
    }
    enqueue_read([self = shared_from_this(), get = std::move(get), done = std::move(done)] {
      auto snapshot = self->files->lmdb().begin(false);
      auto result = snapshot ? get(*snapshot) : tl::unexpected<Error>(snapshot.error());
      if (!result) {
        self->loop.post([self, error = result.error()] {
          if (self->on_failure && !self->closed) self->on_failure(error);
        });
        return;
      }
      using Value = typename decltype(result)::value_type;
      auto value = std::make_shared<Value>(*std::move(result));
      self->loop.post([self, done, value] {
        if (!self->closed) done(std::move(*value));
      });
    });
  }

  template <class Task>
  void enqueue_read(Task task) {
    if (!reader) return task();
    asio::post(*reader, std::move(task));
  }

  DataDirectory directory;
  std::optional<StoreFiles> files;  // Of whoever commits, but for snapshots.
  net::Loop& loop;
  std::function<void(Error)> on_failure;
  std::uint64_t map_bytes = 0;
  std::function<void()> commit_wanted;  // Instead of threads.
  std::optional<Identity> identity;
  History history;
  bool closed = false;           // Loop's thread: no callback any more.
  bool loop_may_commit = false;  // Loop's thread,
  Time loop_pauses_until{};      // this too.
  std::size_t backlog = 0;       // Loop's thread.
  std::uint64_t commits;         // Loop's thread: the last one.
  StateNumbers durable;          // Loop's thread: behind the last commit,
  StateNumbers readable;         // and what of it can be read from LMDB.

  std::mutex mutex;
  std::condition_variable work;
  Pending pending;                                  // Guarded by mutex,
  std::vector<std::function<void()>> after_commit;  // and waiting for the commit under way,
  bool committing = false;                          // By the writer, or by the loop.
  bool gathering = false;  // The writer waits for more, and nobody else commits.
  bool failed = false;
  bool stopping = false;

  // Whoever commits.
  SyncCost sync_cost;
  std::chrono::steady_clock::time_point gather_until{};
  std::size_t committed_bytes = 0;  // By the last commit.
  int without_gathering = 0;        // So many more commits do not wait for others.

  std::atomic<bool> keep_cached{false};
  std::atomic<std::uint64_t> used_bytes{0};
  std::atomic<std::uint64_t> free_space{UINT64_MAX};
  std::atomic<std::uint64_t> kept_bytes{0};
  std::atomic<std::uint64_t> measured{0};
  std::uint64_t kept_bytes_max = 0;
  std::atomic<std::uint64_t> unmeasured_bytes{0};

  // None of these without threads.
  std::thread writer;
  std::optional<asio::thread_pool> reader;
  std::optional<asio::thread_pool> checkpointer;
};

LmdbStore::LmdbStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(DataDirectory directory, const Options& options,
                                                   net::Loop& loop,
                                                   std::function<void(Error)> on_failure) {
  const bool fresh = directory.fresh();
  auto files = StoreFiles::open(directory.path(), options.files);
  if (!files) return tl::unexpected<Error>(files.error());
  auto impl =
      std::make_shared<Impl>(std::move(directory), *std::move(files), loop, std::move(on_failure));
  impl->map_bytes = options.files.map_bytes;
  impl->commit_wanted = options.commit_wanted;
  {
    auto txn = impl->files->lmdb().begin(false);
    if (!txn) return tl::unexpected<Error>(txn.error());
    const auto sealed = txn->get(Table::meta, kIdentityKey);
    if (!sealed) return tl::unexpected<Error>(sealed.error());
    if (*sealed) {
      auto identity = unseal_identity(**sealed);
      if (!identity) return tl::unexpected<Error>(identity.error());
      impl->identity = *std::move(identity);
    }
    const auto history = txn->get(Table::meta, kHistoryKey);
    if (!history) return tl::unexpected<Error>(history.error());
    if (*history) {
      auto known = unseal_history(**history);
      if (!known) return tl::unexpected<Error>(known.error());
      impl->history = *std::move(known);
    }
    if (!*sealed && !fresh) {
      // A first start that was killed before its first commit leaves tables and nothing else.
      Lmdb::Cursor cursor(*txn, Table::slots);
      if (cursor.seek(0)) {
        return fail(Errc::corrupt, impl->directory.path() + " holds slots but no identity");
      }
    }
  }
  impl->used_bytes = impl->files->used_bytes();
  impl->kept_bytes_max = options.files.reserve_bytes;
  impl->measure_space();
  if (!impl->commit_wanted) {
    impl->reader.emplace(1);
    impl->checkpointer.emplace(1);
    impl->files->on_checkpoint_begun(
        [raw = impl.get()] { asio::post(*raw->checkpointer, [raw] { raw->run_checkpoint(); }); });
    impl->writer = std::thread([impl] { impl->write_loop(); });
  }
  return std::unique_ptr<LmdbStore>(new LmdbStore(std::move(impl)));
}

LmdbStore::~LmdbStore() {
  impl_->closed = true;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->work.notify_one();
  if (impl_->writer.joinable()) impl_->writer.join();
  // What is under way ends, what waits is dropped.
  impl_->checkpointer.reset();
  impl_->reader.reset();
  impl_->release();
}

const std::optional<Identity>& LmdbStore::identity() const { return impl_->identity; }

const History& LmdbStore::history() const { return impl_->history; }

std::uint64_t LmdbStore::commits_found() const { return impl_->files->commits_found(); }

std::uint64_t LmdbStore::commits() const { return impl_->commits; }

void LmdbStore::write_history(const History& history, std::function<void()> durable) {
  impl_->history = history;
  impl_->enqueue(true, [&](Impl::Pending& pending) {
    pending.transaction.history = history;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

Result<StoreContent> LmdbStore::load() {
  StoreContent content;
  auto txn = impl_->files->lmdb().begin(false);
  if (!txn) return tl::unexpected<Error>(txn.error());
  content.numbers = impl_->readable;
  content.acceptor.chosen_end = content.numbers.chosen_end;

  const auto sealed = txn->get(Table::meta, kPromiseKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (*sealed) {
    if (const auto promised = unseal_promised(**sealed)) {
      content.acceptor.promised = promised->ballot;
    } else {
      content.acceptor.promise_faulty = true;
    }
  }
  Lmdb::Cursor cursor(*txn, Table::sessions);
  for (bool found = cursor.seek(0); found; found = cursor.next()) {
    const auto bytes = unseal(Table::sessions, cursor.key(), cursor.value());
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    auto session = Session::parse(*bytes);
    if (!session) return tl::unexpected<Error>(session.error());
    content.sessions.emplace(SessionId{cursor.key()}, *std::move(session));
  }
  if (!cursor.status()) return tl::unexpected<Error>(cursor.status().error());
  return content;
}

void LmdbStore::write_identity(const Identity& identity, std::function<void()> durable) {
  impl_->identity = identity;
  impl_->enqueue(true, [&](Impl::Pending& pending) {
    pending.transaction.identity = identity;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                            std::function<void()> durable) {
  if (writes.empty()) {
    bool now = false;
    {
      const std::lock_guard lock(impl_->mutex);
      if (!impl_->pending.transaction.votes.empty()) {
        impl_->pending.durable.push_back(std::move(durable));
      } else if (impl_->committing) {
        impl_->after_commit.push_back(std::move(durable));
      } else {
        now = true;
      }
    }
    // Behind the completion of the last commit, should that be posted and not yet run.
    if (now) {
      impl_->loop.post([impl = impl_, durable = std::move(durable)] {
        if (!impl->closed) durable();
      });
    }
    return;
  }
  impl_->enqueue(true, [&](Impl::Pending& pending) {
    pending.transaction.add(std::move(writes));
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_state(StateWrite write) {
  // What is written over a faulty record is read next: from LMDB, which must have it.
  const bool repairs = std::ranges::any_of(write.learned, [this](const paxos::Record& record) {
    return record.slot < impl_->readable.chosen_end;
  });
  impl_->enqueue(repairs, [&](Impl::Pending& pending) {
    pending.transaction.add(std::move(write));
    if (repairs) pending.readable.emplace_back([] {});
  });
}

void LmdbStore::flush() {
  bool wake = false;
  {
    const std::lock_guard lock(impl_->mutex);
    wake = impl_->pending.transaction.state && !impl_->pending.urgent;
    impl_->pending.urgent = impl_->pending.urgent || wake;
  }
  if (wake) impl_->wake_writer();
}

void LmdbStore::let_loop_commit(bool may) { impl_->loop_may_commit = may; }

void LmdbStore::keep_cached(bool keep) { impl_->keep_cached = keep; }

void LmdbStore::commit_now() {
  std::unique_lock lock(impl_->mutex);
  STELE_CHECK(impl_->commit_wanted != nullptr);
  impl_->commit_pending(lock);
}

void LmdbStore::read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                           std::function<void(SlotsRead)> done) {
  impl_->enqueue(true, [&](Impl::Pending& pending) {
    pending.reads.push_back({slot_begin, slot_end, bytes_max, std::move(done), {}});
  });
}

void LmdbStore::read_chosen(Slot slot_begin, std::size_t bytes_max,
                            std::function<void(SlotsRead)> done) {
  const bool lags =
      slot_begin >= impl_->readable.chosen_end && slot_begin < impl_->durable.chosen_end;
  impl_->read(
      lags,
      [values = &impl_->files->values(), slot_begin,
       bytes_max](Lmdb::Txn& txn) -> Result<SlotsRead> {
        const auto numbers = get_numbers(txn);
        if (!numbers) return tl::unexpected<Error>(numbers.error());
        return get_records(txn, *values, slot_begin, numbers->chosen_end, bytes_max);
      },
      std::move(done));
}

void LmdbStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                             std::function<void(EntriesRead)> done) {
  const bool lags = lsn_begin >= impl_->readable.next_lsn && lsn_begin < impl_->durable.next_lsn;
  impl_->read(
      lags,
      [values = &impl_->files->values(), lsn_begin, lsn_end, bytes_max](Lmdb::Txn& txn) {
        return get_entries(txn, *values, lsn_begin, lsn_end, bytes_max);
      },
      std::move(done));
}

Lsn LmdbStore::readable_lsn() const { return impl_->readable.next_lsn; }
std::size_t LmdbStore::backlog_bytes() const { return impl_->backlog; }

void LmdbStore::measure_space() {
  impl_->enqueue_read([impl = impl_] { impl->measure_space(); });
}

Space LmdbStore::space() const {
  return {impl_->used_bytes, impl_->free_space, impl_->kept_bytes, impl_->kept_bytes_max,
          impl_->measured};
}

}  // namespace stele::log
