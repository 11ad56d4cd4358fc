// What a start finds in journal and value log that LMDB does not have yet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "log/format/record.h"
#include "log/store/files/direct_file.h"
#include "log/store/files/journal_record.h"
#include "log/store/files/lmdb.h"
#include "paxos/base/result.h"
#include "paxos/base/value.h"

namespace stele::log {

/// What the tables lack: the records after the mark, in order, with views into the rest. Segments
/// are read from the disk (ADR 10); what the page cache has of the journal is as good, because LMDB
/// gets and syncs it.
struct Journaled {
  std::optional<MappedFile> journal;
  std::vector<Slice> segments;
  std::vector<FoundRecord> records;
  ValuePlace values_end;  ///< After the last record.
};
/// Reads it; nothing if there is no journal yet. Errors: corrupt (what was durable is missing),
/// newer_format, io.
[[nodiscard]] Result<Journaled> read_journaled(const std::string& directory, Lmdb::Txn& txn);

}  // namespace stele::log
