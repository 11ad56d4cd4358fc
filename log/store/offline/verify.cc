#include "log/store/offline/verify.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "log/format/entries.h"
#include "log/store/disk/data_directory.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/store_files.h"

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

void check_slots(Lmdb::Txn& txn, ValueReader& values, VerifyReport& report) {
  Lmdb::Cursor cursor(txn, Table::slots);
  Slot expected{1};
  for (bool more = cursor.seek(0); more; more = cursor.next()) {
    const Slot slot{cursor.key()};
    ++report.records;
    if (slot >= report.numbers.chosen_end) {
      ++report.votes;  // Those may have holes.
    } else {
      if (slot != expected) {
        found(report, "chosen slots " + std::to_string(expected.value) + " to " +
                          std::to_string(slot.value - 1) + " are missing");
      }
      expected = slot + 1;
    }
    const auto record = read_slot(slot, cursor.value(), &values);
    if (record) {
      report.value_bytes += record->value.size();
    } else {
      found(report, record.error().detail);
    }
  }
  if (!cursor.status()) found(report, cursor.status().error().detail);
  if (expected < report.numbers.chosen_end) {
    found(report, "chosen slots from " + std::to_string(expected.value) + " to " +
                      std::to_string(report.numbers.chosen_end.value - 1) + " are missing");
  }
}

void check_index(Lmdb::Txn& txn, ValueReader& values, VerifyReport& report) {
  Lmdb::Cursor cursor(txn, Table::index);
  Lsn expected = report.numbers.first_lsn;
  for (bool more = cursor.seek(0); more; more = cursor.next()) {
    const Lsn lsn{cursor.key()};
    const auto row = unseal_index_row(lsn, cursor.value());
    if (!row) {
      found(report, row.error().detail);
      continue;
    }
    if (lsn != expected) {
      found(report, "the index jumps from entry " + std::to_string(expected.value) + " to " +
                        std::to_string(lsn.value));
    }
    expected = lsn + row->count;
    report.entries += row->count;
    if (row->slot >= report.numbers.chosen_end) {
      found(report, "the index names slot " + std::to_string(row->slot.value) +
                        ", which is not known to be chosen");
    }
    const auto bytes = txn.get(Table::slots, row->slot.value);
    const auto record = bytes && *bytes ? read_slot(row->slot, **bytes, &values)
                                        : Result<paxos::SlotRecord>(fail(Errc::corrupt, ""));
    if (!record) continue;  // Told with the slots.
    EntriesRead entries;
    entries.lsn_begin = lsn;
    add_entries(record->value, *row, lsn + row->count, SIZE_MAX, entries);
    if (entries.count != row->count) {
      found(report, "slot " + std::to_string(row->slot.value) + " holds " +
                        std::to_string(entries.count) + " entries, its index row says " +
                        std::to_string(row->count));
    }
  }
  if (!cursor.status()) found(report, cursor.status().error().detail);
  if (expected != report.numbers.next_lsn) {
    found(report, "the index ends at entry " + std::to_string(expected.value) + ", the state at " +
                      std::to_string(report.numbers.next_lsn.value));
  }
}

/// Each row can be read, and all of them together are a state that a node can start with.
void check_sections(Lmdb::Txn& txn, const Sections& sections, VerifyReport& report) {
  std::vector<Row> rows;
  const std::uint64_t faults_before = report.faults_found;
  for (const SectionTable& section : tables_of(sections)) {
    std::uint64_t& count = report.rows.emplace_back(section.name, 0).second;
    Lmdb::Cursor cursor(txn, section.table);
    for (bool more = cursor.seek(0); more; more = cursor.next()) {
      ++count;
      if (auto row = unseal_row(section.table, cursor.key(), cursor.value())) {
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
  if (done) done = read_meta(txn, kNumbersKey, unseal_numbers, report.numbers, report);
  if (!done) return forward(done);
  if (report.identity.node == NodeId{}) found(report, "there is no identity");
  check_slots(txn, values, report);
  check_index(txn, values, report);
  check_sections(txn, sections, report);
  return report;
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
  return verify_tables(*txn, values, sections);
}

}  // namespace stele::log
