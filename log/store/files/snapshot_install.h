// The rows of a snapshot on their way into the tables.
#pragma once

#include <functional>
#include <vector>

#include "log/store/files/lmdb.h"
#include "log/store/files/snapshot_file.h"
#include "log/store/store.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Called between two transactions: false if it is to end there.
using GoesOn = std::function<bool()>;

/// A state that is in the tables, and does not count yet.
struct StagedState {
  InstallWrite install;   ///< It counts with that.
  std::vector<Row> rows;  ///< Of the sections that keep theirs in memory, by table and key.
};

/// Puts the rows of a snapshot into the tables, under a generation that no row has, and its runs
/// beside those that are there. They are durable when it returns. A little at a time: others write
/// in between. Errors: corrupt (also if it is another cluster's), newer_format (a row of a table
/// that this program does not know), no_space, io; shutting_down if `goes_on` says so.
Result<StagedState> stage_rows(const Lmdb& lmdb, const std::vector<SectionTable>& sections,
                               const SnapshotFile& file, const GoesOn& goes_on);

/// Erases the rows of all generations but that of the numbers: a little at a time. Errors: as
/// above.
Result<void> erase_other_generations(const Lmdb& lmdb, const std::vector<SectionTable>& sections,
                                     const GoesOn& goes_on);

}  // namespace stele::log
