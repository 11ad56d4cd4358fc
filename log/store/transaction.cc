#include "log/store/transaction.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "paxos/base/check.h"

namespace stele::log {
namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

void write_record(const paxos::SlotRecord& record, ValuesAside& aside, Redo& redo) {
  const bool here = aside.next.segment == 0 || record.value.size() == 0;
  const std::size_t bytes = kSlotHeaderBytes + (here ? record.value.size() : 0);
  const auto room = redo.reserve(Table::slots, record.slot.value, bytes);
  write_slot_header(record, room.first<kSlotHeaderBytes>(), here ? ValuePlace{} : aside.next);
  if (here) {
    record.value.copy_to(room.data() + kSlotHeaderBytes);
  } else {
    aside.values.push_back(record.value);
    aside.next.offset += record.value.size();
    SegmentRow& segment = aside.segment;
    segment.lowest = segment.lowest == Slot{} ? record.slot : std::min(segment.lowest, record.slot);
    segment.highest = std::max(segment.highest, record.slot);
  }
}

/// A vote below a snapshot that was installed meanwhile is told by nobody, and must not take the
/// place of what is compared there.
void write_votes(const std::vector<paxos::Acceptor::Write>& votes, const Holding& holding,
                 Promised& promised, ValuesAside& aside, Redo& redo) {
  const Ballot before = promised.ballot;
  for (const paxos::Acceptor::Write& write : votes) {
    if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
      promised.ballot = std::max(promised.ballot, promise->ballot);
      continue;
    }
    const paxos::SlotRecord& record = std::get<paxos::WriteAccepted>(write).record;
    promised.ballot = std::max(promised.ballot, record.ballot);
    if (record.slot < holding.slots_begin) continue;
    write_record(record, aside, redo);
  }
  if (promised.ballot != before) redo.put(Table::meta, kPromiseKey, seal_promised(promised));
}

void write_state(const StateWrite& state, const Holding& holding, ValuesAside& aside, Redo& redo) {
  for (const paxos::SlotRecord& record : state.learned) {
    // What was repaired may have been trimmed meanwhile.
    if (record.slot >= holding.first_slot) write_record(record, aside, redo);
  }
  for (const IndexRow& row : state.index) {
    redo.put(Table::index, row.first_lsn.value, seal_index_row(row));
  }
  for (const RunRow& row : state.runs) redo.put(Table::runs, row.number, seal_run_row(row));
  for (const Row& row : state.rows) {
    const std::vector<std::byte> key = stored_key(holding.generation, row.key);
    if (row.bytes.empty()) {
      redo.erase(row.table, key);
    } else {
      const auto room = redo.reserve(row.table, key, row.bytes.size() + kSealBytes);
      std::copy(row.bytes.begin(), row.bytes.end(), room.begin());
      seal_in_place(row.table, key, room);
    }
  }
}

void write_trim(const TrimWrite& trim, Holding& holding, Redo& redo) {
  holding.first_slot = std::max(holding.first_slot, trim.slot_end);
  holding.snapshot = std::max(holding.snapshot, trim.snapshot);
  redo.erase_range(Table::slots, 0, holding.first_slot.value);
  redo.erase_range(Table::index, 0, trim.lsn_end.value);
  redo.erase_range(Table::runs, 0, run_of(holding.first_slot));
}

/// What was copied may have been trimmed meanwhile.
void write_copy(const CopyWrite& copy, Holding& holding, ValuesAside& aside, Redo& redo) {
  for (const paxos::SlotRecord& record : copy.records) {
    if (record.slot < holding.first_slot) continue;
    write_record(record, aside, redo);
  }
  for (const IndexRow& row : copy.index) {
    if (row.slot < holding.first_slot) continue;
    redo.put(Table::index, row.first_lsn.value, seal_index_row(row));
  }
  // Another snapshot may have been installed meanwhile.
  if (copy.slots_begin == Slot{} || copy.known_begin != holding.slots_begin) return;
  holding.slots_begin = copy.slots_begin;
  holding.entries_begin = copy.entries_begin;
  holding.begin_digest = 0;
}

/// Promise and votes stay, and so does every slot: one that is chosen may be in doubt until it was
/// compared with what others have.
void install_state(const InstallWrite& install, StoredNumbers& numbers) {
  STELE_CHECK(install.numbers.chosen_end > numbers.state.chosen_end);
  const Slot first_slot = numbers.holding.first_slot;
  numbers = {install.numbers, install.holding};
  numbers.holding.first_slot = first_slot;
}

}  // namespace

void Transaction::add(std::vector<paxos::Acceptor::Write> writes) {
  for (const paxos::Acceptor::Write& write : writes) {
    bytes += kSlotHeaderBytes;
    if (const auto* accepted = std::get_if<paxos::WriteAccepted>(&write)) {
      bytes += accepted->record.value.size();
    }
  }
  append(votes, std::move(writes));
}

std::size_t bytes_of(const StateWrite& write) {
  std::size_t more = 64 + (write.index.size() + write.runs.size()) * 64;
  for (const IndexRow& row : write.index) more += row.skipped.size() * sizeof(row.skipped[0]);
  for (const paxos::SlotRecord& record : write.learned)
    more += record.value.size() + kSlotHeaderBytes;
  for (const Row& row : write.rows) more += row.key.size() + row.bytes.size() + 32;
  return more;
}

void Transaction::add(StateWrite write) {
  STELE_CHECK(takes_state());
  const std::size_t more = bytes_of(write);
  bytes += more;
  state_bytes += more;
  if (!state) {
    state = std::move(write);
    return;
  }
  state->numbers = write.numbers;
  state->snapshot = write.snapshot;
  append(state->learned, std::move(write.learned));
  append(state->index, std::move(write.index));
  append(state->runs, std::move(write.runs));
  append(state->rows, std::move(write.rows));
}

void Transaction::add(const TrimWrite& write) {
  bytes += 128;
  if (!trim) trim = write;
  trim->slot_end = std::max(trim->slot_end, write.slot_end);
  trim->lsn_end = std::max(trim->lsn_end, write.lsn_end);
  trim->snapshot = std::max(trim->snapshot, write.snapshot);
}

void Transaction::add(CopyWrite write) {
  bytes += 64 + write.index.size() * 64;
  for (const paxos::SlotRecord& record : write.records)
    bytes += record.value.size() + kSlotHeaderBytes;
  if (!copy) {
    copy = std::move(write);
    return;
  }
  append(copy->records, std::move(write.records));
  append(copy->index, std::move(write.index));
  if (write.slots_begin == Slot{}) return;
  if (copy->slots_begin == Slot{}) copy->known_begin = write.known_begin;
  copy->slots_begin = write.slots_begin;
  copy->entries_begin = write.entries_begin;
}

void Transaction::add(const InstallWrite& write) {
  STELE_CHECK(!state && !install);
  bytes += 512;
  install = write;
}

void write(const Transaction& transaction, Ground& ground, ValuesAside& aside, Redo& redo) {
  if (transaction.identity) {
    redo.put(Table::meta, kIdentityKey, seal_identity(*transaction.identity));
  }
  if (transaction.history) {
    redo.put(Table::meta, kHistoryKey, seal_history(*transaction.history));
  }
  write_votes(transaction.votes, ground.numbers.holding, ground.promised, aside, redo);
  StoredNumbers& numbers = ground.numbers;
  if (transaction.trim) write_trim(*transaction.trim, numbers.holding, redo);
  // The learner's records come last: a chosen value replaces a vote for another one.
  if (transaction.state) {
    write_state(*transaction.state, numbers.holding, aside, redo);
    STELE_CHECK(transaction.state->numbers.chosen_end >= numbers.state.chosen_end);
    numbers.state = transaction.state->numbers;
  }
  if (transaction.copy) write_copy(*transaction.copy, numbers.holding, aside, redo);
  if (transaction.install) install_state(*transaction.install, numbers);
  if (transaction.state || transaction.trim || transaction.install || transaction.copy) {
    redo.put(Table::meta, kNumbersKey, seal_numbers(numbers));
  }
}

}  // namespace stele::log
