#include "log/replica/recent_log.h"

#include <algorithm>

#include "paxos/base/check.h"

namespace stele::log {

void RecentLog::add(const IndexRow& row, const paxos::Value& value) {
  if (row.count == 0) return;
  STELE_CHECK(row.first_lsn == lsn_end_);
  rows_.push_back({row, value});
  bytes_ += value.size();
  lsn_end_ = lsn_end_ + row.count;
}

void RecentLog::on_durable(Lsn readable_lsn) {
  while (bytes_ > bytes_max_ && !rows_.empty()) {
    const Row& oldest = rows_.front();
    const Lsn row_end = oldest.row.first_lsn + oldest.row.count;
    if (row_end > readable_lsn) return;
    bytes_ -= oldest.value.size();
    lsn_begin_ = row_end;
    rows_.pop_front();
  }
}

EntriesRead RecentLog::read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max) const {
  STELE_CHECK(holds(lsn_begin));
  EntriesRead read;
  read.lsn_begin = lsn_begin;
  lsn_end = std::min(lsn_end, lsn_end_);
  auto row = std::upper_bound(rows_.begin(), rows_.end(), lsn_begin, [](Lsn lsn, const Row& other) {
    return lsn < other.row.first_lsn + other.row.count;
  });
  for (; row != rows_.end() && read.lsn_end() < lsn_end; ++row) {
    if (!add_entries(row->value, row->row, lsn_end, bytes_max, read)) break;
  }
  return read;
}

}  // namespace stele::log
