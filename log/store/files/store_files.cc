#include "log/store/files/store_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "log/store/files/store_parts.h"
#include "log/store/files/table_reads.h"
#include "net/wire/digest.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

bool exists(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none);
}

/// LMDB may lag by so many times its bound rather than keep commits waiting.
constexpr std::uint64_t kLackingMost = 8;

Result<std::optional<JournalMark>> get_mark(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kJournalKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return std::optional<JournalMark>();
  const auto mark = unseal_journal_mark(**sealed);
  if (!mark) return forward(mark);
  return std::optional(*mark);
}

std::uint64_t random_id() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

/// A store of another format, or of another node, must not be changed.
Result<void> check_identity(Lmdb::Txn& txn, NodeId node) {
  const auto sealed = txn.get(Table::meta, kIdentityKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return {};
  const auto identity = unseal_identity(**sealed);
  if (!identity) return forward(identity);
  // Before birth nothing is lost if it becomes another one.
  if (node != NodeId{} && identity->node != node && !identity->members.empty()) {
    return fail(Errc::foreign_directory, "the data directory belongs to node " +
                                             std::to_string(identity->node.value) +
                                             ", this is node " + std::to_string(node.value));
  }
  return {};
}

/// Whether the values of a record reached the disk, all of them.
bool whole(const FoundRecord& record) {
  const std::uint64_t record_begin =
      record.end - whole_pages(kRecordHeadBytes + record.values.size() + record.redo.size());
  auto redo = record.redo;
  while (!redo.empty()) {
    const auto change = next_change(redo);
    if (!change) return false;
    if (change->table != Table::slots || change->kind != Change::Kind::put) continue;
    const auto header = read_slot_header({change->key}, change->value);
    if (!header) return false;
    if (header->place.segment == 0) continue;
    const std::uint64_t at = header->place.offset - record_begin - kRecordHeadBytes;
    if (at > record.values.size() || header->value_bytes > record.values.size() - at) return false;
    const auto value = record.values.subspan(at, header->value_bytes);
    if (net::value_digest(value) != header->digest) return false;
  }
  return true;
}

/// As of Transaction::counts.
bool counts(std::span<const std::byte> redo) {
  while (!redo.empty()) {
    const auto change = next_change(redo);
    if (!change) return false;
    if (change->table != Table::meta || change->key != kHistoryKey) return true;
  }
  return false;
}

/// Sorts, and leaves out the last ones, from the first on that did not reach the disk as a whole:
/// they were written before that was known to be durable, and nobody has been told of them.
Result<void> put_in_order(std::vector<FoundRecord>& records, std::uint64_t applied) {
  std::ranges::sort(records, {}, &FoundRecord::number);
  std::uint64_t durable = applied;
  for (const FoundRecord& record : records) durable = std::max(durable, record.durable);
  std::size_t count = 0;
  for (; count < records.size(); ++count) {
    const FoundRecord& record = records[count];
    if (record.number != applied + count + 1) break;
    if (record.number > durable && !whole(record)) break;
  }
  if (applied + count < durable) {
    return fail(Errc::corrupt, "the journal has record " + std::to_string(records.back().number) +
                                   ", but record " + std::to_string(applied + count + 1) +
                                   " before it is damaged");
  }
  records.resize(count);
  return {};
}

/// A record that a killed process left in the page cache counts from now on: its values must not be
/// lost any more when LMDB says where they are.
Result<void> sync_segments(const std::string& directory, ValuePlace at) {
  if (at.segment == 0) at = {1, 0};
  for (; exists(segment_path(directory, at.segment)); at = {at.segment + 1, 0}) {
    auto file = DirectFile::open(segment_path(directory, at.segment), false);
    if (!file) return forward(file);
    if (auto done = file->sync(); !done) return done;
  }
  return {};
}

/// Whole pages of a segment from `at` on.
Result<Slice> read_segment(const std::string& directory, ValuePlace at) {
  std::error_code error;
  const auto size = std::filesystem::file_size(segment_path(directory, at.segment), error);
  if (error) return fail(Errc::corrupt, segment_path(directory, at.segment) + " is missing");
  const std::uint64_t end = size / kPageBytes * kPageBytes;
  if (at.offset >= end) return Slice{};
  return ValueReader(directory, /*believes_cache=*/false).read(at, end - at.offset);
}

}  // namespace

Result<Journaled> read_journaled(const std::string& directory, Lmdb::Txn& txn) {
  Journaled journaled;
  const auto mark = get_mark(txn);
  if (!mark) return forward(mark);
  if (!*mark) {
    if (auto unused = check_unused(directory, txn); !unused) {
      return forward(unused);
    }
    return journaled;
  }
  const auto [id, applied, values_end, commits] = **mark;
  // It is made before there is an identity.
  const auto identity = txn.get(Table::meta, kIdentityKey);
  if (!identity) return forward(identity);
  if (std::error_code none;
      *identity && !std::filesystem::is_directory(values_directory(directory), none)) {
    return fail(Errc::corrupt, values_directory(directory) + " is missing");
  }
  const std::string path = journal_path(directory);
  auto journal = MappedFile::open(path);
  if (!journal) return forward(journal);
  if (const auto known = check_journal(journal->bytes(), path, id); !known) {
    return forward(known);
  }
  const auto pages = journal->bytes().subspan(std::min(journal->bytes().size(), kPageBytes));
  find_records(pages, 0, kPageBytes, id, applied, journaled.records);
  journaled.journal.emplace(*std::move(journal));
  if (auto there = check_segments(directory, values_end, id); !there) {
    return forward(there);
  }
  ValuePlace at = values_end;
  if (at.segment == 0) at = {1, 0};
  for (; at.offset != 0 || exists(segment_path(directory, at.segment)); at = {at.segment + 1, 0}) {
    auto segment = read_segment(directory, at);
    if (!segment) return forward(segment);
    find_records(segment->bytes, at.segment, at.offset, id, applied, journaled.records);
    journaled.segments.push_back(*std::move(segment));
  }
  if (const auto sorted = put_in_order(journaled.records, applied); !sorted) {
    return forward(sorted);
  }
  journaled.values_end = values_end;
  for (const FoundRecord& record : journaled.records) {
    if (record.segment != 0) journaled.values_end = {record.segment, record.end};
  }
  return journaled;
}

Result<StoreFiles> StoreFiles::open(const std::string& directory, const Options& options) {
  auto reserve = std::make_unique<DiskReserve>(directory, options.reserve_bytes);
  auto files = open_once(directory, options);
  while (!files && files.error().code == Errc::no_space && reserve->release()) {
    files = open_once(directory, options);
  }
  if (!files && files.error().code == Errc::no_space) files.error().code = Errc::io;
  if (!files) return files;
  files->checkpoint_ = std::make_unique<Checkpoint>(*reserve);
  files->reserve_ = std::move(reserve);
  return files;
}

Result<StoreFiles> StoreFiles::open_once(const std::string& directory, const Options& options) {
  auto lmdb = Lmdb::open(directory, {.map_bytes = options.map_bytes, .sections = options.sections});
  if (!lmdb) return forward(lmdb);
  auto txn = lmdb->begin(true);
  if (!txn) return forward(txn);
  if (const auto known = check_identity(*txn, options.node); !known) return forward(known);
  const auto found = get_mark(*txn);
  if (!found) return forward(found);
  // A journal that the tables do not know yet has never held anything.
  JournalMark mark = found->value_or(JournalMark{random_id(), 0, {}, 0});
  if (const auto synced = sync_segments(directory, mark.values_end); !synced) {
    return forward(synced);
  }
  const auto journaled = read_journaled(directory, *txn);
  if (!journaled) return forward(journaled);
  for (const FoundRecord& record : journaled->records) {
    const auto done = apply_redo(record.redo, *txn);
    if (!done) return forward(done);
    if (counts(record.redo)) ++mark.commits;
  }

  const std::string path = journal_path(directory);
  auto journal =
      *found ? Journal::open(path, mark.id) : Journal::create(path, mark.id, options.journal_bytes);
  if (!journal) return forward(journal);
  // So many numbers are left out: they may stand on records that are torn, or after such ones, and
  // must not be used again.
  mark.applied += journaled->records.size() + kUnsyncedMax;
  mark.values_end = journaled->values_end;
  auto done = txn->put(Table::meta, kJournalKey, seal_journal_mark(mark));
  if (done) done = txn->commit();
  if (!done) return forward(done);
  auto values = ValueLog::open(directory, mark.id, mark.values_end, options.values);
  if (!values) return forward(values);

  StoreFiles files(options, *std::move(lmdb), *std::move(journal), *std::move(values),
                   std::make_unique<ValueReader>(directory));
  files.mark_ = files.written_ = mark;
  files.told_ = files.in_lmdb_ = files.begun_ = mark.applied;
  files.commits_found_ = mark.commits;
  if (const auto loaded = files.load(); !loaded) return forward(loaded);
  return files;
}

Result<void> StoreFiles::load() {
  auto txn = lmdb_.begin(false);
  if (!txn) return forward(txn);
  const auto numbers = get_numbers(*txn);
  if (!numbers) return forward(numbers);
  durable_ = readable_ = *numbers;
  const auto sealed = txn->get(Table::meta, kPromiseKey);
  if (!sealed) return forward(sealed);
  // A promise that cannot be read makes the node one that never votes: nothing follows it.
  if (*sealed) promised_ = unseal_promised(**sealed).value_or(Promised{});
  return {};
}

Result<void> StoreFiles::commit(const Transaction& transaction, bool readable) {
  STELE_CHECK(unsynced_.empty());
  if (!transaction.empty() || untold()) {
    auto done = write(transaction, false, nullptr);
    if (done) done = end();
    if (!done) return done;
  } else if (auto done = end_written_checkpoint(); !done) {
    return done;
  }
#ifdef STELE_SANITIZED
  const std::string wrong = check();
  STELE_CHECK(wrong.empty(), wrong);
#endif
  return readable || transaction.identity ? checkpoint() : Result<void>{};
}

Result<FileSync> StoreFiles::begin(const Transaction& transaction, bool aside) {
  STELE_CHECK(unsynced_.size() < kUnsyncedMax);
  FileSync sync;
  auto done = write(transaction, aside, &sync);
  if (!done) return forward(done);
  return sync;
}

Result<void> StoreFiles::end() {
  if (auto done = end_written_checkpoint(); !done) return done;
  Unsynced first = std::move(unsynced_.front());
  unsynced_.pop_front();
  mark_ = first.mark;
  lacking_.insert(lacking_.end(), first.redo.begin(), first.redo.end());
  lacking_bytes_ += first.bytes;
  if (first.numbers) durable_ = *first.numbers;
  // A thread that waits for LMDB keeps those under way waiting, too; not without need.
  const bool far = lacking_bytes_ > kLackingMost * options_.lacking_bytes_max;
  const bool begins = unsynced_.empty() || far || !checkpoint_->busy();
  if (lacking_bytes_ <= options_.lacking_bytes_max || !begins) return {};
  return begin_checkpoint();
}

bool StoreFiles::quick(const Transaction& transaction) const {
  // The redo is hardly longer than what it repeats.
  return !transaction.identity && transaction.bytes <= options_.small_bytes_max &&
         unsynced_.empty() && lacking_bytes_ + transaction.bytes <= options_.lacking_bytes_max &&
         (journal_.fits(2 * transaction.bytes + kPageBytes) || !checkpoint_->busy());
}

Result<void> StoreFiles::write(const Transaction& transaction, bool aside, FileSync* apart) {
  auto done = append(transaction, aside, apart);
  while (!done && done.error().code == Errc::no_space && reserve_->release(transaction.bytes)) {
    done = append(transaction, aside, apart);
  }
  if (!done) return done;
  told_ = mark_.applied;
  ++written_.applied;
  if (transaction.counts()) ++written_.commits;
  written_.values_end = values_.end();
  Unsynced record{{redo_.bytes().begin(), redo_.bytes().end()}, transaction.bytes, {}, written_};
  if (transaction.state) record.numbers = transaction.state->numbers;
  unsynced_.push_back(std::move(record));
  return {};
}

Result<void> StoreFiles::append(const Transaction& transaction, bool aside, FileSync* apart) {
  redo_.clear();
  // The promise is written with whatever raises it: also if that is written a second time.
  Promised promised = promised_;
  const std::size_t small_max = aside ? kPageBytes : options_.small_bytes_max;
  auto done = transaction.bytes <= std::min(small_max, options_.small_bytes_max)
                  ? append_small(transaction, promised, apart)
                  : append_large(transaction, promised, apart);
  if (done) promised_ = promised;
  return done;
}

Result<void> StoreFiles::append_small(const Transaction& transaction, Promised& promised,
                                      FileSync* apart) {
  ValuesAside none;
  stele::log::write(transaction, promised, none, redo_);
  if (!journal_.fits(redo_.bytes().size()) && (unsynced_.empty() || !checkpoint_->busy())) {
    if (auto done = begin_checkpoint(); !done) return done;
  }
  if (journal_.fits(redo_.bytes().size())) {
    auto done = journal_.append(next_number(), redo_.bytes(), apart);
    if (done) last_in_half_[half_] = next_number().own;
    return done;
  }
  const auto begin = values_.begin();
  if (!begin) return forward(begin);
  return values_.append(next_number(), {}, redo_.bytes(), apart);
}

Result<void> StoreFiles::append_large(const Transaction& transaction, Promised& promised,
                                      FileSync* apart) {
  const auto begin = values_.begin();
  if (!begin) return forward(begin);
  ValuesAside aside{*begin, {}};
  stele::log::write(transaction, promised, aside, redo_);
  auto done = values_.append(next_number(), aside.values, redo_.bytes(), apart);
  if (done && values_.cached()) reader_->add_cached(*begin, values_.end());
  return done;
}

/// The part before must be in LMDB first: its half of the journal is written next.
Result<void> StoreFiles::begin_checkpoint() {
  if (auto done = end_checkpoint(); !done) return done;
  if (lacking_.empty()) return {};
  checkpoint_->begin(lacking_, mark_, durable_);
  lacking_bytes_ = 0;
  begun_ = mark_.applied;
  turn_journal();
  if (listener_ != nullptr) listener_->on_checkpoint_begun();
  return {};
}

Result<void> StoreFiles::end_checkpoint() {
  const auto numbers = checkpoint_->end(lmdb_);
  if (!numbers) return forward(numbers);
  readable_ = numbers->value_or(readable_);
  in_lmdb_ = begun_;
  return {};
}

/// A half is written again only if LMDB has all that it holds, also what is not durable yet.
void StoreFiles::turn_journal() {
  if (last_in_half_[1 - half_] > in_lmdb_) return;
  journal_.turn();
  half_ = 1 - half_;
}

Result<void> StoreFiles::end_written_checkpoint() {
  return checkpoint_->written() ? end_checkpoint() : Result<void>{};
}

Result<void> StoreFiles::checkpoint() {
  auto done = begin_checkpoint();
  return done ? end_checkpoint() : done;
}

std::uint64_t StoreFiles::used_bytes() const {
  return lmdb_.used_bytes() + journal_.size() + values_.size();
}

std::string StoreFiles::check() const {
  if (unsynced_.size() > kUnsyncedMax) return "more records are under way than may be";
  if (mark_.applied + unsynced_.size() != written_.applied) return "a record is lost";
  if (std::max(in_lmdb_, begun_) > mark_.applied) return "LMDB has what may not be durable";
  if (told_ > mark_.applied) return "a record says of others that they are durable, too early";
  if (readable_.chosen_end > durable_.chosen_end) return "more can be read than is durable";
  return {};
}

}  // namespace stele::log
