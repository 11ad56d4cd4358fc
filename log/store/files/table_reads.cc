#include "log/store/files/table_reads.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace stele::log {
namespace {

/// Between two values lies what else their records hold, and the rest of a page.
constexpr std::uint64_t kGapBytesMax = 16 << 10;

/// A slot's record in its table.
struct Found {
  std::span<const std::byte> bytes;
  SlotHeader header;
};

/// What the first of the rows needs of the value log, and its neighbours with it: slots that were
/// written one after the other lie so. Nothing if that cannot be read.
ValueStretch read_ahead(ValueReader& values, std::span<const Found> rows, bool drop) {
  const ValuePlace begin = rows.front().header.place;
  std::uint64_t end = begin.offset + rows.front().header.value_bytes;
  for (const Found& row : rows.subspan(1)) {
    const ValuePlace place = row.header.place;
    if (place.segment == 0) continue;
    if (place.segment != begin.segment || place.offset < end || place.offset - end > kGapBytesMax) {
      break;
    }
    end = place.offset + row.header.value_bytes;
  }
  auto stretch = values.read_stretch(begin, end - begin.offset, drop);
  return stretch ? *std::move(stretch) : ValueStretch{};
}

}  // namespace

Result<StoredNumbers> get_numbers(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kNumbersKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return StoredNumbers{};
  return unseal_numbers(**sealed);
}

Result<std::optional<Identity>> get_identity(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kIdentityKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return std::optional<Identity>();
  auto identity = unseal_identity(**sealed);
  if (!identity) return forward(identity);
  return std::optional(*std::move(identity));
}

Result<History> get_history(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kHistoryKey);
  if (!sealed) return forward(sealed);
  return *sealed ? unseal_history(**sealed) : History{};
}

Result<std::optional<JournalMark>> get_mark(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kJournalKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return std::optional<JournalMark>();
  const auto mark = unseal_journal_mark(**sealed);
  if (!mark) return forward(mark);
  return std::optional(*mark);
}

Result<std::vector<SegmentRow>> get_segments(Lmdb::Txn& txn) {
  std::vector<SegmentRow> rows;
  Lmdb::Cursor cursor(txn, Table::segments);
  for (bool found = cursor.first(); found; found = cursor.next()) {
    const auto row = unseal_segment_row(static_cast<std::uint32_t>(cursor.key()), cursor.value());
    if (!row) return forward(row);
    rows.push_back(*row);
  }
  if (!cursor.status()) return forward(cursor.status());
  return rows;
}

Result<SlotsRead> get_records(Lmdb::Txn& txn, ValueReader& values, Slot begin, Slot end,
                              std::size_t bytes_max, bool drop) {
  SlotsRead read;
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  read.chosen_end = numbers->state.chosen_end;
  read.first_slot = std::max(numbers->holding.first_slot, numbers->holding.slots_begin);
  if (begin < numbers->holding.slots_begin) return read;
  Lmdb::Cursor cursor(txn, Table::slots);
  std::vector<Found> rows;
  std::size_t bytes = 0;
  bool found = cursor.seek(begin.value);
  for (; found && Slot{cursor.key()} < end; found = cursor.next()) {
    auto header = read_slot_header({cursor.key()}, cursor.value());
    if (!header && header.error().code == Errc::newer_format) return forward(header);
    if (!header) {
      read.faulty = Slot{cursor.key()};
      break;
    }
    bytes += kSlotHeaderBytes + header->value_bytes;
    if (!rows.empty() && bytes > bytes_max) break;
    rows.push_back({cursor.value(), *std::move(header)});
  }
  if (!cursor.status()) return forward(cursor.status());
  read.last = !found;

  ValueStretch stretch;
  bool ahead = true;  // Where that has failed once, values are read one by one.
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const SlotHeader& header = rows[i].header;
    const Slot slot = header.record.slot;
    std::optional<Slice> value = stretch.find(header.place, header.value_bytes);
    if (!value && header.place.segment != 0 && ahead) {
      stretch = read_ahead(values, std::span(rows).subspan(i), drop);
      value = stretch.find(header.place, header.value_bytes);
      ahead = value.has_value();
    }
    auto record =
        value ? with_value(header, *std::move(value)) : read_slot(slot, rows[i].bytes, &values);
    if (!record && record.error().code == Errc::io) return forward(record);
    if (!record) {
      read.faulty = slot;
      read.last = false;
      return read;
    }
    read.records.push_back(*std::move(record));
  }
  return read;
}

Result<EntriesRead> get_entries(Lmdb::Txn& txn, ValueReader& values, Lsn begin, Lsn end,
                                std::size_t bytes_max) {
  EntriesRead read;
  read.lsn_begin = begin;
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  end = std::min(end, numbers->state.next_lsn);
  read.elsewhere = begin < numbers->holding.entries_begin;
  if (read.elsewhere) return read;
  Lmdb::Cursor cursor(txn, Table::index);
  bool found = begin < end && cursor.seek_last_at(begin.value);
  for (; found && read.lsn_end() < end; found = cursor.next()) {
    const auto row = unseal_index_row({cursor.key()}, cursor.value());
    if (!row) {
      read.fault = row.error().detail;
      return read;
    }
    const auto bytes = txn.get(Table::slots, row->slot.value);
    if (!bytes) return forward(bytes);
    const auto record =
        *bytes ? read_slot(row->slot, **bytes, &values)
               : Result<paxos::SlotRecord>(
                     fail(Errc::corrupt,
                          "the record slots/" + std::to_string(row->slot.value) + " is missing"));
    if (!record && record.error().code == Errc::io) return forward(record);
    if (!record) {
      read.fault = record.error().detail;
      read.faulty_slot = row->slot;
      return read;
    }
    if (!add_entries(record->value, *row, end, bytes_max, read)) return read;
  }
  if (!cursor.status()) return forward(cursor.status());
  return read;
}

Result<RunRead> get_run(Lmdb::Txn& txn, std::uint64_t run, Slot slot_end) {
  RunRead read;
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  const auto sealed = txn.get(Table::runs, run);
  if (!sealed) return forward(sealed);
  const auto row = *sealed ? unseal_run_row(run, **sealed) : RunRow{0, {1}, 0, 0, 0};
  if (!row || (!*sealed && run != 0)) return read;  // What it began with is not known.
  const Slot begin = begin_of_run(run);
  const Holding& holding = numbers->holding;
  read.known = begin >= std::max(holding.first_slot, holding.slots_begin) &&
               slot_end <= numbers->state.chosen_end && (*sealed || run == 0);
  Lmdb::Cursor index(txn, Table::index);
  bool has_row = index.seek(row->next_lsn.value);
  Lsn next = row->next_lsn;
  Lmdb::Cursor slots(txn, Table::slots);
  Slot expected = begin;
  for (bool found = slots.seek(begin.value); found && Slot{slots.key()} < slot_end;
       found = slots.next()) {
    const Slot slot{slots.key()};
    const auto header = read_slot_header(slot, slots.value());
    if (!header && header.error().code == Errc::newer_format) return forward(header);
    if (!header) continue;  // As if it were not there.
    SlotSummary summary{{next, slot, 0, {}},
                        static_cast<std::uint8_t>(header->kind),
                        header->value_bytes,
                        header->digest};
    while (has_row) {
      auto entries = unseal_index_row({index.key()}, index.value());
      if (!entries) return RunRead{};
      if (entries->slot > slot) break;
      if (entries->slot == slot) {
        next = entries->first_lsn + entries->count;
        summary.row = *std::move(entries);
      }
      has_row = index.next();
    }
    read.known = read.known && slot == expected;
    expected = slot + 1;
    read.slots.push_back(std::move(summary));
  }
  read.known = read.known && expected == slot_end;
  if (!slots.status()) return forward(slots.status());
  if (!index.status()) return forward(index.status());
  return read;
}

namespace {

/// The first run at or after `begin`, and before `end`, whose row can be read.
Result<std::optional<RunRow>> next_run(Lmdb::Cursor& cursor, std::uint64_t begin,
                                       std::uint64_t end) {
  for (bool found = cursor.seek(begin); found && cursor.key() < end; found = cursor.next()) {
    const auto row = unseal_run_row(cursor.key(), cursor.value());
    if (row) return std::optional(*row);
    if (row.error().code == Errc::newer_format) return forward(row);
  }
  if (!cursor.status()) return forward(cursor.status());
  return std::optional<RunRow>();
}

}  // namespace

/// Runs are dense, but the first and the last one must be looked for. A rotten row is passed over:
/// what is found then is a run before the one that is meant.
Result<std::optional<RunRow>> find_run(Lmdb::Txn& txn,
                                       const std::function<bool(const RunRow&)>& reached) {
  std::optional<RunRow> best;
  Lmdb::Cursor cursor(txn, Table::runs);
  if (!cursor.first()) {
    if (!cursor.status()) return forward(cursor.status());
    return best;
  }
  std::uint64_t begin = cursor.key();
  if (!cursor.seek_last_at(UINT64_MAX)) return forward(cursor.status());
  std::uint64_t end = cursor.key() + 1;
  while (begin < end) {
    const std::uint64_t middle = begin + (end - begin) / 2;
    const auto row = next_run(cursor, middle, end);
    if (!row) return forward(row);
    if (*row && reached(**row)) {
      best = **row;
      begin = best->number + 1;
    } else {
      end = middle;
    }
  }
  return best;
}

Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<SectionTable>& sections) {
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  const std::uint32_t generation = numbers->holding.generation;
  std::vector<Row> rows;
  for (const SectionTable& section : sections) {
    if (!section.in_memory) continue;
    Lmdb::Cursor cursor(txn, section.table);
    for (bool found = cursor.first(); found; found = cursor.next()) {
      const auto key = parse_stored_key(section.table, cursor.key_bytes());
      if (!key) return forward(key);
      if (key->generation != generation) continue;
      auto row = unseal_row(section.table, cursor.key_bytes(), cursor.value());
      if (!row) return forward(row);
      rows.push_back(*std::move(row));
    }
    if (!cursor.status()) return forward(cursor.status());
  }
  return rows;
}

Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<RowKey>& keys) {
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  std::vector<Row> rows;
  for (const auto& [table, key] : keys) {
    const std::vector<std::byte> stored = stored_key(numbers->holding.generation, key);
    const auto sealed = txn.get(table, stored);
    if (!sealed) return forward(sealed);
    auto row = *sealed ? unseal_row(table, stored, **sealed) : Row{table, key, {}};
    if (!row) return forward(row);
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace stele::log
