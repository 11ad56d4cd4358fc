#include "tests/sim/disk/disk.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

#include "log/format/snapshot.h"
#include "paxos/base/check.h"

namespace stele::sim {
namespace {

void put(const paxos::SlotRecord& record, Image& image) {
  image.slots[record.slot] = record;
  image.rotten.erase(record.slot);
}

}  // namespace

// In the order in which log::LmdbStore writes: the learner's records replace votes.
void Txn::apply(Image& image) const {
  if (identity || !votes.empty() || state || trim || install || !copies.empty()) ++image.commits;
  if (identity) image.identity = identity;
  if (history) image.history = *history;
  for (const paxos::Acceptor::Write& write : votes) {
    if (const auto* promise = std::get_if<paxos::WritePromised>(&write)) {
      image.promised = std::max(image.promised, promise->ballot);
    } else {
      const paxos::SlotRecord& record = std::get<paxos::WriteAccepted>(write).record;
      image.promised = std::max(image.promised, record.ballot);
      if (record.slot >= image.holding.slots_begin) put(record, image);
    }
  }
  if (trim) {
    Slot& first = image.holding.first_slot;
    first = std::max(first, trim->slot_end);
    image.holding.snapshot = std::max(image.holding.snapshot, trim->snapshot);
    image.slots.erase(image.slots.begin(), image.slots.lower_bound(first));
    image.rotten.erase(image.rotten.begin(), image.rotten.lower_bound(first));
    image.index.erase(image.index.begin(), image.index.lower_bound(trim->lsn_end));
    image.runs.erase(image.runs.begin(), image.runs.lower_bound(log::run_of(first)));
  }
  for (const log::CopyWrite& copy : copies) {
    for (const paxos::SlotRecord& record : copy.records) {
      if (record.slot >= image.holding.first_slot) put(record, image);
    }
    for (const log::IndexRow& row : copy.index) {
      if (row.slot >= image.holding.first_slot) image.index[row.first_lsn] = row;
    }
    if (copy.slots_begin == Slot{} || copy.known_begin != image.holding.slots_begin) continue;
    image.holding.slots_begin = copy.slots_begin;
    image.holding.entries_begin = copy.entries_begin;
    image.holding.begin_digest = 0;
  }
  if (install) {
    image.numbers = install->numbers;
    const Slot first = image.holding.first_slot;
    image.holding = install->holding;
    image.holding.first_slot = first;
    image.rows.clear();
    for (const log::Row& row : installed_rows) image.rows[{row.table, row.key}] = row.bytes;
    for (const log::RunRow& row : installed_runs) image.runs[row.number] = row;
  }
  if (!state) return;
  for (const paxos::SlotRecord& record : state->learned) {
    if (record.slot >= image.holding.first_slot) put(record, image);
  }
  for (const log::IndexRow& row : state->index) image.index[row.first_lsn] = row;
  for (const log::RunRow& row : state->runs) image.runs[row.number] = row;
  for (const log::Row& row : state->rows) {
    if (row.bytes.empty()) {
      image.rows.erase({row.table, row.key});
    } else {
      image.rows[{row.table, row.key}] = row.bytes;
    }
  }
  image.numbers = state->numbers;
}

void Txn::add_votes(std::vector<paxos::Acceptor::Write> writes) {
  votes.insert(votes.end(), std::make_move_iterator(writes.begin()),
               std::make_move_iterator(writes.end()));
}

void Txn::add_state(log::StateWrite write) {
  if (state && state->snapshot) return later.push_back(std::move(write));
  if (!state) {
    state = std::move(write);
    return;
  }
  const auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  state->numbers = write.numbers;
  state->snapshot = write.snapshot;
  append(state->learned, write.learned);
  append(state->index, write.index);
  append(state->runs, write.runs);
  append(state->rows, write.rows);
}

void Txn::add_trim(const log::TrimWrite& write) {
  if (!trim) trim = write;
  trim->slot_end = std::max(trim->slot_end, write.slot_end);
  trim->lsn_end = std::max(trim->lsn_end, write.lsn_end);
  trim->snapshot = std::max(trim->snapshot, write.snapshot);
}

void Txn::add_install(const Snapshot& snapshot, const log::Holding& holding,
                      std::uint32_t generation) {
  install.emplace();
  install->holding = holding;
  for (const std::vector<std::byte>& piece : snapshot.pieces) {
    std::span<const std::byte> rest = piece;
    while (!rest.empty()) {
      log::Row row = log::take_row(rest).value();
      if (row.table == log::Table::meta) {
        install->numbers = log::numbers_of(row).value();
      } else if (row.table == log::Table::runs) {
        installed_runs.push_back(log::run_of(row).value());
      } else {
        installed_rows.push_back(std::move(row));
      }
    }
  }
  log::Holding& own = install->holding;
  own.slots_begin = install->numbers.chosen_end;
  own.entries_begin = install->numbers.next_lsn;
  own.begin_digest = install->numbers.run_digest;
  own.generation = generation;
  own.snapshot = install->numbers.chosen_end;
}

Txn Txn::take() {
  Txn taken = std::exchange(*this, {});
  for (log::StateWrite& write : std::exchange(taken.later, {})) add_state(std::move(write));
  return taken;
}

Snapshot snapshot_of(const Image& image) {
  Snapshot snapshot;
  log::SnapshotManifest& manifest = snapshot.manifest;
  manifest.head = {image.identity->cluster_id, image.numbers.chosen_end};
  log::SnapshotPacker packer([&](std::span<const std::byte> piece) -> Result<void> {
    manifest.pieces.push_back({piece.size(), log::piece_digest(piece, manifest.pieces.size())});
    snapshot.pieces.emplace_back(piece.begin(), piece.end());
    return {};
  });
  const auto must = [](const Result<void>& done) { STELE_CHECK(done.has_value()); };
  must(packer.add(image.numbers));
  for (const auto& [number, row] : image.runs) {
    // A later one begins in what is trimmed, too: nobody needs this one.
    const bool trimmed = std::any_of(
        image.runs.upper_bound(number), image.runs.end(),
        [&](const auto& later) { return later.second.next_lsn <= image.numbers.first_lsn; });
    if (!trimmed) must(packer.add(row));
  }
  for (const auto& [at, bytes] : image.rows) must(packer.add(at.first, at.second, bytes));
  must(packer.finish());
  snapshot.info = {manifest.head.slot, manifest.digest(), manifest.content_bytes(), 0};
  return snapshot;
}

void Disk::write(const Txn& txn) {
  txn.apply(cached);
  unsynced.push_back(txn);
  if (!txn.state || !txn.state->snapshot) return;
  Snapshot expected = snapshot_of(cached);
  const Slot slot = expected.info.slot;
  asked_for[slot] = std::move(expected);
  if (asked_for.size() > 64) asked_for.erase(asked_for.begin());
}

void Disk::sync() {
  for (const Txn& txn : std::exchange(unsynced, {})) {
    txn.apply(synced);
    if (on_durable) on_durable(txn);
  }
}

void Disk::add(Snapshot snapshot) {
  if (on_snapshot) on_snapshot(snapshot);
  const Slot slot = snapshot.info.slot;
  snapshots[slot] = std::move(snapshot);
  for (auto at = snapshots.begin(); snapshots.size() > 2 && at != std::prev(snapshots.end(), 2);) {
    at = stay.contains(at->first) ? std::next(at) : snapshots.erase(at);
  }
}

void Disk::lose_power(std::size_t survive) {
  unsynced.resize(std::min(survive, unsynced.size()));
  sync();
  cached = synced;
}

void Disk::rot(Slot slot) {
  synced.rotten.insert(slot);
  cached.rotten.insert(slot);
}

void Disk::rot_promise() { synced.promise_rotten = cached.promise_rotten = true; }

}  // namespace stele::sim
