#include "log/lmdb_store.h"

#include <sys/statvfs.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "log/lmdb.h"
#include "paxos/check.h"

namespace stele::log {
namespace {

/// So much of the learner's writes is committed without waiting for a vote to ride with.
constexpr std::size_t kStateBytesMax = 4 << 20;

std::size_t bytes_of(const StateWrite& write) {
  std::size_t bytes = 64 + write.rows.size() * 64;
  for (const paxos::Record& record : write.learned) bytes += record.value.size() + kSlotHeaderBytes;
  for (const SessionImage& session : write.sessions) bytes += session.bytes.size() + 16;
  return bytes;
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Result<void> put_record(Lmdb::Txn& txn, const paxos::Record& record) {
  const auto room =
      txn.reserve(Table::slots, record.slot.value, kSlotHeaderBytes + record.value.size());
  if (!room) return tl::unexpected<Error>(room.error());
  write_slot_header(record, room->first<kSlotHeaderBytes>());
  record.value.copy_to(room->data() + kSlotHeaderBytes);
  return {};
}

Result<StateNumbers> get_numbers(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kNumbersKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (!*sealed) return StateNumbers{};
  return unseal_numbers(**sealed);
}

/// Records from `begin` on, below `end`.
Result<SlotsRead> get_records(Lmdb::Txn& txn, Slot begin, Slot end, std::size_t bytes_max) {
  SlotsRead read;
  const auto numbers = get_numbers(txn);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  read.chosen_end = numbers->chosen_end;
  Lmdb::Cursor cursor(txn, Table::slots);
  std::size_t bytes = 0;
  bool found = cursor.seek(begin.value);
  for (; found && Slot{cursor.key()} < end; found = cursor.next()) {
    if (bytes != 0 && bytes + cursor.value().size() > bytes_max) return read;
    bytes += cursor.value().size();
    auto record = read_slot({cursor.key()}, cursor.value());
    if (!record) {
      read.faulty = Slot{cursor.key()};
      return read;
    }
    read.records.push_back(*std::move(record));
  }
  if (!cursor.status()) return tl::unexpected<Error>(cursor.status().error());
  read.last = !found;
  return read;
}

Result<EntriesRead> get_entries(Lmdb::Txn& txn, Lsn begin, Lsn end, std::size_t bytes_max) {
  EntriesRead read;
  read.lsn_begin = begin;
  const auto numbers = get_numbers(txn);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  end = std::min(end, numbers->next_lsn);
  Lmdb::Cursor cursor(txn, Table::index);
  bool found = begin < end && cursor.seek_last_at(begin.value);
  for (; found && read.lsn_end() < end; found = cursor.next()) {
    const auto row = unseal_row({cursor.key()}, cursor.value());
    if (!row) {
      read.fault = row.error().detail;
      return read;
    }
    const auto bytes = txn.get(Table::slots, row->slot.value);
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    const auto record =
        *bytes ? read_slot(row->slot, **bytes)
               : Result<paxos::Record>(
                     fail(Errc::corrupt,
                          "the record slots/" + std::to_string(row->slot.value) + " is missing"));
    if (!record) {
      read.fault = record.error().detail;
      read.faulty_slot = row->slot;
      return read;
    }
    if (!add_entries(record->value, *row, end, bytes_max, read)) return read;
  }
  if (!cursor.status()) return tl::unexpected<Error>(cursor.status().error());
  return read;
}

}  // namespace

struct LmdbStore::Impl : std::enable_shared_from_this<LmdbStore::Impl> {
  struct VoteRead {
    Slot begin;
    Slot end;
    std::size_t bytes_max;
    std::function<void(SlotsRead)> done;
    SlotsRead result;
  };
  /// What the next transaction writes, and who waits for it.
  struct Pending {
    std::optional<Identity> identity;
    std::vector<paxos::Acceptor::Write> votes;
    std::optional<StateWrite> state;
    std::vector<VoteRead> reads;
    std::vector<std::function<void()>> durable;
    std::size_t bytes = 0;
    std::size_t state_bytes = 0;
    bool urgent = false;
  };

  Impl(DataDirectory d, Lmdb l, net::Loop& lp, std::function<void(Error)> f)
      : directory(std::move(d)), lmdb(std::move(l)), loop(lp), on_failure(std::move(f)) {}

  // --- Loop's thread -------------------------------------------------------------------

  /// Adds to the pending transaction; wakes the writer if `urgent`.
  template <class Add>
  void enqueue(bool urgent, Add add) {
    bool wake = false;
    {
      const std::lock_guard lock(mutex);
      const std::size_t before = pending.bytes;
      add(pending);
      backlog += pending.bytes - before;
      wake = (urgent || pending.state_bytes > kStateBytesMax) && !pending.urgent;
      pending.urgent = pending.urgent || wake;
    }
    if (wake) wake_writer();
  }

  void wake_writer() {
    if (commit_wanted) {
      commit_wanted();
    } else {
      work.notify_one();
    }
  }

  // --- Writer thread -------------------------------------------------------------------

  void write_loop() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return pending.urgent || stopping; });
      if (stopping && !pending.urgent && !pending.state) return;
      if (!commit_pending(lock)) return;
    }
  }

  /// Commits what is pending; false if that failed, and the store does nothing any more.
  bool commit_pending(std::unique_lock<std::mutex>& lock) {
    auto batch = std::make_shared<Pending>(std::exchange(pending, {}));
    committing = true;
    lock.unlock();
    const auto committed = commit(*batch);
    lock.lock();
    if (!committed) {
      // What is on the disk is unknown from here on: no acknowledgement leaves any more.
      measure_space();
      Error error = committed.error();
      if (free_space < (1 << 20)) error.detail += " (the disk, or the store's bound, is full)";
      loop.post([self = shared_from_this(), error] {
        if (self->on_failure) self->on_failure(error);
      });
      return false;
    }
    committing = false;
    append(batch->durable, std::exchange(after_commit, {}));
    // The batch goes back to the loop, which alone drops the buffers it shares with the sockets.
    // Posted under the lock, so that no later callback comes before its own.
    loop.post(
        [self = shared_from_this(), batch = std::move(batch)] { self->on_committed(*batch); });
    return true;
  }

  Result<void> commit(Pending& batch) {
    auto txn = lmdb.begin(true);
    if (!txn) return tl::unexpected<Error>(txn.error());
    if (auto written = write(*txn, batch); !written) return written;
    if (auto committed = txn->commit(); !committed) return committed;
    measure_space();
    if (batch.reads.empty()) return {};
    auto snapshot = lmdb.begin(false);
    if (!snapshot) return tl::unexpected<Error>(snapshot.error());
    for (VoteRead& read : batch.reads) {
      const auto numbers = get_numbers(*snapshot);
      if (!numbers) return tl::unexpected<Error>(numbers.error());
      auto records = get_records(*snapshot, std::max(read.begin, numbers->chosen_end), read.end,
                                 read.bytes_max);
      if (!records) return tl::unexpected<Error>(records.error());
      read.result = *std::move(records);
    }
    return {};
  }

  Result<void> write(Lmdb::Txn& txn, const Pending& batch) {
    Result<void> done;
    if (batch.identity) {
      done = txn.put(Table::meta, kIdentityKey, seal_identity(*batch.identity));
    }
    const Promised before = promised;
    for (const paxos::Acceptor::Write& write : batch.votes) {
      if (!done) return done;
      if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
        promised.ballot = std::max(promised.ballot, promise->ballot);
      } else {
        const paxos::Record& record = std::get<paxos::WriteAccepted>(write).record;
        promised.ballot = std::max(promised.ballot, record.ballot);
        done = put_record(txn, record);
      }
    }
    if (done && promised.ballot != before.ballot) {
      done = txn.put(Table::meta, kPromiseKey, seal_promised(promised));
    }
    if (!done || !batch.state) return done;
    // The learner's records come last: a chosen value replaces a vote for another one.
    const StateWrite& state = *batch.state;
    for (const paxos::Record& record : state.learned) {
      if (done) done = put_record(txn, record);
    }
    for (const IndexRow& row : state.rows) {
      if (done) done = txn.put(Table::index, row.first_lsn.value, seal_row(row));
    }
    for (const SessionImage& session : state.sessions) {
      if (!done) break;
      done = session.bytes.empty()
                 ? txn.erase(Table::sessions, session.id.value)
                 : txn.put(Table::sessions, session.id.value,
                           seal(Table::sessions, session.id.value, session.bytes));
    }
    if (done) done = txn.put(Table::meta, kNumbersKey, seal_numbers(state.numbers));
    return done;
  }

  void measure_space() {
    struct statvfs disk {};
    std::uint64_t free_bytes = UINT64_MAX;
    if (::statvfs(directory.path().c_str(), &disk) == 0) {
      free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    }
    const std::uint64_t used = lmdb.used_bytes();
    used_bytes = used;
    free_space = std::min(free_bytes, map_bytes > used ? map_bytes - used : 0);
  }

  /// Closes the files and gives up the lock; callbacks that are still posted find `closed` set.
  void release() {
    lmdb = {};
    const DataDirectory unlocked = std::move(directory);
  }

  // --- Loop's thread again -------------------------------------------------------------

  void on_committed(Pending& batch) {
    backlog -= batch.bytes;
    if (closed) return;
    if (batch.state) durable_lsn = batch.state->numbers.next_lsn;
    for (const auto& durable : batch.durable) durable();
    for (VoteRead& read : batch.reads) read.done(std::move(read.result));
  }

  // --- Reader thread -------------------------------------------------------------------

  void read_loop() {
    std::unique_lock lock(read_mutex);
    while (true) {
      read_work.wait(lock, [&] { return !reads.empty() || stopping_reads; });
      if (stopping_reads) return;
      auto read = std::move(reads.front());
      reads.pop_front();
      lock.unlock();
      read();
      lock.lock();
    }
  }

  /// Runs `get` on a fresh snapshot on the reader thread, then `done` on the loop.
  template <class Get, class Done>
  void read(Get get, Done done) {
    enqueue_read([self = shared_from_this(), get = std::move(get), done = std::move(done)] {
      auto snapshot = self->lmdb.begin(false);
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

  void enqueue_read(std::function<void()> task) {
    if (commit_wanted) return task();
    {
      const std::lock_guard lock(read_mutex);
      reads.push_back(std::move(task));
    }
    read_work.notify_one();
  }

  DataDirectory directory;
  Lmdb lmdb;
  net::Loop& loop;
  std::function<void(Error)> on_failure;
  std::uint64_t map_bytes = 0;
  std::function<void()> commit_wanted;  // Instead of threads.
  std::optional<Identity> identity;
  bool closed = false;      // Loop's thread: no callback any more.
  std::size_t backlog = 0;  // Loop's thread.
  Lsn durable_lsn{1};       // Loop's thread.
  Promised promised;        // Writer thread, once it runs.

  std::mutex mutex;
  std::condition_variable work;
  Pending pending;                                  // Guarded by mutex,
  std::vector<std::function<void()>> after_commit;  // and waiting for the commit under way,
  bool committing = false;
  bool stopping = false;

  std::atomic<std::uint64_t> used_bytes{0};
  std::atomic<std::uint64_t> free_space{UINT64_MAX};

  std::mutex read_mutex;
  std::condition_variable read_work;
  std::deque<std::function<void()>> reads;  // Guarded by read_mutex,
  bool stopping_reads = false;              // this too.

  std::thread writer;
  std::thread reader;
};

LmdbStore::LmdbStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(DataDirectory directory, const Options& options,
                                                   net::Loop& loop,
                                                   std::function<void(Error)> on_failure) {
  const bool fresh = directory.fresh();
  auto lmdb = Lmdb::open(directory.path(), {options.map_bytes, false});
  if (!lmdb) return tl::unexpected<Error>(lmdb.error());
  auto impl =
      std::make_shared<Impl>(std::move(directory), *std::move(lmdb), loop, std::move(on_failure));
  impl->map_bytes = options.map_bytes;
  impl->commit_wanted = options.commit_wanted;
  {
    auto txn = impl->lmdb.begin(false);
    if (!txn) return tl::unexpected<Error>(txn.error());
    const auto sealed = txn->get(Table::meta, kIdentityKey);
    if (!sealed) return tl::unexpected<Error>(sealed.error());
    if (*sealed) {
      auto identity = unseal_identity(**sealed);
      if (!identity) return tl::unexpected<Error>(identity.error());
      impl->identity = *std::move(identity);
    } else if (!fresh) {
      // A first start that was killed before its first commit leaves tables and nothing else.
      Lmdb::Cursor cursor(*txn, Table::slots);
      if (cursor.seek(0)) {
        return fail(Errc::corrupt, impl->directory.path() + " holds slots but no identity");
      }
    }
  }
  impl->measure_space();
  if (!impl->commit_wanted) {
    impl->writer = std::thread([impl] { impl->write_loop(); });
    impl->reader = std::thread([impl] { impl->read_loop(); });
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
  {
    const std::lock_guard lock(impl_->read_mutex);
    impl_->stopping_reads = true;
    impl_->reads.clear();
  }
  impl_->read_work.notify_one();
  if (impl_->writer.joinable()) impl_->writer.join();
  if (impl_->reader.joinable()) impl_->reader.join();
  impl_->release();
}

const std::optional<Identity>& LmdbStore::identity() const { return impl_->identity; }

Result<StoreContent> LmdbStore::load() {
  StoreContent content;
  auto txn = impl_->lmdb.begin(false);
  if (!txn) return tl::unexpected<Error>(txn.error());
  const auto numbers = get_numbers(*txn);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  content.numbers = *numbers;
  content.acceptor.chosen_end = numbers->chosen_end;
  impl_->durable_lsn = numbers->next_lsn;

  const auto sealed = txn->get(Table::meta, kPromiseKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (*sealed) {
    if (const auto promised = unseal_promised(**sealed)) {
      content.acceptor.promised = promised->ballot;
      impl_->promised = *promised;  // The writer thread has not been given anything yet.
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
    pending.identity = identity;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                            std::function<void()> durable) {
  if (writes.empty()) {
    bool now = false;
    {
      const std::lock_guard lock(impl_->mutex);
      if (!impl_->pending.votes.empty()) {
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
    for (const paxos::Acceptor::Write& write : writes) {
      pending.bytes += kSlotHeaderBytes;
      if (const auto* accepted = std::get_if<paxos::WriteAccepted>(&write)) {
        pending.bytes += accepted->record.value.size();
      }
    }
    append(pending.votes, std::move(writes));
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_state(StateWrite write) {
  impl_->enqueue(false, [&](Impl::Pending& pending) {
    const std::size_t bytes = bytes_of(write);
    pending.bytes += bytes;
    pending.state_bytes += bytes;
    if (!pending.state) {
      pending.state = std::move(write);
      return;
    }
    pending.state->numbers = write.numbers;
    append(pending.state->learned, std::move(write.learned));
    append(pending.state->rows, std::move(write.rows));
    append(pending.state->sessions, std::move(write.sessions));
  });
}

void LmdbStore::flush() {
  bool wake = false;
  {
    const std::lock_guard lock(impl_->mutex);
    wake = impl_->pending.state && !impl_->pending.urgent;
    impl_->pending.urgent = impl_->pending.urgent || wake;
  }
  if (wake) impl_->wake_writer();
}

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
  impl_->read(
      [slot_begin, bytes_max](Lmdb::Txn& txn) -> Result<SlotsRead> {
        const auto numbers = get_numbers(txn);
        if (!numbers) return tl::unexpected<Error>(numbers.error());
        return get_records(txn, slot_begin, numbers->chosen_end, bytes_max);
      },
      std::move(done));
}

void LmdbStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                             std::function<void(EntriesRead)> done) {
  impl_->read([lsn_begin, lsn_end, bytes_max](
                  Lmdb::Txn& txn) { return get_entries(txn, lsn_begin, lsn_end, bytes_max); },
              std::move(done));
}

Lsn LmdbStore::durable_lsn() const { return impl_->durable_lsn; }
std::size_t LmdbStore::backlog_bytes() const { return impl_->backlog; }

void LmdbStore::measure_space() {
  impl_->enqueue_read([impl = impl_] { impl->measure_space(); });
}

Space LmdbStore::space() const { return {impl_->used_bytes, impl_->free_space}; }

}  // namespace stele::log
