#include "log/store/offline/verify.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include "log/format/entries.h"
#include "log/store/disk/data_directory.h"
#include "log/store/files/journaled.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/snapshot_file.h"
#include "log/store/files/table_reads.h"
#include "log/store/files/value_log.h"
#include "log/store/redo.h"

namespace stele::log {
namespace {

/// More than what the journal can add.
constexpr std::uint64_t kRoomBytes = 64 << 20;

void found(VerifyReport& report, std::string fault) {
  ++report.faults_found;
  if (report.faults.size() < VerifyReport::kFaultsMax) report.faults.push_back(std::move(fault));
}

/// Reads a record of `meta`; a missing one keeps its default.
template <class T, class Unseal>
Result<void> read_meta(Lmdb::Txn& txn, std::uint64_t key, Unseal unseal, T& to,
                       VerifyReport& report) {
  const auto sealed = txn.get(Table::meta, key);
  if (!sealed) return forward(sealed);
  if (!*sealed) return {};
  auto read = unseal(**sealed);
  if (read) {
    to = *std::move(read);
  } else if (read.error().code == Errc::newer_format) {
    return forward(read);
  } else {
    found(report, read.error().detail);
  }
  return {};
}

/// Walks over the slots and, beside them, over the index.
class SlotCheck {
 public:
  SlotCheck(Lmdb::Txn& txn, ValueReader& values, VerifyReport& report)
      : txn_(txn), values_(values), report_(report), index_(txn, Table::index) {}

  void run() {
    // Rows of slots that are not known to be what was chosen say nothing.
    const Holding& holding = report_.holding;
    const bool copies = holding.slots_begin > holding.first_slot;
    has_row_ = copies ? index_.seek(holding.entries_begin.value) : index_.first();
    read_row();
    Lmdb::Cursor cursor(txn_, Table::slots);
    Slot expected = std::max(report_.holding.first_slot, report_.holding.slots_begin);
    const Slot begin = expected;
    for (bool more = cursor.first(); more; more = cursor.next()) {
      const Slot slot{cursor.key()};
      ++report_.records;
      if (slot >= report_.numbers.chosen_end) {
        ++report_.votes;  // Those may have holes.
      } else if (slot >= begin) {
        miss(expected, slot);
        expected = slot + 1;
      } else if (slot < report_.holding.first_slot) {
        found(report_, "slot " + std::to_string(slot.value) + " is trimmed, and is still there");
      }
      check(slot, cursor.value(), slot >= begin && slot < report_.numbers.chosen_end);
    }
    if (!cursor.status()) found(report_, cursor.status().error().detail);
    miss(expected, report_.numbers.chosen_end);
    end_index();
  }

 private:
  void miss(Slot expected, Slot slot) {
    if (expected >= slot) return;
    in_doubt_ = true;
    found(report_, "chosen slots " + std::to_string(expected.value) + " to " +
                       std::to_string(slot.value - 1) + " are missing");
  }

  void check(Slot slot, std::span<const std::byte> bytes, bool chosen) {
    const auto record = read_slot(slot, bytes, &values_);
    if (record) {
      report_.value_bytes += record->value.size();
    } else {
      found(report_, record.error().detail);
    }
    if (!chosen) return;
    while (row_ && row_->slot < slot) {
      found(report_, "the index names slot " + std::to_string(row_->slot.value) +
                         ", which has no record of a chosen value");
      next_row();
    }
    IndexRow row;
    row.slot = slot;
    if (row_ && row_->slot == slot) {
      row = *row_;
      if (record) check_entries(*record, row);
      next_row();
    }
    check_run(slot, record, row);
  }

  void check_entries(const paxos::SlotRecord& record, const IndexRow& row) {
    EntriesRead entries;
    entries.lsn_begin = row.first_lsn;
    add_entries(record.value, row, row.first_lsn + row.count, SIZE_MAX, entries);
    if (entries.count == row.count) return;
    found(report_, "slot " + std::to_string(row.slot.value) + " holds " +
                       std::to_string(entries.count) + " entries, its index row says " +
                       std::to_string(row.count));
  }

  /// The digest of each whole run is the one that was noted when it was applied.
  void check_run(Slot slot, const Result<paxos::SlotRecord>& record, const IndexRow& row) {
    if (slot.value % kRunSlots == 0) {
      digest_ = 0;
      in_doubt_ = false;
      whole_ = true;
    }
    if (slot == Slot{1}) whole_ = true;  // There is no slot 0.
    if (!record) in_doubt_ = true;       // Told already.
    if (record) {
      const paxos::Value& value = record->value;
      digest_ = add_to_run(digest_, slot_digest(row, static_cast<std::uint8_t>(value.kind()),
                                                value.size(), value.digest()));
    }
    if (!whole_ || in_doubt_) return;
    const Slot next = slot + 1;
    if (next == report_.numbers.chosen_end && next.value % kRunSlots != 0 &&
        digest_ != report_.numbers.run_digest) {
      found(report_, "the last slots have another digest than was noted when they were applied");
    }
    if (next.value % kRunSlots != 0) return;
    const auto sealed = txn_.get(Table::runs, run_of(next));
    const auto noted = sealed && *sealed ? unseal_run_row(run_of(next), **sealed)
                                         : corrupt_record(Table::runs, run_of(next), "is missing");
    if (!noted) {
      found(report_, noted.error().detail);
    } else if (noted->digest != digest_) {
      found(report_, "slots " + std::to_string(next.value - kRunSlots) + " to " +
                         std::to_string(slot.value) +
                         " have another digest than was noted when they were applied");
    }
  }

  /// The row that the index is at, if it can be read.
  void read_row() {
    row_.reset();
    for (; has_row_; has_row_ = index_.next()) {
      const Lsn lsn{index_.key()};
      const auto row = unseal_index_row(lsn, index_.value());
      if (!row) {
        found(report_, row.error().detail);
        in_doubt_ = true;
        continue;
      }
      // Whole runs are trimmed: what is kept may begin before the first LSN.
      const bool first = expected_lsn_ == Lsn{};
      if (first ? lsn > report_.numbers.first_lsn : lsn != expected_lsn_) {
        found(report_, "the index jumps from entry " + std::to_string(expected_lsn_.value) +
                           " to " + std::to_string(lsn.value));
      }
      expected_lsn_ = lsn + row->count;
      report_.entries += row->count;
      row_ = *row;
      return;
    }
    if (!index_.status()) found(report_, index_.status().error().detail);
  }

  void next_row() {
    has_row_ = index_.next();
    read_row();
  }

  void end_index() {
    for (; row_; next_row()) {
      found(report_, "the index names slot " + std::to_string(row_->slot.value) +
                         ", which is not known to be chosen");
    }
    const bool none =
        expected_lsn_ == Lsn{} && report_.numbers.first_lsn == report_.numbers.next_lsn;
    if (none || expected_lsn_ == report_.numbers.next_lsn) return;
    found(report_, "the index ends at entry " + std::to_string(expected_lsn_.value) +
                       ", the state at " + std::to_string(report_.numbers.next_lsn.value));
  }

  Lmdb::Txn& txn_;
  ValueReader& values_;
  VerifyReport& report_;
  Lmdb::Cursor index_;
  bool has_row_ = false;
  std::optional<IndexRow> row_;  // The next one; nothing after the last one.
  Lsn expected_lsn_;             // {} before the first row.
  std::uint64_t digest_ = 0;     // Of the run, up to here.
  bool whole_ = false;           // The run was seen from its begin on.
  bool in_doubt_ = false;        // A slot or a row of the run is missing.
};

/// Each row can be read, and all of them together are a state that a node can start with.
void check_sections(Lmdb::Txn& txn, const Sections& sections, VerifyReport& report) {
  std::vector<Row> rows;
  const std::uint64_t faults_before = report.faults_found;
  for (const SectionTable& section : tables_of(sections)) {
    std::uint64_t& count = report.rows.emplace_back(section.name, 0).second;
    Lmdb::Cursor cursor(txn, section.table);
    for (bool more = cursor.first(); more; more = cursor.next()) {
      const auto key = parse_stored_key(section.table, cursor.key_bytes());
      if (key && key->generation != report.holding.generation) continue;
      auto row = unseal_row(section.table, cursor.key_bytes(), cursor.value());
      ++count;
      if (row) {
        rows.push_back(*std::move(row));
      } else {
        found(report, row.error().detail);
      }
    }
    if (!cursor.status()) found(report, cursor.status().error().detail);
  }
  if (report.faults_found != faults_before) return;  // What is missing is no second fault.
  auto state = LogState::load(sections, report.numbers, {}).value();
  for (const Row& row : rows) {
    if (const auto taken = state.take({row}); !taken) found(report, taken.error().detail);
  }
  if (report.faults_found != faults_before) return;
  if (const std::string wrong = state.check(); !wrong.empty()) found(report, wrong);
}

Result<VerifyReport> verify_tables(Lmdb::Txn& txn, ValueReader& values, const Sections& sections) {
  VerifyReport report;
  auto done = read_meta(txn, kIdentityKey, unseal_identity, report.identity, report);
  if (done) done = read_meta(txn, kHistoryKey, unseal_history, report.history, report);
  if (done) done = read_meta(txn, kPromiseKey, unseal_promised, report.promised, report);
  StoredNumbers numbers;
  if (done) done = read_meta(txn, kNumbersKey, unseal_numbers, numbers, report);
  if (!done) return forward(done);
  report.numbers = numbers.state;
  report.holding = numbers.holding;
  if (report.identity.node == NodeId{}) found(report, "there is no identity");
  SlotCheck(txn, values, report).run();
  check_sections(txn, sections, report);
  return report;
}

/// A snapshot is whole, and holds a state.
Result<void> check_snapshot(const SnapshotFile& file, const Sections& sections,
                            std::uint64_t cluster_id) {
  StateNumbers numbers;
  std::vector<Row> rows;
  auto read = file.for_each_row([&](Row&& row) -> Result<void> {
    if (row.table == Table::runs) {
      const auto run = run_of(row);
      return run ? Result<void>() : forward(run);
    }
    if (row.table != Table::meta) {
      rows.push_back(std::move(row));
      return {};
    }
    const auto found_numbers = numbers_of(row);
    if (!found_numbers) return forward(found_numbers);
    numbers = *found_numbers;
    return {};
  });
  if (!read) return read;
  if (file.manifest().head.cluster_id != cluster_id) {
    return fail(Errc::corrupt, "it is of another cluster");
  }
  const auto state = LogState::load(sections, numbers, rows);
  if (!state) return forward(state);
  const std::string wrong = state->check();
  return wrong.empty() ? Result<void>() : fail(Errc::corrupt, wrong);
}

void check_snapshots(const std::string& path, const Sections& sections, VerifyReport& report) {
  for (const Slot slot : list_snapshots(path)) {
    const auto file = SnapshotFile::open(snapshot_path(path, slot));
    auto sound = file ? check_snapshot(*file, sections, report.identity.cluster_id)
                      : Result<void>(forward(file));
    if (sound) {
      report.snapshots.push_back(file->info());
    } else {
      found(report, "the snapshot at slot " + std::to_string(slot.value) +
                        " is damaged: " + sound.error().detail);
    }
  }
}

/// A copy of the tables in a directory of its own, for as long as it lives.
class Copy {
 public:
  Copy() = default;
  ~Copy() {
    std::error_code none;
    if (!path_.empty()) std::filesystem::remove_all(path_, none);
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  Result<void> make(const std::string& file) {
    std::error_code error;
    std::string name =
        std::filesystem::temp_directory_path(error).string() + "/stele-verify-XXXXXX";
    if (error || ::mkdtemp(name.data()) == nullptr) {
      return fail(Errc::io,
                  file + " cannot be written, and " + name + " cannot be made for a copy");
    }
    path_ = name;
    std::filesystem::copy_file(file, path_ + "/data.mdb", error);
    if (!error) {
      std::filesystem::permissions(path_ + "/data.mdb", std::filesystem::perms::owner_all, error);
    }
    if (!error) return {};
    return fail(Errc::io,
                file + " cannot be written, nor copied to " + path_ + ": " + error.message());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<Journaled> journaled_beside(const std::string& path, std::uint64_t map_bytes,
                                   const std::vector<SectionTable>& tables) {
  auto lmdb = Lmdb::open(path, {.map_bytes = map_bytes, .sections = tables, .read_only = true});
  if (!lmdb) return forward(lmdb);
  auto txn = lmdb->begin(false);
  if (!txn) return forward(txn);
  return read_journaled(path, *txn);
}

}  // namespace

Result<VerifyReport> verify_directory(const std::string& path, const Sections& sections) {
  const std::vector<SectionTable> tables = tables_of(sections);
  const auto directory = DataDirectory::open_to_read(path);
  if (!directory) return forward(directory);
  if (directory->fresh()) return fail(Errc::foreign_directory, path + " holds no store of Stele");
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path + "/data.mdb", error);
  const auto journaled = journaled_beside(path, std::max<std::uint64_t>(size, 1 << 20), tables);
  if (!journaled) return forward(journaled);

  // As the next start will find it: what only the journal has is added, in a transaction that is
  // never committed; to a copy if need be.
  const bool adds = !journaled->records.empty();
  Copy copy;
  if (adds && !directory->writable()) {
    if (auto made = copy.make(path + "/data.mdb"); !made) return forward(made);
  }
  auto lmdb = Lmdb::open(copy.path().empty() ? path : copy.path(),
                         {.map_bytes = size + kRoomBytes, .sections = tables, .read_only = !adds});
  if (!lmdb) return forward(lmdb);
  auto txn = lmdb->begin(adds);
  if (!txn) return forward(txn);
  for (const FoundRecord& record : journaled->records) {
    if (const auto done = apply_redo(record.redo, *txn); !done) {
      return forward(done);
    }
  }
  ValueReader values(path, /*believes_cache=*/false);
  auto report = verify_tables(*txn, values, sections);
  if (report) check_snapshots(path, sections, *report);
  return report;
}

}  // namespace stele::log
