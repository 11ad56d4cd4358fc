#include "tests/sim/memory_store.h"

#include <algorithm>
#include <utility>

namespace stele::sim {

void MemoryStore::post(std::function<void()> task) {
  loop_.post([alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

void MemoryStore::sync() {
  for (const auto& write : std::exchange(queue_, {})) write();
}

void MemoryStore::write_identity(const log::Identity& identity, std::function<void()> durable) {
  queue_.push_back([this, identity, durable = std::move(durable)] {
    disk_.identity = identity;
    if (durable) post(durable);
  });
}

Result<log::StoreContent> MemoryStore::load() {
  log::StoreContent content;
  content.numbers = disk_.numbers;
  content.acceptor.promised = disk_.promised;
  content.acceptor.chosen_end = disk_.numbers.chosen_end;
  content.acceptor.promise_faulty = disk_.promise_rotten;
  for (const auto& [id, bytes] : disk_.sessions) {
    content.sessions.emplace(id, *log::Session::parse(bytes));
  }
  return content;
}

void MemoryStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                              std::function<void()> durable) {
  if (writes.empty() && queue_.empty()) {
    post(std::move(durable));
    return;
  }
  queue_.push_back([this, writes = std::move(writes), durable = std::move(durable)] {
    for (const paxos::Acceptor::Write& write : writes) {
      if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
        disk_.promised = std::max(disk_.promised, promise->ballot);
      } else {
        const paxos::Record& record = std::get<paxos::WriteAccepted>(write).record;
        disk_.promised = std::max(disk_.promised, record.ballot);
        put(record);
      }
    }
    if (durable) post(durable);
  });
}

void MemoryStore::write_state(log::StateWrite write) {
  queue_.push_back([this, write = std::move(write)] {
    for (const paxos::Record& record : write.learned) put(record);
    for (const log::IndexRow& row : write.rows) disk_.index[row.first_lsn] = row;
    for (const log::SessionImage& session : write.sessions) {
      if (session.bytes.empty()) {
        disk_.sessions.erase(session.id);
      } else {
        disk_.sessions[session.id] = session.bytes;
      }
    }
    disk_.numbers = write.numbers;
  });
}

void MemoryStore::put(const paxos::Record& record) {
  disk_.slots[record.slot] = record;
  disk_.rotten.erase(record.slot);
}

log::SlotsRead MemoryStore::read(Slot begin, Slot end, std::size_t bytes_max) const {
  log::SlotsRead read;
  read.chosen_end = disk_.numbers.chosen_end;
  std::size_t bytes = 0;
  auto at = disk_.slots.lower_bound(begin);
  for (; at != disk_.slots.end() && at->first < end; ++at) {
    if (bytes != 0 && bytes + at->second.value.size() > bytes_max) return read;
    if (disk_.rotten.contains(at->first)) {
      read.faulty = at->first;
      return read;
    }
    bytes += at->second.value.size() + 1;
    read.records.push_back(at->second);
  }
  read.last = at == disk_.slots.end();
  return read;
}

void MemoryStore::read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                             std::function<void(log::SlotsRead)> done) {
  queue_.push_back([this, slot_begin, slot_end, bytes_max, done = std::move(done)] {
    auto found = read(std::max(slot_begin, disk_.numbers.chosen_end), slot_end, bytes_max);
    post([done, found = std::move(found)] { done(found); });
  });
}

void MemoryStore::read_chosen(Slot slot_begin, std::size_t bytes_max,
                              std::function<void(log::SlotsRead)> done) {
  post([this, slot_begin, bytes_max, done = std::move(done)] {
    done(read(slot_begin, disk_.numbers.chosen_end, bytes_max));
  });
}

void MemoryStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                               std::function<void(log::EntriesRead)> done) {
  post([this, lsn_begin, lsn_end, bytes_max, done = std::move(done)] {
    log::EntriesRead read;
    read.lsn_begin = lsn_begin;
    const Lsn end = std::min(lsn_end, disk_.numbers.next_lsn);
    auto row = disk_.index.upper_bound(lsn_begin);
    if (row != disk_.index.begin()) --row;
    for (; row != disk_.index.end() && read.lsn_end() < end; ++row) {
      if (disk_.rotten.contains(row->second.slot)) {
        read.fault = "rotten";
        read.faulty_slot = row->second.slot;
        break;
      }
      const paxos::Record& record = disk_.slots.at(row->second.slot);
      if (!log::add_entries(record.value, row->second, end, bytes_max, read)) break;
    }
    done(read);
  });
}

}  // namespace stele::sim
