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
#include <optional>
#include <thread>
#include <vector>

#include "log/store/disk/commit.h"
#include "log/store/disk/commit_pace.h"
#include "log/store/disk/gathering.h"
#include "log/store/disk/guarded.h"
#include "log/store/files/store_files.h"
#include "log/store/store.h"
#include "log/store/transaction.h"
#include "net/loop/loop.h"
#include "paxos/base/check.h"

namespace stele::log {

/// Hears of commits.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  /// Loop's thread: a commit is durable. Those who wait for it are called after that.
  virtual void on_committed(const Commit& commit) = 0;
  /// Any thread: so many bytes have been written.
  virtual void on_wrote(std::size_t bytes) = 0;
  /// Any thread, once: a commit has failed, and no other follows.
  virtual void on_commit_failed(Error error) = 0;
};

/// What is queued while commits are under way is the next one. Those that wait for one are called
/// on the loop, in the order in which they were queued, once it and all before it are durable. All
/// functions are for the loop's thread, unless something else is said.
class CommitQueue final : public std::enable_shared_from_this<CommitQueue> {
 public:
  /// `commit_wanted`: called when a commit is wanted, instead of threads. The listener outlives
  /// stop(), the loop what is posted to it.
  CommitQueue(StoreFiles files, net::Loop& loop, CommitListener& listener,
              std::function<void()> commit_wanted);
  /// Without commit_wanted.
  void start_threads();
  /// Commits what is queued, and ends the threads; without threads, drops what is queued. Nobody is
  /// called any more.
  void stop();

  /// Adds to the next commit by `add(Commit&)`; `urgent`: there is to be one.
  template <class Add>
  void enqueue(bool urgent, Add add) {
    bool wake = false;
    {
      auto queue = queue_.lock();
      Commit& pending = queue->pending;
      const std::size_t before = pending.bytes();
      add(pending);
      on_loop_.backlog_bytes += pending.bytes() - before;
      if (queue->waits_for_more) work_.notify_one();
      wake = (urgent || pending.transaction.state_bytes > kStateBytesMax) && !pending.urgent;
      pending.urgent = pending.urgent || wake;
    }
    if (wake) wake_writer();
  }
  /// Calls `durable` once everything that is queued is.
  void when_durable(std::function<void()> durable);
  /// There is to be a commit if anything of the learner's waits.
  void flush();
  /// As of Store::let_loop_commit() and Store::keep_cached().
  void let_loop_commit(bool may) { on_loop_.may_commit = may; }
  void keep_cached(bool keep) { keep_cached_ = keep; }
  /// Bytes queued or under way.
  [[nodiscard]] std::size_t backlog_bytes() const { return on_loop_.backlog_bytes; }

  /// Without threads: writes what is queued as the next one under way; false if nothing waits, or
  /// it must wait for those.
  bool begin_commit();
  /// Syncs the `index`th under way, 0 for the first one.
  void sync_commit(std::size_t index);
  /// The first one under way is synced, and told of, and so are those after it that are synced.
  /// Returns how many they are.
  std::size_t finish_commit();

  /// For what is committing, but for snapshots and values.
  [[nodiscard]] StoreFiles& files() { return *files_; }
  /// After stop().
  void close_files() { files_.reset(); }
  /// Any thread: no commit from here on.
  void fail(Error error);

 private:
  /// The loop's thread alone.
  struct OnLoop {
    bool closed = false;  // Nobody is called any more.
    bool may_commit = false;
    Time pauses_until{};
    std::size_t backlog_bytes = 0;

    void take_off(std::size_t bytes) {
      STELE_CHECK(bytes <= backlog_bytes);
      backlog_bytes -= bytes;
    }
  };

  /// Any thread, under the lock.
  struct Queue {
    Commit pending;
    std::vector<std::function<void()>> after_commit;  // Wait for the commit that is alone.
    bool committing = false;                          // One is alone under way.
    bool waits_for_more = false;                      // The writer does; nothing else commits.
    std::deque<std::shared_ptr<Commit>> under_way;    // Several at once, in order.
    std::shared_ptr<Commit> waiting_alone;            // Without threads: nothing is beside it.
    std::size_t untold = 0;  // Told of; the files do not know yet that they are durable.
    StoredNumbers readable;  // As of the files.
    CommitPace pace;
    Gathering gathering;
    bool failed = false;
    bool stopping = false;

    [[nodiscard]] bool alone() const { return under_way.empty() && untold == 0; }
    [[nodiscard]] std::optional<Time> begins_at() const;
  };
  using Access = Guarded<Queue>::Access;

  /// The writer's thread alone.
  struct OnWriter {
    asio::io_context sync_queue;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> syncs;
    std::vector<std::thread> syncers;
  };

  /// So much of the learner's writes is committed without waiting for a vote to ride with.
  static constexpr std::size_t kStateBytesMax = 4 << 20;

  // The loop's thread.
  void wake_writer();
  void commit_on_loop();
  void on_committed(Commit& commit);
  // The writer's thread.
  void write_loop();
  [[nodiscard]] bool commit_next(Access& queue);
  void gather(Access& queue);
  void make_syncers();
  // Whichever thread commits: there is one at a time.
  [[nodiscard]] bool commit_alone(Access& queue);
  [[nodiscard]] bool commit_alone(Access& queue, std::shared_ptr<Commit> commit);
  Result<void> commit(Commit& commit);
  Result<void> read_votes(Commit& commit);
  [[nodiscard]] bool begin(Access& queue);
  [[nodiscard]] bool end_told(Access& queue);
  // Any thread.
  void sync(Commit& commit);
  void on_synced(Queue& queue, Commit& commit);
  void fail(Queue& queue, Error error);
  void give_up();
  void tell(std::shared_ptr<Commit> commit);

  std::optional<StoreFiles> files_;
  net::Loop& loop_;
  CommitListener& listener_;
  const std::function<void()> commit_wanted_;
  std::atomic<bool> keep_cached_{false};
  OnLoop on_loop_;
  Guarded<Queue> queue_;
  std::condition_variable work_;
  OnWriter on_writer_;
  std::thread writer_;  // Not without threads.
};

}  // namespace stele::log
