// Entries of the log, read back out of the batches that hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/value.h"

namespace stele::log {

/// Entries [lsn_begin, lsn_begin + count), as slices in the entry format (log/format/command.h).
struct EntriesRead {
  Lsn lsn_begin;
  std::uint32_t count = 0;
  std::size_t bytes = 0;
  std::vector<Slice> entries;
  bool elsewhere = false;            ///< The first one is kept, and not here: other nodes have it.
  std::optional<std::string> fault;  ///< Why reading ended early: names the slot.
  std::optional<Slot> faulty_slot;   ///< If it is a slot's record.

  [[nodiscard]] Lsn lsn_end() const { return lsn_begin + count; }
};

/// Adds the entries of `row`, whose batch is `value`, from out.lsn_end() on, which lies within the
/// row, and before `lsn_end`, as long as they fit into `bytes_max` altogether; the first one always
/// does. The slices share the value's buffers, unless it is much larger. False if nothing after the
/// row is to be added: no more fits, lsn_end is reached, or the batch cannot be read (out.fault).
bool add_entries(const paxos::Value& value, const IndexRow& row, Lsn lsn_end, std::size_t bytes_max,
                 EntriesRead& out);

}  // namespace stele::log
