#include "log/store/disk/disk_store.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <atomic>
#include <utility>

#include "log/store/disk/commit_queue.h"
#include "log/store/files/table_reads.h"

namespace stele::log {
namespace {

/// So much is written before the disk's free space is looked at again.
constexpr std::size_t kUnmeasuredBytesMax = 64 << 10;

}  // namespace

struct LmdbStore::Impl : std::enable_shared_from_this<LmdbStore::Impl> {
  Impl(DataDirectory d, StoreFiles f, net::Loop& lp, std::function<void(Error)> on_fail,
       std::function<void()> commit_wanted)
      : directory(std::move(d)),
        loop(lp),
        on_failure(std::move(on_fail)),
        commits(f.commits_found()),
        durable(f.readable()),
        readable(f.readable()),
        threads(commit_wanted == nullptr) {
    Committer::Hooks hooks;
    hooks.commit_wanted = std::move(commit_wanted);
    hooks.committed = [this](const Commit& commit) { on_committed(commit); };
    hooks.wrote = [this](std::size_t bytes) { on_wrote(bytes); };
    hooks.failed = [this](Error error) { on_failed(std::move(error)); };
    committer = std::make_shared<Committer>(std::move(f), lp, std::move(hooks));
  }

  // --- The committing thread -----------------------------------------------------------------

  void on_wrote(std::size_t bytes) {
    used_bytes = files().used_bytes();
    unmeasured_bytes += bytes;
    if (unmeasured_bytes >= kUnmeasuredBytesMax) measure_space();
  }

  void on_failed(Error error) {
    failed = true;
    // As it was measured last: a disk that has failed may not answer.
    if (free_space < (1 << 20)) error.detail += " (the disk, or the store's bound, is full)";
    loop.post([self = shared_from_this(), error = std::move(error)] {
      if (self->on_failure && !self->closed) self->on_failure(error);
    });
  }

  /// Any thread; what the store itself uses is known by the last commit.
  void measure_space() {
    unmeasured_bytes = 0;
    const std::uint64_t wants = files().reserve().wants();
    struct statvfs disk {};
    std::uint64_t free_bytes = UINT64_MAX;
    if (::statvfs(directory.path().c_str(), &disk) == 0) {
      free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    }
    if (!failed) files().reserve().refill(free_bytes, wants);
    const std::uint64_t used = used_bytes;
    const std::uint64_t map_left = map_bytes > used ? map_bytes - used : 0;
    free_space = std::min(free_bytes, map_left);
    // Of no use against the store's own bound.
    kept_bytes = free_bytes <= map_left ? files().reserve().held_bytes() : 0;
    ++measured;
  }

  /// Closes the files and gives up the lock; callbacks that are still posted find `closed` set.
  void release() {
    committer->close_files();
    const DataDirectory unlocked = std::move(directory);
  }

  [[nodiscard]] StoreFiles& files() { return committer->files(); }

  // --- Loop's thread -------------------------------------------------------------------

  void on_committed(const Commit& commit) {
    if (commit.transaction.state) durable = commit.transaction.state->numbers;
    readable = commit.found;
    commits = commit.commits;
  }

  // --- Reader thread -------------------------------------------------------------------

  /// Runs `get` on a fresh snapshot on the reader thread, then `done` on the loop. If `lags`, what
  /// is durable is moved to where it can be read first.
  template <class Get, class Done>
  void read(bool lags, Get get, Done done) {
    if (lags) {
      committer->enqueue(true, [&](Commit& next) {
        next.readable.push_back(
            [this, get = std::move(get), done = std::move(done)] { read(false, get, done); });
      });
      return;
    }
    enqueue_read([self = shared_from_this(), get = std::move(get), done = std::move(done)] {
      auto snapshot = self->files().lmdb().begin(false);
      auto result = snapshot ? get(*snapshot) : forward(snapshot);
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
  std::shared_ptr<Committer> committer;
  net::Loop& loop;
  std::function<void(Error)> on_failure;
  std::uint64_t map_bytes = 0;
  std::vector<SectionTable> sections;
  std::optional<Identity> identity;
  History history;
  bool closed = false;    // Loop's thread: no callback any more.
  std::uint64_t commits;  // Loop's thread: the last one,
  StateNumbers durable;   // and what is durable with it,
  StateNumbers readable;  // and what of that can be read from LMDB.
  bool threads;

  std::atomic<bool> failed{false};
  std::atomic<std::uint64_t> used_bytes{0};
  std::atomic<std::uint64_t> free_space{UINT64_MAX};
  std::atomic<std::uint64_t> kept_bytes{0};
  std::atomic<std::uint64_t> measured{0};
  std::uint64_t kept_bytes_max = 0;
  std::atomic<std::uint64_t> unmeasured_bytes{0};

  // None of these without threads.
  std::optional<asio::thread_pool> reader;
  std::optional<asio::thread_pool> checkpointer;
};

LmdbStore::LmdbStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(DataDirectory directory, const Options& options,
                                                   net::Loop& loop,
                                                   std::function<void(Error)> on_failure) {
  const bool fresh = directory.fresh();
  auto files = StoreFiles::open(directory.path(), options.files);
  if (!files) return forward(files);
  auto impl = std::make_shared<Impl>(std::move(directory), *std::move(files), loop,
                                     std::move(on_failure), options.commit_wanted);
  impl->map_bytes = options.files.map_bytes;
  impl->sections = options.files.sections;
  {
    auto txn = impl->files().lmdb().begin(false);
    if (!txn) return forward(txn);
    const auto sealed = txn->get(Table::meta, kIdentityKey);
    if (!sealed) return forward(sealed);
    if (*sealed) {
      auto identity = unseal_identity(**sealed);
      if (!identity) return forward(identity);
      impl->identity = *std::move(identity);
    }
    const auto history = txn->get(Table::meta, kHistoryKey);
    if (!history) return forward(history);
    if (*history) {
      auto known = unseal_history(**history);
      if (!known) return forward(known);
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
  impl->used_bytes = impl->files().used_bytes();
  impl->kept_bytes_max = options.files.reserve_bytes;
  impl->measure_space();
  if (impl->threads) {
    impl->reader.emplace(1);
    impl->checkpointer.emplace(1);
    impl->files().on_checkpoint_begun([raw = impl.get()] {
      asio::post(*raw->checkpointer, [raw] {
        if (const auto done = raw->files().run_checkpoint(); !done) {
          raw->committer->fail(done.error());
        }
      });
    });
    impl->committer->start_threads();
  }
  return std::unique_ptr<LmdbStore>(new LmdbStore(std::move(impl)));
}

LmdbStore::~LmdbStore() {
  impl_->closed = true;
  impl_->committer->stop();
  // What is under way ends, what waits is dropped.
  impl_->checkpointer.reset();
  impl_->reader.reset();
  impl_->release();
}

const std::optional<Identity>& LmdbStore::identity() const { return impl_->identity; }

const History& LmdbStore::history() const { return impl_->history; }

std::uint64_t LmdbStore::commits_found() const { return impl_->files().commits_found(); }

std::uint64_t LmdbStore::commits() const { return impl_->commits; }

void LmdbStore::write_history(const History& history, std::function<void()> durable) {
  impl_->history = history;
  impl_->committer->enqueue(true, [&](Commit& pending) {
    pending.transaction.history = history;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

Result<StoreContent> LmdbStore::load() {
  StoreContent content;
  auto txn = impl_->files().lmdb().begin(false);
  if (!txn) return forward(txn);
  content.numbers = impl_->readable;
  content.acceptor.chosen_end = content.numbers.chosen_end;

  const auto sealed = txn->get(Table::meta, kPromiseKey);
  if (!sealed) return forward(sealed);
  if (*sealed) {
    if (const auto promised = unseal_promised(**sealed)) {
      content.acceptor.promised = promised->ballot;
    } else {
      content.acceptor.promise_faulty = true;
    }
  }
  auto rows = get_rows(*txn, impl_->sections);
  if (!rows) return forward(rows);
  content.rows = *std::move(rows);
  return content;
}

void LmdbStore::write_identity(const Identity& identity, std::function<void()> durable) {
  impl_->identity = identity;
  impl_->committer->enqueue(true, [&](Commit& pending) {
    pending.transaction.identity = identity;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                            std::function<void()> durable) {
  if (writes.empty()) return impl_->committer->when_durable(std::move(durable));
  impl_->committer->enqueue(true, [&](Commit& pending) {
    pending.transaction.add(std::move(writes));
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_state(StateWrite write) {
  // What is written over a faulty record is read next: from LMDB, which must have it.
  const bool repairs = std::ranges::any_of(write.learned, [this](const paxos::SlotRecord& record) {
    return record.slot < impl_->readable.chosen_end;
  });
  impl_->committer->enqueue(repairs, [&](Commit& pending) {
    pending.transaction.add(std::move(write));
    if (repairs) pending.readable.emplace_back([] {});
  });
}

void LmdbStore::flush() { impl_->committer->flush(); }

void LmdbStore::let_loop_commit(bool may) { impl_->committer->let_loop_commit(may); }

void LmdbStore::keep_cached(bool keep) { impl_->committer->keep_cached(keep); }

bool LmdbStore::begin_commit() { return impl_->committer->begin_commit(); }
void LmdbStore::sync_commit(std::size_t index) { impl_->committer->sync_commit(index); }
std::size_t LmdbStore::finish_commit() { return impl_->committer->finish_commit(); }

void LmdbStore::read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                           std::function<void(SlotsRead)> done) {
  impl_->committer->enqueue(true, [&](Commit& pending) {
    pending.reads.push_back({slot_begin, slot_end, bytes_max, std::move(done), {}});
  });
}

void LmdbStore::read_chosen(Slot slot_begin, std::size_t bytes_max,
                            std::function<void(SlotsRead)> done) {
  const bool lags =
      slot_begin >= impl_->readable.chosen_end && slot_begin < impl_->durable.chosen_end;
  impl_->read(
      lags,
      [values = &impl_->files().values(), slot_begin,
       bytes_max](Lmdb::Txn& txn) -> Result<SlotsRead> {
        const auto numbers = get_numbers(txn);
        if (!numbers) return forward(numbers);
        return get_records(txn, *values, slot_begin, numbers->chosen_end, bytes_max);
      },
      std::move(done));
}

void LmdbStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                             std::function<void(EntriesRead)> done) {
  const bool lags = lsn_begin >= impl_->readable.next_lsn && lsn_begin < impl_->durable.next_lsn;
  impl_->read(
      lags,
      [values = &impl_->files().values(), lsn_begin, lsn_end, bytes_max](Lmdb::Txn& txn) {
        return get_entries(txn, *values, lsn_begin, lsn_end, bytes_max);
      },
      std::move(done));
}

void LmdbStore::read_rows(std::vector<RowKey> keys, std::function<void(std::vector<Row>)> done) {
  impl_->read(
      false, [keys = std::move(keys)](Lmdb::Txn& txn) { return get_rows(txn, keys); },
      std::move(done));
}

const StateNumbers& LmdbStore::readable() const { return impl_->readable; }
std::size_t LmdbStore::backlog_bytes() const { return impl_->committer->backlog_bytes(); }

void LmdbStore::measure_space() {
  impl_->enqueue_read([impl = impl_] { impl->measure_space(); });
}

Space LmdbStore::space() const {
  // A write has found the disk full since it was measured.
  const bool full = impl_->files().reserve().wanted();
  return {impl_->used_bytes, full ? 0 : impl_->free_space.load(), impl_->kept_bytes,
          impl_->kept_bytes_max, impl_->measured};
}

}  // namespace stele::log
