#include "log/store/transaction.h"

#include <algorithm>
#include <iterator>
#include <utility>

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
  }
}

void write_votes(const std::vector<paxos::Acceptor::Write>& votes, Promised& promised,
                 ValuesAside& aside, Redo& redo) {
  const Ballot before = promised.ballot;
  for (const paxos::Acceptor::Write& write : votes) {
    if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
      promised.ballot = std::max(promised.ballot, promise->ballot);
      continue;
    }
    const paxos::SlotRecord& record = std::get<paxos::WriteAccepted>(write).record;
    promised.ballot = std::max(promised.ballot, record.ballot);
    write_record(record, aside, redo);
  }
  if (promised.ballot != before) redo.put(Table::meta, kPromiseKey, seal_promised(promised));
}

void write_state(const StateWrite& state, ValuesAside& aside, Redo& redo) {
  for (const paxos::SlotRecord& record : state.learned) write_record(record, aside, redo);
  for (const IndexRow& row : state.index) {
    redo.put(Table::index, row.first_lsn.value, seal_index_row(row));
  }
  for (const Row& row : state.rows) {
    const std::uint64_t key = number_of(row.key);
    if (row.bytes.empty()) {
      redo.erase(row.table, key);
    } else {
      const auto room = redo.reserve(row.table, key, row.bytes.size() + kSealBytes);
      std::copy(row.bytes.begin(), row.bytes.end(), room.begin());
      seal_in_place(row.table, key, room);
    }
  }
  redo.put(Table::meta, kNumbersKey, seal_numbers(state.numbers));
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

void Transaction::add(StateWrite write) {
  std::size_t more = 64 + write.index.size() * 64;
  for (const IndexRow& row : write.index) more += row.skipped.size() * sizeof(row.skipped[0]);
  for (const paxos::SlotRecord& record : write.learned)
    more += record.value.size() + kSlotHeaderBytes;
  for (const Row& row : write.rows) more += row.bytes.size() + 16;
  bytes += more;
  state_bytes += more;
  if (!state) {
    state = std::move(write);
    return;
  }
  state->numbers = write.numbers;
  append(state->learned, std::move(write.learned));
  append(state->index, std::move(write.index));
  append(state->rows, std::move(write.rows));
}

void write(const Transaction& transaction, Promised& promised, ValuesAside& aside, Redo& redo) {
  if (transaction.identity) {
    redo.put(Table::meta, kIdentityKey, seal_identity(*transaction.identity));
  }
  if (transaction.history) {
    redo.put(Table::meta, kHistoryKey, seal_history(*transaction.history));
  }
  write_votes(transaction.votes, promised, aside, redo);
  // The learner's records come last: a chosen value replaces a vote for another one.
  if (transaction.state) write_state(*transaction.state, aside, redo);
}

}  // namespace stele::log
