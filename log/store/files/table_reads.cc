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
ValueStretch read_ahead(ValueReader& values, std::span<const Found> rows) {
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
  auto stretch = values.read_stretch(begin, end - begin.offset);
  return stretch ? *std::move(stretch) : ValueStretch{};
}

}  // namespace

Result<StateNumbers> get_numbers(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kNumbersKey);
  if (!sealed) return forward(sealed);
  if (!*sealed) return StateNumbers{};
  return unseal_numbers(**sealed);
}

Result<SlotsRead> get_records(Lmdb::Txn& txn, ValueReader& values, Slot begin, Slot end,
                              std::size_t bytes_max) {
  SlotsRead read;
  const auto numbers = get_numbers(txn);
  if (!numbers) return forward(numbers);
  read.chosen_end = numbers->chosen_end;
  Lmdb::Cursor cursor(txn, Table::slots);
  std::vector<Found> rows;
  std::size_t bytes = 0;
  bool found = cursor.seek(begin.value);
  for (; found && Slot{cursor.key()} < end; found = cursor.next()) {
    auto header = read_slot_header({cursor.key()}, cursor.value());
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
      stretch = read_ahead(values, std::span(rows).subspan(i));
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
  end = std::min(end, numbers->next_lsn);
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

Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<SectionTable>& sections) {
  std::vector<Row> rows;
  for (const SectionTable& section : sections) {
    if (!section.in_memory) continue;
    Lmdb::Cursor cursor(txn, section.table);
    for (bool found = cursor.seek(0); found; found = cursor.next()) {
      auto row = unseal_row(section.table, cursor.key(), cursor.value());
      if (!row) return forward(row);
      rows.push_back(*std::move(row));
    }
    if (!cursor.status()) return forward(cursor.status());
  }
  return rows;
}

Result<std::vector<Row>> get_rows(Lmdb::Txn& txn, const std::vector<RowKey>& keys) {
  std::vector<Row> rows;
  for (const auto& [table, key] : keys) {
    const auto sealed = txn.get(table, number_of(key));
    if (!sealed) return forward(sealed);
    auto row = *sealed ? unseal_row(table, number_of(key), **sealed) : Row{table, key, {}};
    if (!row) return forward(row);
    rows.push_back(*std::move(row));
  }
  return rows;
}

}  // namespace stele::log
