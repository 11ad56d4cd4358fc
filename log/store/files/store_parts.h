// Whether the files of a store belong together, as a start finds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "log/format/record.h"
#include "log/store/files/lmdb.h"
#include "paxos/base/result.h"

namespace stele::log {

[[nodiscard]] std::string journal_path(const std::string& directory);

/// Tables that know of no journal are those of a first start that did not come to its end: then a
/// journal beside them has never held anything. Otherwise they are not the tables of this store.
/// Errors: corrupt, newer_format, io.
Result<void> check_unused(const std::string& directory, Lmdb::Txn& txn);

/// The value log is there, as far as LMDB knows it (`rows`, and where it ends), and all of it is of
/// the store with this id. Errors: corrupt, io.
Result<void> check_segments(const std::string& directory, ValuePlace end, std::uint64_t id,
                            const std::vector<SegmentRow>& rows);

/// Removes segments before `end` that LMDB does not know any more: they were trimmed, and a start
/// before this one did not come to it. Requires check_segments(). Errors: corrupt, io.
Result<void> remove_trimmed(const std::string& directory, const Lmdb& lmdb, ValuePlace end);

}  // namespace stele::log
