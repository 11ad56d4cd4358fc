#include "log/store/files/snapshot_install.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "log/store/files/table_reads.h"

namespace stele::log {
namespace {

/// What one transaction writes, or erases, so that others need not wait long for theirs.
constexpr std::size_t kTransactionBytes = 1 << 20;
constexpr int kTransactionRows = 4096;

tl::unexpected<Error> stopped() {
  return fail(Errc::shutting_down, "the node stops, or has no room");
}

/// What is wrong with the own tables says nothing of the snapshot.
tl::unexpected<Error> own_fault(Error error) {
  if (error.code == Errc::corrupt) error.code = Errc::io;
  return tl::unexpected(std::move(error));
}

/// Writes rows, and begins another transaction now and then.
class Staging {
 public:
  Staging(const Lmdb& lmdb, const GoesOn& goes_on) : lmdb_(lmdb), goes_on_(goes_on) {}

  Result<void> put(Table table, TableKey key, std::span<const std::byte> sealed) {
    if (!txn_) {
      if (!goes_on_()) return stopped();
      auto txn = lmdb_.begin(true);
      if (!txn) return own_fault(txn.error());
      txn_.emplace(*std::move(txn));
    }
    if (auto done = txn_->put(table, key, sealed); !done) return own_fault(done.error());
    bytes_ += key.bytes().size() + sealed.size();
    return bytes_ >= kTransactionBytes ? commit() : Result<void>{};
  }
  Result<void> commit() {
    bytes_ = 0;
    if (!txn_) return {};
    auto done = txn_->commit();
    txn_.reset();
    return done ? done : own_fault(done.error());
  }

 private:
  const Lmdb& lmdb_;
  const GoesOn& goes_on_;
  std::optional<Lmdb::Txn> txn_;
  std::size_t bytes_ = 0;
};

/// The highest generation of any row.
Result<std::uint32_t> last_generation(Lmdb::Txn& txn, const std::vector<SectionTable>& sections) {
  std::uint32_t last = 0;
  for (const SectionTable& section : sections) {
    Lmdb::Cursor cursor(txn, section.table);
    if (!cursor.last()) {
      if (!cursor.status()) return forward(cursor.status());
      continue;
    }
    const auto key = parse_stored_key(section.table, cursor.key_bytes());
    if (!key) return forward(key);
    last = std::max(last, key->generation);
  }
  return last;
}

/// Of rows of another generation; how many there were.
Result<int> erase_some(Lmdb::Txn& txn, Table table, std::uint32_t keep) {
  int erased = 0;
  Lmdb::Cursor cursor(txn, table);
  bool found = cursor.first();
  while (found && erased < kTransactionRows) {
    const auto key = parse_stored_key(table, cursor.key_bytes());
    if (!key) return forward(key);
    if (key->generation == keep) {
      found = cursor.seek(stored_key(keep + 1, std::vector{std::byte{0}}));
      continue;
    }
    if (!cursor.erase()) break;
    ++erased;
    found = cursor.next();
  }
  if (!cursor.status()) return forward(cursor.status());
  return erased;
}

/// Where the rows of a snapshot go.
struct Place {
  std::uint32_t generation = 0;  // No row has it.
  Slot first_slot;               // Which the store has.
};

Result<Place> find_place(const Lmdb& lmdb, const std::vector<SectionTable>& sections,
                         const SnapshotFile& file) {
  auto txn = lmdb.begin(false);
  if (!txn) return own_fault(txn.error());
  const auto identity = get_identity(*txn);
  if (!identity) return own_fault(identity.error());
  if (!*identity || (*identity)->cluster_id != file.manifest().head.cluster_id) {
    return fail(Errc::corrupt, "the snapshot is one of another cluster");
  }
  const auto numbers = get_numbers(*txn);
  if (!numbers) return own_fault(numbers.error());
  const auto last = last_generation(*txn, sections);
  if (!last) return own_fault(last.error());
  const Holding& own = numbers->holding;
  return Place{std::max(own.generation, *last) + 1, own.first_slot};
}

}  // namespace

Result<StagedState> stage_rows(const Lmdb& lmdb, const std::vector<SectionTable>& sections,
                               const SnapshotFile& file, const GoesOn& goes_on) {
  const auto place = find_place(lmdb, sections, file);
  if (!place) return forward(place);
  const std::uint32_t generation = place->generation;
  StagedState staged;
  InstallWrite& install = staged.install;
  Staging staging(lmdb, goes_on);
  const auto take = [&](Row&& row) -> Result<void> {
    if (row.table == Table::meta) {
      const auto numbers = numbers_of(row);
      if (!numbers) return forward(numbers);
      install.numbers = *numbers;
      return {};
    }
    if (row.table == Table::runs) {
      const auto run = run_of(row);
      if (!run) return forward(run);
      return staging.put(Table::runs, run->number, seal_run_row(*run));
    }
    const auto section = std::ranges::find(sections, row.table, &SectionTable::table);
    if (section == sections.end()) {
      return fail(Errc::newer_format, "the snapshot holds rows of table " +
                                          std::to_string(static_cast<unsigned>(row.table)) +
                                          ", which this program does not know");
    }
    const std::vector<std::byte> key = stored_key(generation, row.key);
    if (section->in_memory) staged.rows.push_back(row);
    return staging.put(row.table, key, seal(row.table, key, std::move(row.bytes)));
  };
  if (auto done = file.for_each_row(take); !done) return forward(done);
  if (auto done = staging.commit(); !done) return forward(done);
  install.holding = {place->first_slot,
                     install.numbers.chosen_end,
                     install.numbers.next_lsn,
                     install.numbers.run_digest,
                     generation,
                     install.numbers.chosen_end};
  return staged;
}

Result<void> erase_other_generations(const Lmdb& lmdb, const std::vector<SectionTable>& sections,
                                     const GoesOn& goes_on) {
  for (const SectionTable& section : sections) {
    int erased = kTransactionRows;
    while (erased == kTransactionRows) {
      if (!goes_on()) return stopped();
      auto txn = lmdb.begin(true);
      if (!txn) return forward(txn);
      const auto numbers = get_numbers(*txn);
      if (!numbers) return forward(numbers);
      const auto done = erase_some(*txn, section.table, numbers->holding.generation);
      if (!done) return forward(done);
      erased = *done;
      if (erased == 0) break;
      if (auto committed = txn->commit(); !committed) return committed;
    }
  }
  return {};
}

}  // namespace stele::log
