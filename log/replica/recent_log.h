// The newest entries, in memory: tails and reads at the end of the log need no disk.
#pragma once

#include <cstddef>
#include <deque>

#include "log/format/entries.h"
#include "log/state/log_state.h"
#include "paxos/base/value.h"

namespace stele::log {

/// Holds the batches applied last: all that cannot be read from the store's tables yet, and some
/// more, within a bound.
class RecentLog {
 public:
  RecentLog(Lsn lsn_begin, std::size_t bytes_max)
      : bytes_max_(bytes_max), lsn_begin_(lsn_begin), lsn_end_(lsn_begin) {}

  /// Adds the row just applied; rows without entries are not kept.
  void add(const IndexRow& row, const paxos::Value& value);
  /// What lies below can be read from the store: it may be dropped.
  void on_durable(Lsn readable_lsn);

  /// Of what it holds.
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Whether entries from `lsn` on are all here.
  [[nodiscard]] bool holds(Lsn lsn) const { return lsn >= lsn_begin_; }
  /// Entries of [lsn_begin, lsn_end) as far as they are applied; requires holds(lsn_begin).
  [[nodiscard]] EntriesRead read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max) const;

 private:
  struct Row {
    IndexRow row;
    paxos::Value value;
  };
  std::size_t bytes_max_;
  std::deque<Row> rows_;
  std::size_t bytes_ = 0;
  Lsn lsn_begin_;
  Lsn lsn_end_;
};

}  // namespace stele::log
