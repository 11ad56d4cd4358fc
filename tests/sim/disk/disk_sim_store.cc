#include "tests/sim/disk/disk_sim_store.h"

#include <filesystem>
#include <iterator>
#include <utility>

#include "log/state/log_state.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/snapshot_file.h"
#include "tests/sim/checker/violation.h"

namespace stele::sim {
namespace {

constexpr std::uint64_t kMapBytes = 256 << 20;

/// Small ones, so that the journal is often full and often passed by, and segments are many.
log::StoreFiles::Options file_options(LmdbFiles& files) {
  return {.map_bytes = kMapBytes,
          .sections = log::tables_of(log::known_sections()),
          .journal_bytes = 128 << 10,
          .small_bytes_max = files.small_bytes_max,
          .lacking_bytes_max = files.lacking_bytes_max,
          .values = {.segment_bytes = 200 << 10,
                     .cached_bytes_max = 300 << 10,
                     .made = [&files](const std::string& path) { files.watched.watch(path); }}};
}

template <class T>
T must(Result<T> result, const std::string& what) {
  if (!result) throw Violation("3", what + ": " + result.error().detail);
  return *std::move(result);
}

/// Everything that the files hold.
Image read_image(const std::string& directory) {
  const std::vector<log::SectionTable> sections = log::tables_of(log::known_sections());
  auto lmdb = must(
      log::Lmdb::open(directory, {.map_bytes = kMapBytes, .sections = sections, .read_only = true}),
      "the store cannot be opened");
  auto txn = must(lmdb.begin(false), "the store cannot be read");
  log::ValueReader values(directory);
  using log::Table;
  Image image;
  if (const auto sealed = must(txn.get(Table::meta, log::kIdentityKey), "identity")) {
    image.identity = must(log::unseal_identity(*sealed), "identity");
  }
  if (const auto sealed = must(txn.get(Table::meta, log::kHistoryKey), "history")) {
    image.history = must(log::unseal_history(*sealed), "history");
  }
  if (const auto sealed = must(txn.get(Table::meta, log::kPromiseKey), "promise")) {
    image.promised = must(log::unseal_promised(*sealed), "promise").ballot;
  }
  if (const auto sealed = must(txn.get(Table::meta, log::kNumbersKey), "numbers")) {
    const log::StoredNumbers numbers = must(log::unseal_numbers(*sealed), "numbers");
    image.numbers = numbers.state;
    image.holding = numbers.holding;
  }
  const auto walk = [&](Table table, auto take) {
    log::Lmdb::Cursor cursor(txn, table);
    for (bool found = cursor.first(); found; found = cursor.next()) take(cursor);
    if (!cursor.status()) throw Violation("3", cursor.status().error().detail);
  };
  walk(Table::slots, [&](const log::Lmdb::Cursor& at) {
    image.slots[{at.key()}] = must(log::read_slot({at.key()}, at.value(), &values), "a slot");
  });
  walk(Table::index, [&](const log::Lmdb::Cursor& at) {
    image.index[{at.key()}] =
        must(log::unseal_index_row({at.key()}, at.value()), "a row of the index");
  });
  walk(Table::runs, [&](const log::Lmdb::Cursor& at) {
    // Those after it are of a snapshot that was not installed.
    if (at.key() > log::run_of(image.numbers.chosen_end)) return;
    image.runs[at.key()] = must(log::unseal_run_row(at.key(), at.value()), "a run");
  });
  for (const log::SectionTable& section : sections) {
    walk(section.table, [&](const log::Lmdb::Cursor& at) {
      const auto key = must(log::parse_stored_key(section.table, at.key_bytes()), "a key");
      if (key.generation != image.holding.generation) return;
      log::Row row =
          must(log::unseal_row(section.table, at.key_bytes(), at.value()), "a row of a section");
      image.rows[{row.table, row.key}] = std::move(row.bytes);
    });
  }
  return image;
}

bool same(const Image& a, const Image& b) {
  const auto same_record = [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.ballot == y.second.ballot &&
           x.second.epoch == y.second.epoch && x.second.value.kind() == y.second.value.kind() &&
           x.second.value.size() == y.second.value.size() &&
           x.second.value.digest() == y.second.value.digest();
  };
  return a.identity == b.identity && a.history == b.history && a.promised == b.promised &&
         a.numbers == b.numbers && a.holding == b.holding && a.index == b.index &&
         a.runs == b.runs && a.rows == b.rows && a.slots.size() == b.slots.size() &&
         std::equal(a.slots.begin(), a.slots.end(), b.slots.begin(), same_record);
}

/// A start that does not come to its end.
void recover_in_part(LmdbFiles& files, Random& random) {
  files.watched.die_after(random.below(8));
  must(log::StoreFiles::open(files.directory, file_options(files)), "the files");
  if (random.chance(50)) {
    files.watched.lose_power(random);
  } else {
    files.watched.lose_process();
  }
}

}  // namespace

void LmdbSimStore::check_files(Disk& disk, LmdbFiles& files, Random& random) {
  if (files.watched.empty()) return;
  while (random.chance(30)) recover_in_part(files, random);
  must(log::StoreFiles::open(files.directory, file_options(files)), "the files");
  if (random.chance(30)) files.watched.lose_power(random);  // What was found must stay.
  const Image found = read_image(files.directory);
  // The most first: one that changes nothing looks like the one before.
  std::vector<Image> states{disk.cached};
  for (const Txn& txn : files.uncertain) txn.apply(states.emplace_back(states.back()));
  while (!states.empty() && !same(found, states.back())) states.pop_back();
  if (states.empty()) {
    throw Violation("3",
                    "after a crash the store holds neither the state before the commits "
                    "under way nor one after some of them");
  }
  for (std::size_t i = 0; i + 1 < states.size(); ++i) disk.write(files.uncertain[i]);
  files.uncertain.clear();
  // One of a state that did not become durable was taken by a process that had died before.
  for (const Slot slot : log::list_snapshots(files.directory)) {
    if (slot <= disk.cached.numbers.chosen_end) continue;
    std::filesystem::remove(log::snapshot_path(files.directory, slot));
  }
}

std::unique_ptr<LmdbSimStore> LmdbSimStore::open(net::Loop& loop, Disk& disk, LmdbFiles& files,
                                                 MemoryStore::Hooks hooks, Random& random) {
  check_files(disk, files, random);
  std::unique_ptr<LmdbSimStore> store(
      new LmdbSimStore(loop, disk, files, std::move(hooks), random.fork(2)));
  store->always_cached_ = random.chance(50);
  log::LmdbStore::Options options;
  options.files = file_options(files);
  options.commit_wanted = [self = store.get()] { self->hooks_.commit_wanted(); };
  auto directory = must(log::DataDirectory::open(files.directory), "the directory");
  store->real_ =
      must(log::LmdbStore::open(std::move(directory), options, loop,
                                [](const Error& error) { throw Violation("3", error.detail); }),
           "the store");
  store->real_->keep_cached(store->always_cached_);
  if (files.watched.empty()) {
    files.watched.watch(files.directory + "/data.mdb");
    files.watched.watch(files.directory + "/journal");
  }
  disk.sync();  // Opening has done so.
  store->compare_snapshots();
  return store;
}

std::optional<std::size_t> LmdbSimStore::begin_commit() {
  if (!real_->begin_commit()) return std::nullopt;
  under_way_.push_back(waiting_.take());
  return 0;
}

std::size_t LmdbSimStore::finish_commit() {
  sync_out_of_order(random_);
  compare_snapshots();  // What was given up since counts on them.
  const std::size_t told = real_->finish_commit();
  for (std::size_t i = 0; i < told; ++i) disk_.write(under_way_[i]);
  under_way_.erase(under_way_.begin(), under_way_.begin() + static_cast<std::ptrdiff_t>(told));
  disk_.sync();
  if (const std::string wrong = real_->check(); !wrong.empty()) throw Violation("check", wrong);
  return told;
}

/// A snapshot of the files is that of the model, or one that another node has given it.
void LmdbSimStore::compare_snapshots() {
  for (const log::SnapshotInfo& kept : real_->snapshots().kept) {
    if (disk_.snapshots.contains(kept.slot)) continue;
    const auto expected = disk_.asked_for.find(kept.slot);
    if (expected != disk_.asked_for.end() && expected->second.info.digest != kept.digest) {
      throw Violation("13", "the snapshot in the files at slot " + std::to_string(kept.slot.value) +
                                " is not that of the state");
    }
    if (const auto snapshot = read_file(kept.slot)) disk_.add(*snapshot);
  }
}

std::optional<Snapshot> LmdbSimStore::read_file(Slot slot) const {
  const auto file = log::SnapshotFile::open(log::snapshot_path(files_.directory, slot));
  if (!file) return std::nullopt;
  Snapshot snapshot{file->info(), file->manifest(), {}};
  for (std::size_t i = 0; i < file->manifest().pieces.size(); ++i) {
    snapshot.pieces.push_back(must(file->read(i), "a piece"));
  }
  return snapshot;
}

void LmdbSimStore::sync_out_of_order(Random& random) {
  while (under_way_.size() > 1 && random.chance(30)) {
    real_->sync_commit(random.between(1, under_way_.size() - 1));
  }
}

void LmdbSimStore::sync() {
  if (!real_) return;
  do {
    while (!under_way_.empty()) finish_commit();
    real_->flush();
  } while (begin_commit());
}

void LmdbSimStore::crash(bool power, Random& random, Coverage& coverage) {
  sync_out_of_order(random);
  if (random.chance(70)) {
    if (random.chance(50)) {
      files_.watched.fail_sync_after(random.below(4), random.fork(1));
    } else {
      // A record of the journal takes two, a write and a sync.
      files_.watched.die_after(random.chance(50) ? 1 : random.below(8));
    }
    static_cast<void>(begin_commit());
    if (!under_way_.empty()) {
      coverage.count(Path::failed_commits);
      real_->finish_commit();
    }
  }
  files_.uncertain = std::move(under_way_);
  if (!files_.uncertain.empty()) {
    coverage.count(power ? Path::power_failures_within_a_commit : Path::kills_within_a_commit);
  }
  real_.reset();  // Nobody has the files open any more.
  if (power) {
    files_.watched.lose_power(random);
  } else {
    files_.watched.lose_process();
  }
}

void LmdbSimStore::keep_cached(bool keep) {
  if (real_) real_->keep_cached(keep || always_cached_);
}

void LmdbSimStore::write_identity(const log::Identity& identity, std::function<void()> durable) {
  waiting_.identity = identity;
  real_->write_identity(identity, std::move(durable));
}

void LmdbSimStore::write_history(const log::History& history, std::function<void()> durable) {
  if (!real_) return;
  waiting_.history = history;
  real_->write_history(history, std::move(durable));
}

void LmdbSimStore::write_votes(std::vector<paxos::Acceptor::Write> writes,
                               std::function<void()> durable) {
  waiting_.add_votes(writes);
  real_->write_votes(std::move(writes), std::move(durable));
}

void LmdbSimStore::write_state(log::StateWrite write) {
  if (!real_) return;  // Crashed: nothing is written at the end.
  waiting_.add_state(write);
  real_->write_state(std::move(write));
}

void LmdbSimStore::begin_fetch(log::SnapshotManifest manifest,
                               std::function<void(Result<std::size_t>)> done) {
  real_->begin_fetch(std::move(manifest), std::move(done));
}

void LmdbSimStore::add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) {
  real_->add_piece(std::move(piece), std::move(done));
}

/// The real one queues it when all is found to be right with it.
void LmdbSimStore::install(Slot slot, log::CheckState check,
                           std::function<void(Result<void>)> done) {
  const auto note = [this, slot, check = std::move(check)](
                        const log::StateNumbers& numbers,
                        const std::vector<log::Row>& rows) -> Result<void> {
    if (auto sound = check(numbers, rows); !sound) return sound;
    const log::Holding& own = real_->holding();
    waiting_.add_install(read_file(slot).value(), own, own.generation + 1);
    return {};
  };
  real_->install(slot, note, std::move(done));
}

void LmdbSimStore::write_copy(log::CopyWrite write) {
  waiting_.copies.push_back(write);
  real_->write_copy(std::move(write));
}

void LmdbSimStore::write_trim(const log::TrimWrite& write) {
  waiting_.add_trim(write);
  real_->write_trim(write);
}

}  // namespace stele::sim
