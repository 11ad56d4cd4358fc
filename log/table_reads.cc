#include "log/table_reads.h"

#include <algorithm>
#include <string>
#include <utility>

namespace stele::log {

Result<StateNumbers> get_numbers(Lmdb::Txn& txn) {
  const auto sealed = txn.get(Table::meta, kNumbersKey);
  if (!sealed) return tl::unexpected<Error>(sealed.error());
  if (!*sealed) return StateNumbers{};
  return unseal_numbers(**sealed);
}

Result<SlotsRead> get_records(Lmdb::Txn& txn, ValueReader& values, Slot begin, Slot end,
                              std::size_t bytes_max) {
  SlotsRead read;
  const auto numbers = get_numbers(txn);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  read.chosen_end = numbers->chosen_end;
  Lmdb::Cursor cursor(txn, Table::slots);
  std::size_t bytes = 0;
  bool found = cursor.seek(begin.value);
  for (; found && Slot{cursor.key()} < end; found = cursor.next()) {
    const auto header = read_slot_header({cursor.key()}, cursor.value());
    const std::size_t more = header ? kSlotHeaderBytes + header->value_bytes : 0;
    if (bytes != 0 && bytes + more > bytes_max) return read;
    bytes += more;
    auto record = read_slot({cursor.key()}, cursor.value(), &values);
    if (!record) {
      read.faulty = Slot{cursor.key()};
      return read;
    }
    read.records.push_back(*std::move(record));
  }
  if (!cursor.status()) return tl::unexpected<Error>(cursor.status().error());
  read.last = !found;
  return read;
}

Result<EntriesRead> get_entries(Lmdb::Txn& txn, ValueReader& values, Lsn begin, Lsn end,
                                std::size_t bytes_max) {
  EntriesRead read;
  read.lsn_begin = begin;
  const auto numbers = get_numbers(txn);
  if (!numbers) return tl::unexpected<Error>(numbers.error());
  end = std::min(end, numbers->next_lsn);
  Lmdb::Cursor cursor(txn, Table::index);
  bool found = begin < end && cursor.seek_last_at(begin.value);
  for (; found && read.lsn_end() < end; found = cursor.next()) {
    const auto row = unseal_row({cursor.key()}, cursor.value());
    if (!row) {
      read.fault = row.error().detail;
      return read;
    }
    const auto bytes = txn.get(Table::slots, row->slot.value);
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    const auto record =
        *bytes ? read_slot(row->slot, **bytes, &values)
               : Result<paxos::Record>(
                     fail(Errc::corrupt,
                          "the record slots/" + std::to_string(row->slot.value) + " is missing"));
    if (!record) {
      read.fault = record.error().detail;
      read.faulty_slot = row->slot;
      return read;
    }
    if (!add_entries(record->value, *row, end, bytes_max, read)) return read;
  }
  if (!cursor.status()) return tl::unexpected<Error>(cursor.status().error());
  return read;
}

}  // namespace stele::log
