#include "log/store_files.h"

#include <optional>
#include <random>
#include <string>
#include <utility>

#include "log/table_reads.h"

namespace stele::log {
namespace {

std::string journal_path(const std::string& directory) { return directory + "/journal"; }

Result<std::optional<JournalMark>> get_mark(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kJournalKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (!*sealed) return std::optional<JournalMark>();
  const auto mark = unseal_journal_mark(**sealed);
  if (!mark) return tl::unexpected<Error>(mark.error());
  return std::optional(*mark);
}

std::uint64_t random_id() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

/// A store of another format must not be changed.
Result<void> check_format(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kIdentityKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (!*sealed) return {};
  const auto identity = unseal_identity(**sealed);
  if (!identity) return tl::unexpected<Error>(identity.error());
  return {};
}

}  // namespace

Result<std::vector<std::vector<std::byte>>> read_journal(const std::string& directory,
                                                         Lmdb::Txn& txn) {
  const auto mark = get_mark(txn);
  if (!mark) return tl::unexpected<Error>(mark.error());
  if (!*mark) return std::vector<std::vector<std::byte>>();
  const auto journal = Journal::open(journal_path(directory), (*mark)->id);
  if (!journal) return tl::unexpected<Error>(journal.error());
  return journal->read((*mark)->applied);
}

Result<StoreFiles> StoreFiles::open(const std::string& directory, const Options& options) {
  auto lmdb = Lmdb::open(directory, {options.map_bytes, false});
  if (!lmdb) return tl::unexpected<Error>(lmdb.error());
  auto txn = lmdb->begin(true);
  if (!txn) return tl::unexpected<Error>(txn.error());
  if (const auto known = check_format(*txn); !known) return tl::unexpected<Error>(known.error());
  const auto found = get_mark(*txn);
  if (!found) return tl::unexpected<Error>(found.error());

  // A journal that the tables do not know yet has never held anything.
  JournalMark mark = found->value_or(JournalMark{random_id(), 0});
  const std::string path = journal_path(directory);
  auto journal =
      *found ? Journal::open(path, mark.id) : Journal::create(path, mark.id, options.journal_bytes);
  if (!journal) return tl::unexpected<Error>(journal.error());
  const auto records = journal->read(mark.applied);
  if (!records) return tl::unexpected<Error>(records.error());
  for (const std::vector<std::byte>& record : *records) {
    if (const auto done = apply_redo(record, *txn); !done)
      return tl::unexpected<Error>(done.error());
  }
  // One number is left out: it may stand on a record that was torn, and must not be used again.
  mark.applied += records->size() + 1;
  auto done = txn->put(Table::meta, kJournalKey, seal_journal_mark(mark));
  if (done) done = txn->commit();
  if (!done) return tl::unexpected<Error>(done.error());

  StoreFiles files(*std::move(lmdb), *std::move(journal), options);
  files.mark_ = mark;
  files.number_ = mark.applied;
  auto snapshot = files.lmdb_.begin(false);
  if (!snapshot) return tl::unexpected<Error>(snapshot.error());
  const auto numbers = get_numbers(*snapshot);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  files.durable_ = files.readable_ = *numbers;
  const auto sealed = snapshot->get(Table::meta, kPromiseKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  // A promise that cannot be read makes the node one that never votes: nothing follows it.
  if (*sealed) files.promised_ = unseal_promised(**sealed).value_or(Promised{});
  return files;
}

Result<void> StoreFiles::commit(const Transaction& transaction, bool readable) {
  const bool small = transaction.bytes <= options_.journaled_bytes_max && !transaction.identity;
  if (small && !readable) {
    if (transaction.empty()) return {};
    const auto journaled = commit_to_journal(transaction);
    if (!journaled) return tl::unexpected<Error>(journaled.error());
    if (*journaled) return {};
  }
  return commit_to_lmdb(transaction);
}

Result<void> StoreFiles::checkpoint() {
  return journaled_.empty() ? Result<void>{} : commit_to_lmdb({});
}

Result<bool> StoreFiles::commit_to_journal(const Transaction& transaction) {
  redo_.clear();
  Promised promised = promised_;
  if (const auto written = write(transaction, promised, redo_); !written) {
    return tl::unexpected<Error>(written.error());
  }
  if (!journal_.fits(redo_.bytes().size())) return false;
  if (const auto done = journal_.append(number_ + 1, redo_.bytes()); !done) {
    return tl::unexpected<Error>(done.error());
  }
  ++number_;
  journaled_.insert(journaled_.end(), redo_.bytes().begin(), redo_.bytes().end());
  promised_ = promised;
  if (transaction.state) durable_ = transaction.state->numbers;
  return true;
}

Result<void> StoreFiles::commit_to_lmdb(const Transaction& transaction) {
  auto txn = lmdb_.begin(true);
  if (!txn) return tl::unexpected<Error>(txn.error());
  auto done = apply_redo(journaled_, *txn);
  if (done) done = write(transaction, promised_, *txn);
  if (done && number_ != mark_.applied) {
    mark_.applied = number_;
    done = txn->put(Table::meta, kJournalKey, seal_journal_mark(mark_));
  }
  if (done) done = txn->commit();
  if (!done) return done;
  journal_.restart();
  journaled_.clear();
  if (transaction.state) durable_ = transaction.state->numbers;
  readable_ = durable_;
  return {};
}

std::uint64_t StoreFiles::used_bytes() const { return lmdb_.used_bytes() + journal_.size(); }

}  // namespace stele::log
