#include "log/store/files/store_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "log/store/files/journaled.h"
#include "log/store/files/store_parts.h"
#include "log/store/files/table_reads.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

bool exists(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none);
}

/// LMDB may lag by so many times its bound rather than keep commits waiting.
constexpr std::uint64_t kLackingMost = 8;

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

/// As of Transaction::counts.
bool counts(std::span<const std::byte> redo) {
  while (!redo.empty()) {
    const auto change = next_change(redo);
    if (!change) return false;
    if (change->table == Table::segments) continue;  // Goes with whatever is written there first.
    if (change->table != Table::meta || change->key.number() != kHistoryKey) return true;
  }
  return false;
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

}  // namespace

Result<StoreFiles> StoreFiles::open(const std::string& directory, const Options& options) {
  auto reserve = std::make_unique<DiskReserve>(directory, options.reserve_bytes);
  auto files = open_once(directory, options);
  while (!files && files.error().code == Errc::no_space &&
         (ValueLog::drop_spare(directory) || reserve->release())) {
    files = open_once(directory, options);
  }
  if (!files && files.error().code == Errc::no_space) files.error().code = Errc::io;
  if (!files) return files;
  files->checkpoint_ =
      std::make_unique<Checkpoint>([drop_spare = files->drop_spare_, &kept = *reserve] {
        return drop_spare() || kept.release();
      });
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
  if (auto removed = remove_trimmed(directory, *lmdb, mark.values_end); !removed) {
    return forward(removed);
  }
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
  durable_ = readable_ = ground_.numbers = *numbers;
  auto segments = get_segments(*txn);
  if (!segments) return forward(segments);
  for (const SegmentRow& row : *segments) segments_.emplace(row.segment, row);
  const auto sealed = txn->get(Table::meta, kPromiseKey);
  if (!sealed) return forward(sealed);
  // A promise that cannot be read makes the node one that never votes: nothing follows it.
  if (*sealed) ground_.promised = unseal_promised(**sealed).value_or(Promised{});
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
  take_over(std::move(first));
  // A thread that waits for LMDB keeps those under way waiting, too; not without need.
  const bool far = lacking_bytes_ > kLackingMost * options_.lacking_bytes_max;
  if (checkpoint_->busy() && !far) {
    const bool much = lacking_bytes_ > options_.lacking_bytes_max;
    return much && unsynced_.empty() ? begin_checkpoint() : Result<void>{};
  }
  const bool begins = lacking_bytes_ > options_.lacking_bytes_max || lacking_.front().snapshot;
  return begins ? begin_checkpoint() : Result<void>{};
}

void StoreFiles::take_over(Unsynced record) {
  mark_ = record.mark;
  durable_ = record.numbers;
  if (lacking_.empty() || lacking_.back().snapshot) lacking_.emplace_back();
  CheckpointPart& last = lacking_.back();
  last.redo.insert(last.redo.end(), record.redo.begin(), record.redo.end());
  last.bytes += record.bytes;
  last.mark = mark_;
  last.numbers = durable_;
  last.snapshot = record.snapshot;
  lacking_bytes_ += record.bytes;
}

bool StoreFiles::quick(const Transaction& transaction) const {
  // The redo is hardly longer than what it repeats.
  return !transaction.identity && transaction.bytes <= options_.small_bytes_max &&
         unsynced_.empty() && lacking_bytes_ + transaction.bytes <= options_.lacking_bytes_max &&
         (journal_.fits(2 * transaction.bytes + kPageBytes) || !checkpoint_->busy());
}

Result<void> StoreFiles::write(const Transaction& transaction, bool aside, FileSync* apart) {
  auto done = append(transaction, aside, apart);
  while (!done && done.error().code == Errc::no_space) {
    if (!drop_spare_() && !reserve_->release(transaction.bytes)) break;
    done = append(transaction, aside, apart);
  }
  if (!done) return done;
  told_ = mark_.applied;
  ++written_.applied;
  if (transaction.counts()) ++written_.commits;
  written_.values_end = values_.end();
  unsynced_.push_back({{redo_.bytes().begin(), redo_.bytes().end()},
                       transaction.bytes,
                       ground_.numbers,
                       written_,
                       transaction.state && transaction.state->snapshot});
  return {};
}

Result<void> StoreFiles::append(const Transaction& transaction, bool aside, FileSync* apart) {
  redo_.clear();
  // What goes from record to record is written with whatever changes it: also if that is written a
  // second time.
  Ground ground = ground_;
  const std::size_t small_max = aside ? kPageBytes : options_.small_bytes_max;
  auto done = transaction.bytes <= std::min(small_max, options_.small_bytes_max)
                  ? append_small(transaction, ground, apart)
                  : append_large(transaction, ground, apart);
  if (done) ground_ = ground;
  return done;
}

Result<void> StoreFiles::append_small(const Transaction& transaction, Ground& ground,
                                      FileSync* apart) {
  ValuesAside none;
  stele::log::write(transaction, ground, none, redo_);
  const std::vector<std::uint32_t> trimmed = erase_segments(ground.numbers.holding);
  if (!journal_.fits(redo_.bytes().size()) && (unsynced_.empty() || !checkpoint_->busy())) {
    if (auto done = begin_checkpoint(); !done) return done;
  }
  Result<void> done;
  if (journal_.fits(redo_.bytes().size())) {
    done = journal_.append(next_number(), redo_.bytes(), apart);
    if (done) last_in_half_[half_] = next_number().own;
  } else {
    done = append_values({}, {}, apart);
  }
  if (done) give_up(trimmed);
  return done;
}

Result<void> StoreFiles::append_large(const Transaction& transaction, Ground& ground,
                                      FileSync* apart) {
  const auto begin = values_.begin();
  if (!begin) return forward(begin);
  ValuesAside aside{*begin, segment_row(begin->segment)};
  stele::log::write(transaction, ground, aside, redo_);
  const std::vector<std::uint32_t> trimmed = erase_segments(ground.numbers.holding);
  auto done = append_values(aside.values, aside.segment, apart);
  if (done && values_.cached()) reader_->add_cached(*begin, values_.end());
  if (done) give_up(trimmed);
  return done;
}

/// In the value log; `row`: of its segment, with what these values add to it.
Result<void> StoreFiles::append_values(std::span<const paxos::Value> values, SegmentRow row,
                                       FileSync* apart) {
  const auto begin = values_.begin();
  if (!begin) return forward(begin);
  if (row.segment == 0) row = segment_row(begin->segment);
  const auto known = segments_.find(row.segment);
  if (known == segments_.end() || known->second != row) {
    redo_.put(Table::segments, row.segment, seal_segment_row(row));
  }
  auto done = values_.append(next_number(), values, redo_.bytes(), apart);
  if (done) segments_[row.segment] = row;
  return done;
}

SegmentRow StoreFiles::segment_row(std::uint32_t segment) const {
  const auto known = segments_.find(segment);
  return known == segments_.end() ? SegmentRow{segment, {}, {}} : known->second;
}

/// Those in which no slot lies that is kept, but for the one that is written.
std::vector<std::uint32_t> StoreFiles::erase_segments(const Holding& holding) {
  std::vector<std::uint32_t> trimmed;
  if (holding.first_slot == ground_.numbers.holding.first_slot) return trimmed;
  for (const auto& [segment, row] : segments_) {
    if (segment >= values_.end().segment || row.highest >= holding.first_slot) continue;
    redo_.erase(Table::segments, segment);
    trimmed.push_back(segment);
  }
  return trimmed;
}

/// They go once LMDB has the record that was just written.
void StoreFiles::give_up(const std::vector<std::uint32_t>& trimmed) {
  for (const std::uint32_t segment : trimmed) {
    segments_.erase(segment);
    given_up_.push_back({next_number().own, segment});
  }
}

/// The part before must be in LMDB first: its half of the journal is written next.
Result<void> StoreFiles::begin_checkpoint() {
  if (auto done = end_checkpoint(); !done) return done;
  if (lacking_.empty()) return {};
  lacking_bytes_ -= lacking_.front().bytes;
  begun_ = lacking_.front().mark.applied;
  checkpoint_->begin(std::move(lacking_.front()));
  lacking_.pop_front();
  turn_journal();
  if (listener_ != nullptr) listener_->on_checkpoint_begun();
  return {};
}

Result<void> StoreFiles::end_checkpoint() {
  const auto numbers = checkpoint_->end(lmdb_);
  if (!numbers) return forward(numbers);
  readable_ = numbers->value_or(readable_);
  in_lmdb_ = begun_;
  std::vector<std::uint32_t> gone;
  for (; !given_up_.empty() && given_up_.front().record <= in_lmdb_; given_up_.pop_front()) {
    gone.push_back(given_up_.front().segment);
  }
  if (gone.empty()) return {};
  if (listener_ == nullptr) return remove_segments(gone, [] { return false; });
  listener_->on_segments_gone(std::move(gone));
  return {};
}

Result<void> StoreFiles::remove_segments(const std::vector<std::uint32_t>& segments,
                                         const std::function<bool()>& stop) {
  for (const std::uint32_t segment : segments) {
    reader_->forget(segment);
    if (auto done = values_.remove(segment, stop); !done) return done;
    reader_->forget(segment);  // Should it have been opened meanwhile.
  }
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
  Result<void> done;
  do {
    done = begin_checkpoint();
    if (done) done = end_checkpoint();
  } while (done && !lacking_.empty());
  return done;
}

std::uint64_t StoreFiles::used_bytes() const {
  return lmdb_.used_bytes() + journal_.size() + values_.size();
}

std::string StoreFiles::check() const {
  if (unsynced_.size() > kUnsyncedMax) return "more records are under way than may be";
  if (mark_.applied + unsynced_.size() != written_.applied) return "a record is lost";
  if (std::max(in_lmdb_, begun_) > mark_.applied) return "LMDB has what may not be durable";
  if (told_ > mark_.applied) return "a record says of others that they are durable, too early";
  if (readable_.state.chosen_end > durable_.state.chosen_end)
    return "more can be read than is durable";
  return {};
}

}  // namespace stele::log
