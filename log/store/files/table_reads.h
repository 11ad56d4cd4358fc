// What is read back from the store's tables.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "log/format/entries.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/value_log.h"
#include "log/store/store.h"

namespace stele::log {

/// The numbers; the defaults if there is no record yet. Errors of all of these: corrupt,
/// newer_format, io.
[[nodiscard]] Result<StoredNumbers> get_numbers(Lmdb::Txn& txn);
/// Nothing if the directory is new.
[[nodiscard]] Result<std::optional<Identity>> get_identity(Lmdb::Txn& txn);
/// Empty if there is no record yet.
[[nodiscard]] Result<History> get_history(Lmdb::Txn& txn);
/// Nothing if there is no journal yet.
[[nodiscard]] Result<std::optional<JournalMark>> get_mark(Lmdb::Txn& txn);
/// The segments of the value log that must be there.
[[nodiscard]] Result<std::vector<SegmentRow>> get_segments(Lmdb::Txn& txn);
/// Records from `begin` on, below `end`: at most `bytes_max` bytes, but at least one. `drop`: as of
/// ValueReader::read_stretch().
[[nodiscard]] Result<SlotsRead> get_records(Lmdb::Txn& txn, ValueReader& values, Slot begin,
                                            Slot end, std::size_t bytes_max, bool drop = false);
/// Entries of [begin, end), as far as they are applied; at most `bytes_max` bytes, but at least
/// one.
[[nodiscard]] Result<EntriesRead> get_entries(Lmdb::Txn& txn, ValueReader& values, Lsn begin,
                                              Lsn end, std::size_t bytes_max);

/// What the slots of a run below `slot_end` hold, as of Store::read_run().
[[nodiscard]] Result<RunRead> get_run(Lmdb::Txn& txn, std::uint64_t run, Slot slot_end);

/// The last run of slots for which `reached` holds, as of Store::find_run().
[[nodiscard]] Result<std::optional<RunRow>> find_run(
    Lmdb::Txn& txn, const std::function<bool(const RunRow&)>& reached);

/// All rows of these sections that keep theirs in memory, by table and key. Errors: corrupt, also
/// if they cannot be read.
[[nodiscard]] Result<std::vector<Row>> get_rows(Lmdb::Txn& txn,
                                                const std::vector<SectionTable>& sections);
/// These rows; one that is not there has no bytes. Errors as above.
[[nodiscard]] Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<RowKey>& keys);

}  // namespace stele::log
