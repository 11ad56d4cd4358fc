// What is read back from the store's tables.
#pragma once

#include <cstddef>
#include <vector>

#include "log/format/entries.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/value_log.h"
#include "log/store/store.h"

namespace stele::log {

/// The numbers of the state; the defaults if there is no record yet. Errors of all of these:
/// corrupt, io.
[[nodiscard]] Result<StateNumbers> get_numbers(Lmdb::Txn& txn);
/// Records from `begin` on, below `end`: at most `bytes_max` bytes, but at least one.
[[nodiscard]] Result<SlotsRead> get_records(Lmdb::Txn& txn, ValueReader& values, Slot begin,
                                            Slot end, std::size_t bytes_max);
/// Entries of [begin, end), as far as they are applied; at most `bytes_max` bytes, but at least
/// one.
[[nodiscard]] Result<EntriesRead> get_entries(Lmdb::Txn& txn, ValueReader& values, Lsn begin,
                                              Lsn end, std::size_t bytes_max);

/// All rows of these sections that keep theirs in memory, by table and key. Errors: corrupt, also
/// if they cannot be read.
[[nodiscard]] Result<std::vector<Row>> get_rows(Lmdb::Txn& txn,
                                                const std::vector<SectionTable>& sections);
/// These rows; one that is not there has no bytes. Errors as above.
[[nodiscard]] Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<RowKey>& keys);

}  // namespace stele::log
