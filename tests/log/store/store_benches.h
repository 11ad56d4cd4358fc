// Stores for the tests of what every store promises: over real files, and the simulated one.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/store/disk/disk_store.h"
#include "log/store/files/lmdb.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/directory.h"

namespace stele::log {

inline constexpr Slot kEnd{UINT64_MAX};

using Slots = std::vector<std::uint64_t>;

inline Slots slots_of(const SlotsRead& read) {
  Slots slots;
  for (const paxos::SlotRecord& record : read.records) slots.push_back(record.slot.value);
  return slots;
}

/// A store on a loop of its own; reopened as after a restart. What is called waits for its end.
class StoreBench {
 public:
  virtual ~StoreBench() = default;

  void be(const Identity& identity) {
    bool durable = false;
    store->write_identity(identity, [&] { durable = true; });
    REQUIRE(run_until([&] { return durable; }));
  }
  void restart() {
    store.reset();
    open();
  }
  void vote(std::vector<paxos::SlotRecord> records) {
    std::vector<paxos::Acceptor::Write> writes;
    for (paxos::SlotRecord& record : records) {
      writes.emplace_back(paxos::WriteAccepted{std::move(record)});
    }
    bool durable = false;
    store->write_votes(std::move(writes), [&] { durable = true; });
    REQUIRE(run_until([&] { return durable; }));
  }
  SlotsRead votes(std::uint64_t begin, std::size_t bytes_max = 1 << 20, Slot end = kEnd) {
    std::optional<SlotsRead> read;
    store->read_votes({begin}, end, bytes_max, [&](SlotsRead found) { read = std::move(found); });
    REQUIRE(run_until([&] { return read.has_value(); }));
    return *read;
  }
  SlotsRead chosen(std::uint64_t begin, std::size_t bytes_max = 1 << 20) {
    std::optional<SlotsRead> read;
    store->read_chosen({begin}, bytes_max, [&](SlotsRead found) { read = std::move(found); });
    REQUIRE(run_until([&] { return read.has_value(); }));
    return *read;
  }
  EntriesRead entries(std::uint64_t begin, std::uint64_t end, std::size_t bytes_max = 1 << 20) {
    std::optional<EntriesRead> read;
    store->read_entries({begin}, {end}, bytes_max,
                        [&](EntriesRead found) { read = std::move(found); });
    REQUIRE(run_until([&] { return read.has_value(); }));
    return *read;
  }
  void state(StateWrite write) {
    store->write_state(std::move(write));
    store->flush();
    REQUIRE(run_until([&] { return store->backlog_bytes() == 0; }));
  }

  virtual void open() = 0;
  [[nodiscard]] virtual bool run_until(const std::function<bool()>& done) = 0;
  /// Damages the record of a slot, while the store is closed.
  virtual void damage(Slot slot) = 0;
  virtual void damage_promise() = 0;

  std::unique_ptr<Store> store;
  StoreContent content;

 protected:
  /// A directory that belongs to somebody.
  static Identity identity() {
    return {"stele", 9, paxos::kN2, 77, {{paxos::kN1, 5}, {paxos::kN2, 77}}};
  }
  void load() {
    auto loaded = store->load();
    REQUIRE(loaded);
    content = *std::move(loaded);
  }
};

class LmdbBench : public StoreBench {
 public:
  explicit LmdbBench(bool with_identity = true, StoreFiles::Options files = {},
                     bool loop_commits = false)
      : files_(std::move(files)), loop_commits_(loop_commits) {
    files_.map_bytes = kTestMapBytes;
    files_.sections = kTestTables;
    LmdbBench::open();
    if (with_identity) be(identity());
  }
  ~LmdbBench() override { store.reset(); }

  void open() override {
    auto opened_directory = DataDirectory::open(directory.path());
    REQUIRE(opened_directory);
    auto opened = LmdbStore::open(*std::move(opened_directory), {.files = files_}, loop_,
                                  [this](const Error& error) { failure = error.detail; });
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    store = *std::move(opened);
    store->let_loop_commit(loop_commits_);
    load();
  }
  [[nodiscard]] bool run_until(const std::function<bool()>& done) override {
    return log::run_until(context, done);
  }
  void damage(Slot slot) override {
    store.reset();
    ValuePlace place;
    {
      auto lmdb =
          Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
      auto txn = lmdb->begin(false);
      place = read_slot_header(slot, **txn->get(Table::slots, slot.value))->place;
    }
    if (place.segment == 0) return damage(Table::slots, slot.value, kSlotHeaderBytes + 1);
    std::fstream file(segment_path(directory.path(), place.segment),
                      std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(place.offset)).put('!');
    file.close();
    open();
  }
  void damage_promise() override { damage(Table::meta, kPromiseKey, 1); }
  /// One bit of one byte.
  void damage(Table table, std::uint64_t key, std::size_t at) {
    store.reset();
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    REQUIRE(lmdb);
    {
      auto txn = lmdb->begin(true);
      const auto found = txn->get(table, key);
      std::vector<std::byte> bytes((*found)->begin(), (*found)->end());
      bytes.at(at) ^= std::byte{1};
      REQUIRE(txn->put(table, key, bytes));
      REQUIRE(txn->commit());
    }
    lmdb = Lmdb();
    open();
  }

  TestDirectory directory;
  asio::io_context context{1};
  std::string failure;

 private:
  StoreFiles::Options files_;
  bool loop_commits_;
  net::AsioLoop loop_{context};
};

/// Every value goes to the value log.
class ValueLogBench final : public LmdbBench {
 public:
  explicit ValueLogBench(bool with_identity = true)
      : LmdbBench(with_identity, {.small_bytes_max = 0}) {}
};

/// The loop commits what is small.
class LoopBench final : public LmdbBench {
 public:
  explicit LoopBench(bool with_identity = true) : LmdbBench(with_identity, {}, true) {}
};

class MemoryBench final : public StoreBench {
 public:
  explicit MemoryBench(bool with_identity = true) {
    open();
    if (with_identity) be(identity());
  }
  ~MemoryBench() override { store.reset(); }

  void open() override {
    auto memory = std::make_unique<sim::MemoryStore>(loop_, disk_);
    memory_ = memory.get();
    store = std::move(memory);
    load();
  }
  [[nodiscard]] bool run_until(const std::function<bool()>& done) override {
    for (int i = 0; i < 10 && !done(); ++i) {
      loop_.run();
      memory_->sync();
      loop_.run();
    }
    return done();
  }
  void damage(Slot slot) override {
    disk_.rot(slot);
    restart();
  }
  void damage_promise() override {
    disk_.rot_promise();
    restart();
  }

 private:
  sim::SimLoop loop_{1};
  sim::Disk disk_;
  sim::MemoryStore* memory_ = nullptr;
};

}  // namespace stele::log
