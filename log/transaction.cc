#include "log/transaction.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "log/lmdb.h"
#include "log/redo.h"

namespace stele::log {
namespace {

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

template <class Tables>
Result<void> write_record(const paxos::Record& record, Tables& tables) {
  const auto room =
      tables.reserve(Table::slots, record.slot.value, kSlotHeaderBytes + record.value.size());
  if (!room) return tl::unexpected<Error>(room.error());
  write_slot_header(record, room->template first<kSlotHeaderBytes>());
  record.value.copy_to(room->data() + kSlotHeaderBytes);
  return {};
}

template <class Tables>
Result<void> write_votes(const std::vector<paxos::Acceptor::Write>& votes, Promised& promised,
                         Tables& tables) {
  const Ballot before = promised.ballot;
  for (const paxos::Acceptor::Write& write : votes) {
    if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
      promised.ballot = std::max(promised.ballot, promise->ballot);
      continue;
    }
    const paxos::Record& record = std::get<paxos::WriteAccepted>(write).record;
    promised.ballot = std::max(promised.ballot, record.ballot);
    if (auto done = write_record(record, tables); !done) return done;
  }
  if (promised.ballot == before) return {};
  return tables.put(Table::meta, kPromiseKey, seal_promised(promised));
}

template <class Tables>
Result<void> write_state(const StateWrite& state, Tables& tables) {
  Result<void> done;
  for (const paxos::Record& record : state.learned) {
    if (done) done = write_record(record, tables);
  }
  for (const IndexRow& row : state.rows) {
    if (done) done = tables.put(Table::index, row.first_lsn.value, seal_row(row));
  }
  for (const SessionImage& session : state.sessions) {
    if (!done) break;
    done = session.bytes.empty()
               ? tables.erase(Table::sessions, session.id.value)
               : tables.put(Table::sessions, session.id.value,
                            seal(Table::sessions, session.id.value, session.bytes));
  }
  if (done) done = tables.put(Table::meta, kNumbersKey, seal_numbers(state.numbers));
  return done;
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
  std::size_t more = 64 + write.rows.size() * 64;
  for (const paxos::Record& record : write.learned) more += record.value.size() + kSlotHeaderBytes;
  for (const SessionImage& session : write.sessions) more += session.bytes.size() + 16;
  bytes += more;
  state_bytes += more;
  if (!state) {
    state = std::move(write);
    return;
  }
  state->numbers = write.numbers;
  append(state->learned, std::move(write.learned));
  append(state->rows, std::move(write.rows));
  append(state->sessions, std::move(write.sessions));
}

template <class Tables>
Result<void> write(const Transaction& transaction, Promised& promised, Tables& tables) {
  Result<void> done;
  if (transaction.identity) {
    done = tables.put(Table::meta, kIdentityKey, seal_identity(*transaction.identity));
  }
  if (done) done = write_votes(transaction.votes, promised, tables);
  // The learner's records come last: a chosen value replaces a vote for another one.
  if (done && transaction.state) done = write_state(*transaction.state, tables);
  return done;
}

template Result<void> write(const Transaction&, Promised&, Lmdb::Txn&);
template Result<void> write(const Transaction&, Promised&, Redo&);

}  // namespace stele::log
