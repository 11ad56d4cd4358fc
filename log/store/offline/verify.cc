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
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (!*sealed) return {};
  auto read = unseal(**sealed);
  if (read) {
    to = *std::move(read);
  } else if (read.error().code == Errc::newer_format) {
    return tl::unexpected<Error>(read.error());
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
    const auto row = unseal_row(lsn, cursor.value());
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
                                        : Result<paxos::Record>(fail(Errc::corrupt, ""));
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

void check_sessions(Lmdb::Txn& txn, VerifyReport& report) {
  Lmdb::Cursor cursor(txn, Table::sessions);
  for (bool more = cursor.seek(0); more; more = cursor.next()) {
    ++report.sessions;
    const auto bytes = unseal(Table::sessions, cursor.key(), cursor.value());
    if (!bytes) {
      found(report, bytes.error().detail);
    } else if (const auto session = Session::parse(*bytes); !session) {
      found(report, session.error().detail);
    }
  }
  if (!cursor.status()) found(report, cursor.status().error().detail);
}

Result<VerifyReport> verify_tables(Lmdb::Txn& txn, ValueReader& values) {
  VerifyReport report;
  auto done = read_meta(txn, kIdentityKey, unseal_identity, report.identity, report);
  if (done) done = read_meta(txn, kHistoryKey, unseal_history, report.history, report);
  if (done) done = read_meta(txn, kPromiseKey, unseal_promised, report.promised, report);
  if (done) done = read_meta(txn, kNumbersKey, unseal_numbers, report.numbers, report);
  if (!done) return tl::unexpected<Error>(done.error());
  if (report.identity.node == NodeId{}) found(report, "there is no identity");
  check_slots(txn, values, report);
  check_index(txn, values, report);
  check_sessions(txn, report);
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

Result<Journaled> journaled_beside(const std::string& path, std::uint64_t map_bytes) {
  auto lmdb = Lmdb::open(path, {.map_bytes = map_bytes, .read_only = true});
  if (!lmdb) return tl::unexpected<Error>(lmdb.error());
  auto txn = lmdb->begin(false);
  if (!txn) return tl::unexpected<Error>(txn.error());
  return read_journaled(path, *txn);
}

}  // namespace

Result<VerifyReport> verify_directory(const std::string& path) {
  const auto directory = DataDirectory::open_to_read(path);
  if (!directory) return tl::unexpected<Error>(directory.error());
  if (directory->fresh()) return fail(Errc::foreign_directory, path + " holds no store of Stele");
  std::error_code error;
  const std::uint64_t size = std::filesystem::file_size(path + "/data.mdb", error);
  const auto journaled = journaled_beside(path, std::max<std::uint64_t>(size, 1 << 20));
  if (!journaled) return tl::unexpected<Error>(journaled.error());

  // As the next start will find it: what only the journal has is added, in a transaction that is
  // never committed; to a copy if need be.
  const bool adds = !journaled->records.empty();
  Copy copy;
  if (adds && !directory->writable()) {
    if (auto made = copy.make(path + "/data.mdb"); !made)
      return tl::unexpected<Error>(made.error());
  }
  auto lmdb = Lmdb::open(copy.path().empty() ? path : copy.path(),
                         {.map_bytes = size + kRoomBytes, .read_only = !adds});
  if (!lmdb) return tl::unexpected<Error>(lmdb.error());
  auto txn = lmdb->begin(adds);
  if (!txn) return tl::unexpected<Error>(txn.error());
  for (const FoundRecord& record : journaled->records) {
    if (const auto done = apply_redo(record.redo, *txn); !done) {
      return tl::unexpected<Error>(done.error());
    }
  }
  ValueReader values(path, /*believes_cache=*/false);
  return verify_tables(*txn, values);
}

}  // namespace stele::log
