#include "tests/sim/disk/memory_store.h"

#include <algorithm>
#include <utility>

namespace stele::sim {
namespace {

std::size_t bytes_of(const log::StateWrite& write) {
  std::size_t bytes = 64 + (write.index.size() + write.runs.size()) * 64;
  for (const paxos::SlotRecord& record : write.learned) bytes += record.value.size() + 64;
  for (const log::Row& row : write.rows) bytes += row.bytes.size() + 16;
  return bytes;
}

}  // namespace

// What a killed process left in the page cache must be durable before anything is answered.
MemoryStore::MemoryStore(net::Loop& loop, Disk& disk, Hooks hooks)
    : loop_(loop), disk_(disk), hooks_(std::move(hooks)) {
  disk_.sync();
  identity_ = disk_.cached.identity;
  history_ = disk_.cached.history;
  commits_found_ = commits_ = disk_.cached.commits;
  report_snapshots();
}

void MemoryStore::post(std::function<void()> task) {
  loop_.post([alive = alive_, task = std::move(task)] {
    if (*alive) task();
  });
}

void MemoryStore::read_later(std::function<void()> task) {
  if (!hooks_.read_later) return post(std::move(task));
  hooks_.read_later([this, alive = alive_, task = std::move(task)] {
    if (*alive && !failed_) task();
  });
}

// --- Commits ---------------------------------------------------------------------------

void MemoryStore::want_commit() {
  if (!waiting_.urgent || failed_) return;
  if (hooks_.commit_wanted) hooks_.commit_wanted();
}

std::optional<std::size_t> MemoryStore::begin_commit() {
  if (failed_ || !dirty()) return std::nullopt;
  Batch taken = std::exchange(waiting_, {});
  for (log::StateWrite& later : std::exchange(taken.txn.later, {})) {
    waiting_.bytes += bytes_of(later);
    taken.bytes -= bytes_of(later);
    waiting_.txn.add_state(std::move(later));
    waiting_.urgent = true;
  }
  committing_.push_back(std::move(taken));
  return committing_.back().bytes;
}

std::size_t MemoryStore::finish_commit() {
  auto batch = std::make_shared<Batch>(std::move(committing_.front()));
  committing_.pop_front();
  disk_.write(batch->txn);
  disk_.sync();
  if (batch->txn.state && batch->txn.state->snapshot) take_snapshot();
  std::vector<log::SlotsRead> found;
  for (const VoteRead& ask : batch->reads) {
    found.push_back(
        read(std::max(ask.begin, disk_.cached.numbers.chosen_end), ask.end, ask.bytes_max));
  }
  post([this, batch, found = std::move(found), numbers = disk_.cached.numbers,
        holding = disk_.cached.holding, commits = disk_.cached.commits]() mutable {
    backlog_ -= batch->bytes;
    commits_ = commits;
    readable_ = numbers;
    holding_ = holding;
    for (const auto& durable : batch->durable) durable();
    for (std::size_t i = 0; i < found.size(); ++i) batch->reads[i].done(std::move(found[i]));
  });
  want_commit();
  return 1;
}

/// It is written beside the commits; a process that ends before that has taken none.
void MemoryStore::take_snapshot() {
  if (std::exchange(taking_snapshot_, true)) {
    ++snapshots_.given_up;
    snapshots_.why_given_up = "the one before is still being written";
    return;
  }
  read_later([this, snapshot = disk_.asked_for.rbegin()->second] {
    taking_snapshot_ = false;
    disk_.add(snapshot);
    ++snapshots_.taken;
    report_snapshots();
    snapshots_.why_given_up.clear();
  });
}

void MemoryStore::report_snapshots() {
  snapshots_.kept.clear();
  for (const auto& [slot, snapshot] : disk_.snapshots) snapshots_.kept.push_back(snapshot.info);
}

void MemoryStore::read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                                std::function<void(std::vector<std::byte>)> done) {
  read_later([this, slot, digest, part, done = std::move(done)] {
    const auto found = disk_.snapshots.find(slot);
    const bool here = found != disk_.snapshots.end() && found->second.info.digest == digest &&
                      part <= found->second.pieces.size();
    if (!here) return done({});
    if (part != 0) return done(found->second.pieces[part - 1]);
    std::vector<std::byte> bytes = log::encode_head(found->second.manifest.head);
    const std::vector<std::byte> tail = log::encode_tail(found->second.manifest);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    done(std::move(bytes));
  });
}

void MemoryStore::begin_fetch(log::SnapshotManifest manifest,
                              std::function<void(Result<std::size_t>)> done) {
  read_later([this, manifest = std::move(manifest), done = std::move(done)] {
    Snapshot& received = disk_.received;
    if (received.manifest != manifest) received = {{}, manifest, {}};
    done(received.pieces.size());
  });
}

void MemoryStore::add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) {
  read_later([this, piece = std::move(piece), done = std::move(done)] {
    Snapshot& received = disk_.received;
    const std::size_t number = received.pieces.size();
    const auto& pieces = received.manifest.pieces;
    if (number >= pieces.size() || log::piece_digest(piece, number) != pieces[number].digest)
      return done(fail(Errc::corrupt, "not the next piece"));
    received.pieces.push_back(piece);
    if (received.pieces.size() == pieces.size()) {
      Snapshot complete = std::exchange(received, {});
      complete.info = {complete.manifest.head.slot, complete.manifest.digest(),
                       complete.manifest.content_bytes(), 0};
      disk_.add(std::move(complete));
      report_snapshots();
    }
    done({});
  });
}

bool MemoryStore::keep_snapshots(const std::set<Slot>& slots) {
  const bool there =
      std::ranges::all_of(slots, [this](Slot slot) { return disk_.snapshots.contains(slot); });
  if (there) disk_.stay = slots;
  return there;
}

void MemoryStore::install(Slot slot, log::CheckState check,
                          std::function<void(Result<void>)> done) {
  read_later([this, slot, check = std::move(check), done = std::move(done)] {
    const auto found = disk_.snapshots.find(slot);
    if (found == disk_.snapshots.end()) return done(fail(Errc::corrupt, "it is not here"));
    Txn staged;
    staged.add_install(found->second, holding_, holding_.generation + 1);
    if (auto sound = check(staged.install->numbers, staged.installed_rows); !sound) {
      return done(std::move(sound));
    }
    waiting_.txn.add_install(found->second, holding_, holding_.generation + 1);
    waiting_.durable.push_back([done] { done({}); });
    waiting_.urgent = true;
    want_commit();
  });
}

void MemoryStore::read_run(std::uint64_t run, Slot slot_end,
                           std::function<void(log::RunRead)> done) {
  read_later([this, run, slot_end, done = std::move(done)] {
    const Image& image = disk_.cached;
    const Slot begin = log::begin_of_run(run);
    std::map<Slot, log::IndexRow> rows;
    for (const auto& [lsn, row] : image.index) rows[row.slot] = row;
    log::RunRead read;
    read.known = begin >= std::max(image.holding.first_slot, image.holding.slots_begin) &&
                 slot_end <= image.numbers.chosen_end;
    for (Slot slot = begin; slot < slot_end; ++slot) {
      const auto record = image.slots.find(slot);
      if (record == image.slots.end() || image.rotten.contains(slot)) {
        read.known = false;
        continue;
      }
      const paxos::Value& value = record->second.value;
      const auto row = rows.find(slot);
      read.slots.push_back({row == rows.end() ? log::IndexRow{{}, slot, 0, {}} : row->second,
                            static_cast<std::uint8_t>(value.kind()), value.size(), value.digest()});
    }
    done(std::move(read));
  });
}

void MemoryStore::fail_commit(const std::string& reason) {
  failed_ = true;
  post([this, reason] {
    if (hooks_.failed) hooks_.failed({Errc::io, reason});
  });
}

void MemoryStore::crash(bool power, Random& random, Coverage& coverage) {
  failed_ = true;
  if (committing_.empty()) return;
  coverage.count(power ? Path::power_failures_within_a_commit : Path::kills_within_a_commit);
  for (const Batch& batch : committing_) {
    if (!power && random.chance(50)) return;
    disk_.write(batch.txn);
  }
}

// --- Writes ----------------------------------------------------------------------------

void MemoryStore::write_identity(const log::Identity& identity, std::function<void()> durable) {
  identity_ = identity;
  waiting_.txn.identity = identity;
  if (durable) waiting_.durable.push_back(std::move(durable));
  waiting_.urgent = true;
  want_commit();
}

void MemoryStore::write_history(const log::History& history, std::function<void()> durable) {
  history_ = history;
  waiting_.txn.history = history;
  if (durable) waiting_.durable.push_back(std::move(durable));
  waiting_.urgent = true;
  want_commit();
}

Result<log::StoreContent> MemoryStore::load() {
  const Image& image = disk_.cached;
  log::StoreContent content;
  content.numbers = image.numbers;
  content.acceptor.chosen_end = image.numbers.chosen_end;
  content.acceptor.promise_faulty = image.promise_rotten;
  if (!image.promise_rotten) content.acceptor.promised = image.promised;
  readable_ = image.numbers;
  holding_ = image.holding;
  for (const auto& [at, bytes] : image.rows) {
    content.rows.push_back({at.first, at.second, bytes});
  }
  return content;
}

void MemoryStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                              std::function<void()> durable) {
  if (writes.empty()) {
    if (!waiting_.txn.votes.empty()) {
      waiting_.durable.push_back(std::move(durable));
    } else if (!committing_.empty()) {
      committing_.back().durable.push_back(std::move(durable));
    } else {
      post(std::move(durable));
    }
    return;
  }
  for (const paxos::Acceptor::Write& write : writes) {
    std::size_t bytes = 64;
    if (const auto* accepted = std::get_if<paxos::WriteAccepted>(&write)) {
      bytes += accepted->record.value.size();
    }
    waiting_.bytes += bytes;
    backlog_ += bytes;
  }
  waiting_.txn.add_votes(std::move(writes));
  if (durable) waiting_.durable.push_back(std::move(durable));
  waiting_.urgent = true;
  want_commit();
}

void MemoryStore::write_state(log::StateWrite write) {
  const std::size_t bytes = bytes_of(write);
  waiting_.bytes += bytes;
  backlog_ += bytes;
  waiting_.txn.add_state(std::move(write));
}

void MemoryStore::flush() {
  if (!waiting_.txn.state && !waiting_.txn.trim && waiting_.txn.copies.empty()) return;
  waiting_.urgent = true;
  want_commit();
}

// --- Reads -----------------------------------------------------------------------------

log::SlotsRead MemoryStore::read(Slot begin, Slot end, std::size_t bytes_max) const {
  const Image& image = disk_.cached;
  log::SlotsRead read;
  read.chosen_end = image.numbers.chosen_end;
  read.first_slot = std::max(image.holding.first_slot, image.holding.slots_begin);
  if (begin < image.holding.slots_begin) return read;
  std::size_t bytes = 0;
  auto at = image.slots.lower_bound(begin);
  for (; at != image.slots.end() && at->first < end; ++at) {
    const std::size_t size = at->second.value.size() + log::kSlotHeaderBytes;
    if (bytes != 0 && bytes + size > bytes_max) return read;
    bytes += size;
    if (image.rotten.contains(at->first)) {
      read.faulty = at->first;
      return read;
    }
    read.records.push_back(at->second);
  }
  read.last = at == image.slots.end();
  return read;
}

void MemoryStore::read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                             std::function<void(log::SlotsRead)> done) {
  // The learner bounds what it asks for; a promise tells everything.
  if (slot_begin != slot_end && slot_end.value != UINT64_MAX) tell(Hooks::Reading::latest_votes);
  waiting_.reads.push_back({slot_begin, slot_end, bytes_max, std::move(done)});
  waiting_.urgent = true;
  want_commit();
}

/// As of now, although it takes a while.
void MemoryStore::peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                             std::function<void(log::SlotsRead)> done) {
  tell(Hooks::Reading::own_votes);
  read_later([found = read(slot_begin, slot_end, bytes_max), done = std::move(done)]() mutable {
    done(std::move(found));
  });
}

void MemoryStore::read_chosen(Slot slot_begin, std::size_t bytes_max,
                              std::function<void(log::SlotsRead)> done) {
  read_later([this, slot_begin, bytes_max, done = std::move(done)] {
    done(read(slot_begin, disk_.cached.numbers.chosen_end, bytes_max));
  });
}

void MemoryStore::read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                               std::function<void(log::EntriesRead)> done) {
  tell(Hooks::Reading::old_entries);
  read_later([this, lsn_begin, lsn_end, bytes_max, done = std::move(done)] {
    const Image& image = disk_.cached;
    log::EntriesRead read;
    read.lsn_begin = lsn_begin;
    const Lsn end = std::min(lsn_end, image.numbers.next_lsn);
    read.elsewhere = lsn_begin < image.holding.entries_begin;
    if (read.elsewhere) return done(read);
    auto row = image.index.upper_bound(lsn_begin);
    if (row == image.index.begin()) return done(read);  // Trimmed.
    --row;
    for (; row != image.index.end() && read.lsn_end() < end; ++row) {
      if (image.rotten.contains(row->second.slot)) {
        read.fault = "rotten";
        read.faulty_slot = row->second.slot;
        break;
      }
      const paxos::SlotRecord& record = image.slots.at(row->second.slot);
      if (!log::add_entries(record.value, row->second, end, bytes_max, read)) break;
    }
    done(read);
  });
}

void MemoryStore::find_run(std::function<bool(const log::RunRow&)> reached,
                           std::function<void(std::optional<log::RunRow>)> done) {
  read_later([this, reached = std::move(reached), done = std::move(done)] {
    std::optional<log::RunRow> best;
    for (const auto& [number, row] : disk_.cached.runs) {
      if (reached(row)) best = row;
    }
    done(best);
  });
}

void MemoryStore::read_rows(std::vector<log::RowKey> keys,
                            std::function<void(std::vector<log::Row>)> done) {
  read_later([this, keys = std::move(keys), done = std::move(done)] {
    std::vector<log::Row> rows;
    for (const auto& [table, key] : keys) {
      const auto found = disk_.cached.rows.find({table, key});
      const bool there = found != disk_.cached.rows.end();
      rows.push_back({table, key, there ? found->second : std::vector<std::byte>()});
    }
    done(std::move(rows));
  });
}

}  // namespace stele::sim
