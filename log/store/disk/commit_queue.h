// Commits what is queued: on the loop, on a thread of its own, one after the other or several at
// once.
#pragma once

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "log/store/disk/commit_pace.h"
#include "log/store/files/store_files.h"
#include "log/store/store.h"
#include "log/store/transaction.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Votes that are read in their place among the writes.
struct VoteRead {
  Slot begin;
  Slot end;
  std::size_t bytes_max;
  std::function<void(SlotsRead)> done;
  SlotsRead result;
};

/// A transaction, and who waits for it.
struct Commit {
  Transaction transaction;
  std::vector<VoteRead> reads;
  std::vector<std::function<void()>> durable;
  std::vector<std::function<void()>> readable;  ///< Wait until it can be read from LMDB.
  bool urgent = false;                          ///< Somebody waits.
  StateNumbers found;                           ///< What can be read from LMDB after it.
  std::uint64_t commits = 0;                    ///< As of StoreFiles, after it.
  FileSync sync;
  bool synced = false;

  /// LMDB is to have it, and all before it, which therefore must be durable.
  [[nodiscard]] bool moves_all() const {
    return !reads.empty() || !readable.empty() || transaction.identity;
  }
};

/// What is queued while commits are under way is the next one. Who waits for one is called on the
/// loop, in the order in which they were queued, once it and all before it are durable. All
/// functions are for the loop's thread, unless something else is said.
class Committer final : public std::enable_shared_from_this<Committer> {
 public:
  struct Hooks {
    /// Instead of threads: a commit is wanted.
    std::function<void()> commit_wanted = {};
    /// A commit is durable; before those are called who wait for it.
    std::function<void(const Commit&)> committed = {};
    /// Any thread: so many bytes have been written.
    std::function<void(std::size_t)> wrote = {};
    /// Any thread, once: a commit has failed, and no other follows.
    std::function<void(Error)> failed = {};
  };

  Committer(StoreFiles files, net::Loop& loop, Hooks hooks);
  /// Unless the hooks want none.
  void start_threads();
  /// Commits what is queued, and ends the threads; without threads, drops what is queued. Nobody is
  /// called any more.
  void stop();

  /// Adds to the next commit by `add(Commit&)`; `urgent`: there is to be one.
  template <class Add>
  void enqueue(bool urgent, Add add) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      const std::size_t before = pending_.transaction.bytes;
      add(pending_);
      backlog_ += pending_.transaction.bytes - before;
      if (waits_for_more_) work_.notify_one();
      wake = (urgent || pending_.transaction.state_bytes > kStateBytesMax) && !pending_.urgent;
      pending_.urgent = pending_.urgent || wake;
    }
    if (wake) wake_writer();
  }
  /// Calls `durable` once everything that is queued is.
  void when_durable(std::function<void()> durable);
  /// There is to be a commit if anything of the learner's waits.
  void flush();
  /// As of Store.
  void let_loop_commit(bool may) { loop_may_commit_ = may; }
  void keep_cached(bool keep) { keep_cached_ = keep; }
  /// Bytes queued or under way.
  [[nodiscard]] std::size_t backlog_bytes() const { return backlog_; }

  /// Without threads: writes what is queued as the next one under way; false if nothing waits, or
  /// it must wait for those.
  bool begin_commit();
  /// Syncs the `index`th under way, 0 for the first one.
  void sync_commit(std::size_t index);
  /// The first one under way is synced, and told of, and so are those after it that are synced.
  /// Returns how many they are.
  std::size_t finish_commit();

  /// Of who commits, but for snapshots and values.
  [[nodiscard]] StoreFiles& files() { return *files_; }
  /// After stop().
  void close_files() { files_.reset(); }
  /// Any thread: no commit from here on.
  void fail(Error error);

 private:
  using Lock = std::unique_lock<std::mutex>;

  /// So much of the learner's writes is committed without waiting for a vote to ride with.
  static constexpr std::size_t kStateBytesMax = 4 << 20;

  void wake_writer();
  void commit_on_loop();
  void write_loop();
  [[nodiscard]] std::optional<Time> begins_at() const;
  [[nodiscard]] bool alone() const { return under_way_.empty() && untold_ == 0; }
  void gather(Lock& lock);
  [[nodiscard]] bool end_told(Lock& lock);
  [[nodiscard]] bool commit_next(Lock& lock);
  [[nodiscard]] bool commit_alone(Lock& lock);
  [[nodiscard]] bool commit_alone(Lock& lock, std::shared_ptr<Commit> commit);
  [[nodiscard]] bool begin(Lock& lock);
  void make_syncers();
  void sync(Commit& commit);
  void on_synced(Commit& commit);
  Result<void> commit(Commit& commit);
  Result<void> read_votes(Commit& commit);
  void fail_locked(Error error);
  void tell(std::shared_ptr<Commit> commit);
  void on_committed(Commit& commit);

  std::optional<StoreFiles> files_;
  net::Loop& loop_;
  Hooks hooks_;
  bool closed_ = false;           // Loop's thread: nobody is called any more.
  bool loop_may_commit_ = false;  // Loop's thread,
  Time loop_pauses_until_{};      // this too,
  std::size_t backlog_ = 0;       // and this.

  std::mutex mutex_;
  std::condition_variable work_;
  Commit pending_;                                   // Guarded by mutex_,
  std::vector<std::function<void()>> after_commit_;  // and waiting for the one that is alone.
  bool committing_ = false;                          // There is one, by the writer or by the loop.
  bool waits_for_more_ = false;                      // The writer does, and nobody else commits.
  std::deque<std::shared_ptr<Commit>> under_way_;    // Several at once, in order.
  std::shared_ptr<Commit> waiting_alone_;            // Without threads: it has nothing beside it.
  std::size_t untold_ = 0;  // Told of, and the files do not know yet that they are durable.
  StateNumbers readable_;   // As of the files.
  CommitPace pace_;
  bool failed_ = false;
  bool stopping_ = false;

  // Who commits.
  Time gather_until_{};
  std::size_t committed_bytes_ = 0;  // By the last commit.
  int without_gathering_ = 0;        // So many more commits do not wait for others.
  std::atomic<bool> keep_cached_{false};

  // None of these without threads.
  std::thread writer_;
  asio::io_context sync_queue_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> syncs_;
  std::vector<std::thread> syncers_;
};

}  // namespace stele::log
