#include "log/store/disk/disk_store.h"

#include <algorithm>
#include <utility>

#include "log/store/disk/disk_store_impl.h"
#include "log/store/files/table_reads.h"

namespace stele::log {
namespace {

/// With less than that left, nothing is kept to be written over.
constexpr std::uint64_t kSparesFreeBytes = 1 << 30;

}  // namespace

Result<void> LmdbStore::Impl::load_identity(bool fresh) {
  auto txn = files().lmdb().begin(false);
  if (!txn) return forward(txn);
  auto found = get_identity(*txn);
  if (!found) return forward(found);
  identity = *std::move(found);
  auto found_history = get_history(*txn);
  if (!found_history) return forward(found_history);
  history = *std::move(found_history);
  if (identity || fresh) return {};
  // A first start that was killed before its first commit leaves tables and nothing else.
  Lmdb::Cursor cursor(*txn, Table::slots);
  if (cursor.seek(0)) return fail(Errc::corrupt, directory.path() + " holds slots but no identity");
  return {};
}

Result<bool> LmdbStore::Impl::trimmed(Slot slot) {
  auto txn = files().lmdb().begin(false);
  if (!txn) return forward(txn);
  const auto numbers = get_numbers(*txn);
  if (!numbers) return forward(numbers);
  return slot < numbers->holding.first_slot;
}

LmdbStore::LmdbStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(DataDirectory directory, const Options& options,
                                                   net::Loop& loop,
                                                   std::function<void(Error)> on_failure) {
  const bool fresh = directory.fresh();
  auto files = StoreFiles::open(directory.path(), options.files);
  if (!files) return forward(files);
  auto impl = std::make_shared<Impl>(std::move(directory), *std::move(files), options, loop,
                                     std::move(on_failure));
  if (const auto known = impl->load_identity(fresh); !known) return forward(known);
  impl->space.measure();
  if (!options.commit_wanted) impl->start_threads();
  impl->snapshots->erase_what_is_replaced();  // A process before this one may not have come to it.
  return std::unique_ptr<LmdbStore>(new LmdbStore(std::move(impl)));
}

LmdbStore::~LmdbStore() { impl_->stop(); }

const std::optional<Identity>& LmdbStore::identity() const { return impl_->identity; }

const History& LmdbStore::history() const { return impl_->history; }

std::uint64_t LmdbStore::commits_found() const { return impl_->files().commits_found(); }

std::uint64_t LmdbStore::commits() const { return impl_->commits; }

void LmdbStore::write_history(const History& history, std::function<void()> durable) {
  impl_->history = history;
  impl_->queue->enqueue(true, [&](Commit& pending) {
    pending.transaction.history = history;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

Result<StoreContent> LmdbStore::load() {
  StoreContent content;
  auto txn = impl_->files().lmdb().begin(false);
  if (!txn) return forward(txn);
  content.numbers = impl_->readable.state;
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
  impl_->queue->enqueue(true, [&](Commit& pending) {
    pending.transaction.identity = identity;
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                            std::function<void()> durable) {
  if (writes.empty()) return impl_->queue->when_durable(std::move(durable));
  impl_->queue->enqueue(true, [&](Commit& pending) {
    pending.transaction.add(std::move(writes));
    if (durable) pending.durable.push_back(std::move(durable));
  });
}

void LmdbStore::write_state(StateWrite write) {
  // What is written over a faulty record is read next: from LMDB, which must have it.
  const bool repairs = std::ranges::any_of(write.learned, [this](const paxos::SlotRecord& record) {
    return record.slot < impl_->readable.state.chosen_end;
  });
  impl_->queue->enqueue(repairs, [&](Commit& pending) { pending.add(std::move(write), repairs); });
}

void LmdbStore::write_trim(const TrimWrite& write) {
  STELE_CHECK(write.slot_end <= impl_->readable.state.chosen_end);
  impl_->queue->enqueue(false, [&](Commit& pending) { pending.transaction.add(write); });
}

void LmdbStore::flush() { impl_->queue->flush(); }

void LmdbStore::settle() {
  impl_->queue->enqueue(true, [](Commit& pending) { pending.readable.emplace_back([] {}); });
}

void LmdbStore::let_loop_commit(bool may) { impl_->queue->let_loop_commit(may); }

void LmdbStore::keep_cached(bool keep) { impl_->queue->keep_cached(keep); }

bool LmdbStore::begin_commit() { return impl_->queue->begin_commit(); }
void LmdbStore::sync_commit(std::size_t index) { impl_->queue->sync_commit(index); }
std::string LmdbStore::check() const { return impl_->files().check(); }
std::size_t LmdbStore::finish_commit() { return impl_->queue->finish_commit(); }

void LmdbStore::read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                           std::function<void(SlotsRead)> done) {
  impl_->queue->enqueue(true, [&](Commit& pending) {
    pending.reads.push_back({slot_begin, slot_end, bytes_max, std::move(done), {}});
  });
}

void LmdbStore::peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                           std::function<void(SlotsRead)> done) {
  const auto get = [impl = impl_.get(), slot_begin, slot_end, bytes_max](Lmdb::Txn& txn) {
    return get_records(txn, impl->files().values(), slot_begin, slot_end, bytes_max, true);
  };
  impl_->read(false, get, std::move(done));
}

void LmdbStore::read_chosen(Slot slot_begin, std::size_t bytes_max,
                            std::function<void(SlotsRead)> done) {
  const bool lags = impl_->lags(slot_begin);
  impl_->read(
      lags,
      [impl = impl_.get(), slot_begin, bytes_max](Lmdb::Txn& txn) -> Result<SlotsRead> {
        const auto numbers = get_numbers(txn);
        if (!numbers) return forward(numbers);
        auto read = get_records(txn, impl->files().values(), slot_begin, numbers->state.chosen_end,
                                bytes_max);
        if (!read || !read->faulty) return read;
        const auto trimmed = impl->trimmed(*read->faulty);
        if (!trimmed) return forward(trimmed);
        if (*trimmed) read->faulty.reset();
        return read;
      },
      std::move(done));
}

void LmdbStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                             std::function<void(EntriesRead)> done) {
  const StoredNumbers& readable = impl_->readable;
  const StoredNumbers& durable = impl_->durable;
  // Applied, or copied.
  const bool lags =
      (lsn_begin >= readable.state.next_lsn && lsn_begin < durable.state.next_lsn) ||
      (lsn_begin < readable.holding.entries_begin && lsn_begin >= durable.holding.entries_begin);
  impl_->read(
      lags,
      [impl = impl_.get(), lsn_begin, lsn_end, bytes_max](Lmdb::Txn& txn) -> Result<EntriesRead> {
        auto read = get_entries(txn, impl->files().values(), lsn_begin, lsn_end, bytes_max);
        if (!read || !read->faulty_slot) return read;
        const auto trimmed = impl->trimmed(*read->faulty_slot);
        if (!trimmed) return forward(trimmed);
        if (*trimmed) {
          read->faulty_slot.reset();
          read->fault.reset();
        }
        return read;
      },
      std::move(done));
}

void LmdbStore::read_rows(std::vector<RowKey> keys, std::function<void(std::vector<Row>)> done) {
  impl_->read(
      false, [keys = std::move(keys)](Lmdb::Txn& txn) { return get_rows(txn, keys); },
      std::move(done));
}

void LmdbStore::find_run(std::function<bool(const RunRow&)> reached,
                         std::function<void(std::optional<RunRow>)> done) {
  impl_->read(
      false,
      [reached = std::move(reached)](Lmdb::Txn& txn) { return stele::log::find_run(txn, reached); },
      std::move(done));
}

void LmdbStore::read_run(std::uint64_t run, Slot slot_end, std::function<void(RunRead)> done) {
  impl_->read(
      impl_->lags(begin_of_run(run)),
      [run, slot_end](Lmdb::Txn& txn) { return get_run(txn, run, slot_end); }, std::move(done));
}

void LmdbStore::write_copy(CopyWrite write) {
  impl_->queue->enqueue(false, [&](Commit& pending) { pending.transaction.add(std::move(write)); });
}

const StateNumbers& LmdbStore::readable() const { return impl_->readable.state; }
const SnapshotReport& LmdbStore::snapshots() const { return impl_->snapshots->report(); }

bool LmdbStore::keep_snapshots(const std::set<Slot>& slots) {
  return impl_->snapshots->keep(slots);
}

void LmdbStore::read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                              std::function<void(std::vector<std::byte>)> done) {
  impl_->snapshots->read(slot, digest, part, std::move(done));
}

void LmdbStore::begin_fetch(SnapshotManifest manifest,
                            std::function<void(Result<std::size_t>)> done) {
  impl_->snapshots->begin_fetch(std::move(manifest), std::move(done));
}

void LmdbStore::add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) {
  impl_->snapshots->add_piece(std::move(piece), std::move(done));
}

void LmdbStore::install(Slot slot, CheckState check, std::function<void(Result<void>)> done) {
  const auto switch_over = [impl = impl_.get(), done](const Result<InstallWrite>& staged) {
    if (!staged) return done(forward(staged));
    impl->queue->enqueue(true, [&](Commit& next) {
      next.transaction.add(*staged);
      next.readable.push_back([impl, done] {
        done({});
        impl->snapshots->erase_what_is_replaced();
      });
    });
  };
  impl_->snapshots->stage(slot, std::move(check), switch_over);
}

const Holding& LmdbStore::holding() const { return impl_->durable.holding; }
std::size_t LmdbStore::backlog_bytes() const { return impl_->queue->backlog_bytes(); }

void LmdbStore::measure_space() {
  impl_->reader->enqueue([impl = impl_] {
    impl->space.measure();
    if (impl->space.measured_free_bytes() >= kSparesFreeBytes) return;
    impl->files().drop_spares();
  });
}

Space LmdbStore::space() const { return impl_->space.space(); }

}  // namespace stele::log
