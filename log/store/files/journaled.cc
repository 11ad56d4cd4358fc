#include "log/store/files/journaled.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "log/store/files/journal.h"
#include "log/store/files/store_parts.h"
#include "log/store/files/table_reads.h"
#include "log/store/files/value_log.h"
#include "log/store/redo.h"
#include "net/wire/digest.h"

namespace stele::log {
namespace {

bool exists(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none);
}

/// Whether the values of a record reached the disk, all of them.
bool whole(const FoundRecord& record) {
  const std::uint64_t record_begin =
      record.end - whole_pages(kRecordHeadBytes + record.values.size() + record.redo.size());
  auto redo = record.redo;
  while (!redo.empty()) {
    const auto change = next_change(redo);
    if (!change) return false;
    if (change->table != Table::slots || change->kind != Change::Kind::put) continue;
    const auto header = read_slot_header({change->key.number()}, change->value);
    if (!header) return false;
    if (header->place.segment == 0) continue;
    const std::uint64_t at = header->place.offset - record_begin - kRecordHeadBytes;
    if (at > record.values.size() || header->value_bytes > record.values.size() - at) return false;
    const auto value = record.values.subspan(at, header->value_bytes);
    if (net::value_digest(value) != header->digest) return false;
  }
  return true;
}

/// Sorts, and leaves out the last ones, from the first on that did not reach the disk as a whole:
/// they were written before that was known to be durable, and nobody has been told of them.
Result<void> put_in_order(std::vector<FoundRecord>& records, std::uint64_t applied) {
  std::ranges::sort(records, {}, &FoundRecord::number);
  std::uint64_t durable = applied;
  for (const FoundRecord& record : records) durable = std::max(durable, record.durable);
  std::size_t count = 0;
  for (; count < records.size(); ++count) {
    const FoundRecord& record = records[count];
    if (record.number != applied + count + 1) break;
    if (record.number > durable && !whole(record)) break;
  }
  if (applied + count < durable) {
    return fail(Errc::corrupt, "the journal has record " + std::to_string(records.back().number) +
                                   ", but record " + std::to_string(applied + count + 1) +
                                   " before it is damaged");
  }
  records.resize(count);
  return {};
}

/// Whole pages of a segment from `at` on.
Result<Slice> read_segment(const std::string& directory, ValuePlace at) {
  std::error_code error;
  const auto size = std::filesystem::file_size(segment_path(directory, at.segment), error);
  if (error) return fail(Errc::corrupt, segment_path(directory, at.segment) + " is missing");
  const std::uint64_t end = size / kPageBytes * kPageBytes;
  if (at.offset >= end) return Slice{};
  return ValueReader(directory, /*believes_cache=*/false).read(at, end - at.offset);
}

}  // namespace

Result<Journaled> read_journaled(const std::string& directory, Lmdb::Txn& txn) {
  Journaled journaled;
  const auto mark = get_mark(txn);
  if (!mark) return forward(mark);
  if (!*mark) {
    if (auto unused = check_unused(directory, txn); !unused) {
      return forward(unused);
    }
    return journaled;
  }
  const auto [id, applied, values_end, commits] = **mark;
  // It is made before there is an identity.
  const auto identity = txn.get(Table::meta, kIdentityKey);
  if (!identity) return forward(identity);
  if (std::error_code none;
      *identity && !std::filesystem::is_directory(values_directory(directory), none)) {
    return fail(Errc::corrupt, values_directory(directory) + " is missing");
  }
  const std::string path = journal_path(directory);
  auto journal = MappedFile::open(path);
  if (!journal) return forward(journal);
  if (const auto known = check_journal(journal->bytes(), path, id); !known) {
    return forward(known);
  }
  const auto pages = journal->bytes().subspan(std::min(journal->bytes().size(), kPageBytes));
  find_records(pages, 0, kPageBytes, id, applied, journaled.records);
  journaled.journal.emplace(*std::move(journal));
  const auto segments = get_segments(txn);
  if (!segments) return forward(segments);
  if (auto there = check_segments(directory, values_end, id, *segments); !there) {
    return forward(there);
  }
  ValuePlace at = values_end;
  if (at.segment == 0) at = {1, 0};
  for (; at.offset != 0 || exists(segment_path(directory, at.segment)); at = {at.segment + 1, 0}) {
    auto segment = read_segment(directory, at);
    if (!segment) return forward(segment);
    find_records(segment->bytes, at.segment, at.offset, id, applied, journaled.records);
    journaled.segments.push_back(*std::move(segment));
  }
  if (const auto sorted = put_in_order(journaled.records, applied); !sorted) {
    return forward(sorted);
  }
  journaled.values_end = values_end;
  for (const FoundRecord& record : journaled.records) {
    if (record.segment != 0) journaled.values_end = {record.segment, record.end};
  }
  return journaled;
}

}  // namespace stele::log
