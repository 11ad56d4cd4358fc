#include "log/store/files/store_files.h"

#include <doctest/doctest.h>
#include <lmdb.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "log/store/files/table_reads.h"
#include "tests/sim/disk/file_layer.h"
#include "tests/support/cached_pages.h"
#include "tests/support/commands.h"
#include "tests/support/directory.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::record;

/// Each half of the journal has room for four small transactions, a segment for two large ones.
StoreFiles::Options options() {
  return {.map_bytes = kTestMapBytes,
          .sections = kTestTables,
          .journal_bytes = 8 * kPageBytes,
          .small_bytes_max = 1000,
          .behind_bytes_max = 1 << 20,
          .values = {.segment_bytes = 3 * kPageBytes}};
}

Transaction vote(std::uint64_t slot, std::size_t bytes = 10) {
  Transaction transaction;
  transaction.add({paxos::WriteAccepted{record(slot, {1, kN1}, std::string(bytes, 'v'))}});
  return transaction;
}

struct Bench {
  Bench() { open(); }
  void open() {
    files.reset();
    auto opened = StoreFiles::open(directory.path(), options());
    REQUIRE_MESSAGE(opened.has_value(), opened.error().detail);
    files.emplace(*std::move(opened));
  }
  void commit(const Transaction& transaction, bool readable = false) {
    REQUIRE(files->commit(transaction, readable));
  }
  /// Written and not synced; whether that went well.
  [[nodiscard]] bool begin(const Transaction& transaction, bool aside) {
    return files->begin(transaction, aside).has_value();
  }
  [[nodiscard]] SlotsRead read() {
    auto txn = files->lmdb().begin(false);
    const auto found = get_records(*txn, files->values(), {1}, {UINT64_MAX}, 1 << 20);
    REQUIRE(found);
    return *found;
  }
  /// The slots that LMDB has.
  [[nodiscard]] std::vector<std::uint64_t> slots() {
    std::vector<std::uint64_t> slots;
    for (const paxos::SlotRecord& found : read().records) slots.push_back(found.slot.value);
    return slots;
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return directory.path() + "/" + name;
  }
  /// Closed as by a crash, one byte of a file changes.
  void damage(const std::string& name, std::size_t at) {
    files.reset();
    std::fstream file(path(name), std::ios::in | std::ios::out | std::ios::binary);
    const char there = static_cast<char>(file.seekg(static_cast<std::streamoff>(at)).get());
    file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(there ^ 1));
  }
  /// What opening complains about.
  [[nodiscard]] Error error() {
    files.reset();
    const auto opened = StoreFiles::open(directory.path(), options());
    REQUIRE_FALSE(opened.has_value());
    return opened.error();
  }

  TestDirectory directory;
  std::optional<StoreFiles> files;
};

using Slots = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE("log.store_files") {
  TEST_CASE("small or large, it is in LMDB after a restart, and not before") {
    for (const std::size_t bytes : {10UL, 5000UL}) {
      Bench bench;
      bench.commit(vote(1, bytes));
      CHECK(bench.slots().empty());
      bench.open();
      REQUIRE(bench.slots() == Slots{1});
      CHECK(bench.read().records[0] == record(1, {1, kN1}, std::string(bytes, 'v')));
    }
  }

  TEST_CASE("large values stay where they were written first: LMDB has only their places") {
    Bench bench;
    bench.commit(vote(1, 5000), true);
    auto txn = bench.files->lmdb().begin(false);
    CHECK((*txn->get(Table::slots, 1))->size() == kSlotHeaderBytes);
    CHECK(std::filesystem::file_size(bench.path("values/1")) == 2 * kPageBytes);
  }

  TEST_CASE("keep_cached: large values are then read back without the disk, others with it") {
    Bench bench;
    if (!knows_nowait_reads(bench.directory.path())) return;
    bench.files->keep_cached(true);
    bench.commit(vote(1, 5000), true);
    bench.commit(vote(2, 5000), true);  // Read together with the first.
    CHECK(bench.slots() == Slots{1, 2});
    CHECK(bench.files->values().cached_reads() == 1);
    bench.files->keep_cached(false);
    bench.commit(vote(3, 5000), true);
    CHECK(bench.slots() == Slots{1, 2, 3});
    CHECK(bench.files->values().cached_reads() == 2);
  }

  TEST_CASE("a file system that takes O_DIRECT and no direct read or write") {
    TestDirectory directory;
    sim::WatchedFiles watched;
    watched.refuse_direct_io();
    StoreFiles::Options refused = options();
    refused.values.made = [&](const std::string& path) { watched.watch(path); };
    for (std::uint64_t slot = 1; slot <= 3; ++slot) {
      auto files = StoreFiles::open(directory.path(), refused);
      REQUIRE_MESSAGE(files.has_value(), files.error().detail);
      REQUIRE(files->commit(vote(slot, 5000), slot % 2 == 0));
    }  // Closed as by a crash.
    auto files = StoreFiles::open(directory.path(), refused);
    REQUIRE(files.has_value());
    auto txn = files->lmdb().begin(false);
    const auto found = get_records(*txn, files->values(), {1}, {UINT64_MAX}, 1 << 20);
    REQUIRE(found);
    CHECK(found->records.size() == 3);
  }

  TEST_CASE("when half of the journal is full, what it holds moves to LMDB, beside commits") {
    Bench bench;
    struct : CheckpointListener {
      void on_checkpoint_begun() override { ++begun; }
      int begun = 0;
    } listener;
    bench.files->listen(listener);
    for (std::uint64_t slot = 1; slot <= 4; ++slot) bench.commit(vote(slot));
    CHECK(listener.begun == 0);
    bench.commit(vote(5));
    CHECK(listener.begun == 1);
    CHECK(bench.slots().empty());
    REQUIRE(bench.files->run_checkpoint());
    CHECK(bench.slots() == Slots{1, 2, 3, 4});
    CHECK(bench.files->run_checkpoint());  // There is nothing more to do.
    bench.commit(vote(6));
    bench.open();
    CHECK(bench.slots() == Slots{1, 2, 3, 4, 5, 6});
  }

  TEST_CASE("a half is not used again before LMDB has what it held, by any thread") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 8; ++slot) bench.commit(vote(slot));
    CHECK(bench.slots().empty());
    bench.commit(vote(9));  // Nobody has run the checkpoint: this commit does.
    CHECK(bench.slots() == Slots{1, 2, 3, 4});
    bench.open();
    CHECK(bench.slots() == Slots{1, 2, 3, 4, 5, 6, 7, 8, 9});
  }

  TEST_CASE("killed with a checkpoint begun, and at any time after it: everything is there") {
    for (std::uint64_t more = 0; more <= 9; ++more) {
      Bench bench;
      Slots expected;
      const auto commit = [&](std::uint64_t slot) {
        bench.commit(vote(slot, slot % 3 == 0 ? 5000 : 10));
        expected.push_back(slot);
      };
      for (std::uint64_t slot = 1; slot <= 7; ++slot) commit(slot);
      if (more % 2 == 0) REQUIRE(bench.files->run_checkpoint());
      for (std::uint64_t slot = 8; slot < 8 + more; ++slot) commit(slot);
      bench.open();
      CHECK(bench.slots() == expected);
    }
  }

  TEST_CASE(
      "quick: one write and one sync, also into the other half, but not while that is needed") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 4; ++slot) bench.commit(vote(slot));
    CHECK(bench.files->quick(vote(5)));
    bench.commit(vote(5));
    CHECK(bench.files->quick(vote(6)));
    for (std::uint64_t slot = 6; slot <= 8; ++slot) bench.commit(vote(slot));
    CHECK_FALSE(bench.files->quick(vote(9)));
    REQUIRE(bench.files->run_checkpoint());
    CHECK(bench.files->quick(vote(9)));
    CHECK_FALSE(bench.files->quick(vote(9, 5000)));
  }

  TEST_CASE("LMDB lags by no more than two parts of its bound") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 30; ++slot) bench.commit(vote(slot, 100'000));
    CHECK(bench.slots().size() > 5);
    bench.open();
    CHECK(bench.slots().size() == 10);  // As many as one read takes.
  }

  TEST_CASE("readable: it can be read at once, and so can all before it") {
    Bench bench;
    bench.commit(vote(1));
    Transaction state;
    StateWrite write;
    write.numbers.chosen_end = {2};
    write.numbers.next_lsn = {9};
    state.add(std::move(write));
    bench.commit(state);
    CHECK(bench.files->readable().next_lsn == Lsn{1});
    bench.commit({}, true);
    CHECK(bench.files->readable().next_lsn == Lsn{9});
    CHECK(bench.slots() == Slots{1});
  }

  TEST_CASE("a later transaction replaces what an earlier one wrote, wherever each is") {
    Bench bench;
    for (const std::size_t bytes : {10UL, 5000UL, 20UL, 6000UL, 30UL}) {
      bench.commit(vote(1, bytes));
    }
    bench.open();
    CHECK(bench.read().records.at(0).value.size() == 30);
  }

  TEST_CASE("the promise is raised by votes as well") {
    Bench bench;
    bench.commit(vote(1));
    bench.open();
    auto txn = bench.files->lmdb().begin(false);
    const auto sealed = txn->get(Table::meta, kPromiseKey);
    REQUIRE(*sealed);
    CHECK(unseal_promised(**sealed)->ballot == Ballot{1, kN1});
  }

  TEST_CASE("a small transaction whose redo is larger than the journal goes to the value log") {
    Bench bench;
    Transaction transaction;
    for (std::uint64_t slot = 1; slot <= 300; ++slot) {
      transaction.add({paxos::WriteAccepted{record(slot, {1, kN1}, "v")}});
    }
    transaction.bytes = 900;
    bench.commit(transaction);
    bench.open();
    CHECK(bench.slots().size() == 300);
  }

  TEST_CASE("segments: one follows the other, also while LMDB lags") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 5; ++slot) bench.commit(vote(slot, 5000));
    CHECK(std::filesystem::exists(bench.path("values/3")));
    bench.open();
    CHECK(bench.slots().size() == 5);
    bench.commit(vote(6, 5000));
    bench.commit(vote(7, 5000));
    bench.open();
    CHECK(bench.slots().size() == 7);
    CHECK(bench.files->used_bytes() > 7 * 5000);
  }

  TEST_CASE("a torn last record is none, whichever part is torn, and is cut off") {
    // Head, values, redo.
    for (const std::size_t at : {3UL, 2000UL, kRecordHeadBytes + 5000UL + 20}) {
      Bench bench;
      bench.commit(vote(1, 5000));
      bench.commit(vote(2));
      bench.commit(vote(3, 5000));
      bench.damage("values/1", 2 * kPageBytes + at);
      bench.open();
      CHECK(bench.slots() == Slots{1, 2});
      CHECK(std::filesystem::file_size(bench.path("values/1")) == 2 * kPageBytes);
      bench.commit(vote(4, 5000));
      bench.open();
      CHECK(bench.slots() == Slots{1, 2, 4});
    }
  }

  // Protocol-Aware Recovery: faulty is not absent.
  TEST_CASE("a damaged record with others after it was durable: the store is corrupt") {
    Bench bench;
    bench.commit(vote(1));
    bench.commit(vote(2, 5000));
    bench.commit(vote(3));
    SUBCASE("in the journal") { bench.damage("journal", kPageBytes + 40); }
    SUBCASE("in the value log") { bench.damage("values/1", 11); }
    const Error error = bench.error();
    CHECK(error.code == Errc::corrupt);
    CHECK(error.detail.find("before it is damaged") != std::string::npos);
  }

  TEST_CASE("a damaged value that was durable is a faulty slot") {
    Bench bench;
    bench.commit(vote(1, 5000));
    bench.commit(vote(2));
    bench.damage("values/1", 2000);
    bench.open();
    CHECK(bench.read().faulty == Slot{1});
    // A new vote repairs it.
    bench.commit(vote(1, 6000), true);
    CHECK(bench.slots() == Slots{1, 2});
  }

  TEST_CASE("a segment or the journal that is missing, empty or not its own: nothing is changed") {
    namespace fs = std::filesystem;
    Bench other;
    other.commit(vote(1, 5000));
    other.files.reset();
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 5; ++slot) bench.commit(vote(slot, 5000), true);
    bench.files.reset();
    REQUIRE(fs::exists(bench.path("values/3")));
    const auto files = [&] {
      std::set<std::string> all;
      for (const auto& entry : fs::directory_iterator(bench.path("values"))) {
        all.insert(entry.path().filename().string() + " " + std::to_string(entry.file_size()));
      }
      return all;
    };
    const auto refused = [&](const std::string& name, auto act) {
      fs::copy(bench.path(name), bench.path("kept"));
      act();
      const auto before = files();
      CAPTURE(name);
      CHECK(bench.error().code == Errc::corrupt);
      CHECK(files() == before);
      fs::rename(bench.path("kept"), bench.path(name));
    };
    for (const std::string name : {"values/1", "values/2", "values/3", "journal"}) {
      const std::string path = bench.path(name);
      refused(name, [&] { fs::remove(path); });
      refused(name, [&] { fs::resize_file(path, 0); });
      refused(name, [&] {
        const std::string from = name == "journal" ? name : "values/1";
        fs::copy(other.path(from), path, fs::copy_options::overwrite_existing);
      });
    }
    // After the last one they would be cut off.
    fs::copy(other.path("values/1"), bench.path("values/4"));
    CHECK(bench.error().code == Errc::corrupt);
    fs::rename(bench.path("values/4"), bench.path("values/6"));
    CHECK(bench.error().code == Errc::corrupt);
    CHECK(fs::exists(bench.path("values/6")));
    fs::remove(bench.path("values/6"));
    // Of one that was begun last, nothing may have reached the disk, or only its later pages.
    std::ofstream(bench.path("values/4")) << std::string(3 * kPageBytes, '\0');
    bench.open();
    CHECK_FALSE(fs::exists(bench.path("values/4")));
    // Damage is no other store.
    bench.damage("values/1", 3);
    bench.open();
    CHECK(bench.slots() == Slots{1, 2, 3, 4, 5});
  }

  // A record that found no room there went to the journal, where a checkpoint had made some.
  TEST_CASE("a segment in which nothing has been written yet is no reason to refuse a start") {
    Bench bench;
    bench.commit(vote(1), true);
    bench.files.reset();
    {
      auto lmdb = Lmdb::open(bench.path(""), {.map_bytes = kTestMapBytes, .sections = kTestTables});
      REQUIRE(lmdb);
      auto txn = lmdb->begin(true);
      auto mark = unseal_journal_mark(**txn->get(Table::meta, kJournalKey));
      REQUIRE(mark);
      mark->values_end = {1, 0};
      REQUIRE(txn->put(Table::meta, kJournalKey, seal_journal_mark(*mark)));
      REQUIRE(txn->commit());
    }
    std::ofstream(bench.path("values/1")).close();
    bench.open();
    bench.commit(vote(2, 5000));
    bench.open();
    CHECK(bench.slots() == Slots{1, 2});
  }

  TEST_CASE("values beside the tables of a store that has none: nothing is changed") {
    namespace fs = std::filesystem;
    Bench bench;
    bench.commit(vote(1, 5000));
    bench.files.reset();
    Bench young;
    young.commit(vote(1), true);
    young.files.reset();
    fs::remove(bench.path("lock.mdb"));
    for (const char* name : {"data.mdb", "journal"}) {
      fs::copy(young.path(name), bench.path(name), fs::copy_options::overwrite_existing);
    }
    CHECK(bench.error().code == Errc::corrupt);
    CHECK(fs::exists(bench.path("values/1")));
  }

  TEST_CASE(
      "tables that are empty, or those of another store, beside a journal: nothing is changed") {
    Bench bench;
    bench.commit(vote(1));
    bench.commit(vote(2, 5000));
    bench.files.reset();
    const auto read_all = [&](const std::string& name) {
      std::ifstream file(bench.path(name), std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const auto unchanged = [&](auto act) {
      const std::string journal = read_all("journal");
      const std::string values = read_all("values/1");
      act();
      CHECK(bench.error().code == Errc::corrupt);
      CHECK(read_all("journal") == journal);
      CHECK(read_all("values/1") == values);
    };
    std::filesystem::copy(bench.path("data.mdb"), bench.path("kept"));
    const auto put_back = [&](const char* from) {
      std::filesystem::remove(bench.path("lock.mdb"));
      std::filesystem::copy(from, bench.path("data.mdb"),
                            std::filesystem::copy_options::overwrite_existing);
    };
    TestDirectory fresh;
    { REQUIRE(Lmdb::open(fresh.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables})); }
    unchanged([&] { put_back(fresh.sub("data.mdb").c_str()); });
    Bench other;
    other.commit(vote(1));
    other.files.reset();
    unchanged([&] { put_back(other.path("data.mdb").c_str()); });
    // Nor beside one that was cut off, and no values.
    std::filesystem::copy(bench.path("journal"), bench.path("kept journal"));
    std::filesystem::copy(bench.path("values/1"), bench.path("kept values"));
    put_back(fresh.sub("data.mdb").c_str());
    std::filesystem::resize_file(bench.path("journal"), 8 * kPageBytes);
    std::filesystem::remove(bench.path("values/1"));
    const std::string cut = read_all("journal");
    CHECK(bench.error().code == Errc::corrupt);
    CHECK(read_all("journal") == cut);
    std::filesystem::rename(bench.path("kept journal"), bench.path("journal"));
    std::filesystem::rename(bench.path("kept values"), bench.path("values/1"));
    // Its own again, and an end of the value log that is gone.
    put_back(bench.path("kept").c_str());
    bench.open();
    bench.files.reset();
    std::filesystem::resize_file(bench.path("values/1"), kPageBytes);
    CHECK(bench.error().code == Errc::corrupt);
    std::filesystem::resize_file(bench.path("values/1"), 0);
    CHECK(bench.error().code == Errc::corrupt);
  }

  // After a clean stop no number is missing: it would be cut off, and written over.
  TEST_CASE("another store's value log after a clean stop: corrupt, and nothing is changed") {
    Bench other;
    for (std::uint64_t slot = 1; slot <= 2; ++slot) other.commit(vote(slot, 5000), true);
    other.files.reset();
    Bench bench;
    bench.commit(vote(1, 5000), true);
    bench.files.reset();
    const auto copied = std::filesystem::copy_options::overwrite_existing;
    std::filesystem::copy_file(bench.path("values/1"), bench.path("own"));
    std::filesystem::copy_file(other.path("values/1"), bench.path("values/1"), copied);
    const auto size = std::filesystem::file_size(bench.path("values/1"));
    const Error error = bench.error();
    CHECK(error.code == Errc::corrupt);
    CHECK(error.detail.find("holds no record of this store") != std::string::npos);
    CHECK(std::filesystem::file_size(bench.path("values/1")) == size);
    std::filesystem::copy_file(bench.path("own"), bench.path("values/1"), copied);
    std::filesystem::remove(bench.path("own"));
    bench.open();
    CHECK(bench.slots() == Slots{1});
  }

  TEST_CASE("another program's tables are left alone") {
    TestDirectory directory;
    {
      MDB_env* env = nullptr;
      REQUIRE(mdb_env_create(&env) == 0);
      mdb_env_set_maxdbs(env, 2);
      REQUIRE(mdb_env_open(env, directory.path().c_str(), 0, 0640) == 0);
      MDB_txn* txn = nullptr;
      REQUIRE(mdb_txn_begin(env, nullptr, 0, &txn) == 0);
      MDB_dbi dbi = 0;
      REQUIRE(mdb_dbi_open(txn, "theirs", MDB_CREATE, &dbi) == 0);
      REQUIRE(mdb_txn_commit(txn) == 0);
      mdb_env_close(env);
    }
    for (int i = 0; i < 2; ++i) {
      const auto opened = StoreFiles::open(directory.path(), options());
      REQUIRE_FALSE(opened.has_value());
      CHECK(opened.error().code == Errc::foreign_directory);
    }
  }

  TEST_CASE("a first start that ended before LMDB knew of its journal begins anew") {
    TestDirectory directory;
    {
      REQUIRE(Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables}));
    }
    std::ofstream(directory.path() + "/journal") << "half made";
    CHECK(StoreFiles::open(directory.path(), options()).has_value());
  }

  // The order in which the disk writes them is its own.
  TEST_CASE("several under way: those after one that is not whole do not count") {
    Bench bench;
    bench.commit(vote(1));
    for (const std::uint64_t slot : {2UL, 3UL, 4UL}) CHECK(bench.begin(vote(slot), false));
    CHECK(bench.files->under_way() == 3);
    bench.damage("journal", 3 * kPageBytes + 40);  // The third of four.
    bench.open();
    CHECK(bench.slots() == Slots{1, 2});
    // The fourth, which is still there, is not taken for one that is written now.
    bench.commit(vote(7));
    bench.open();
    CHECK(bench.slots() == Slots{1, 2, 7});
  }

  TEST_CASE("several under way: a torn value after the last one that is durable, and before it") {
    Bench bench;
    CHECK(bench.begin(vote(1, 5000), false));
    CHECK(bench.begin(vote(2, 5000), false));
    SUBCASE("not known to be durable: neither counts") {
      bench.damage("values/1", 2000);
      bench.open();
      CHECK(bench.slots().empty());
      bench.commit(vote(3, 5000));
      bench.open();
      CHECK(bench.slots() == Slots{3});
    }
    SUBCASE("known to be durable: a faulty slot") {
      for (int i = 0; i < 2; ++i) REQUIRE(bench.files->end());
      bench.commit(vote(3));
      bench.damage("values/1", 2000);
      bench.open();
      CHECK(bench.read().faulty == Slot{1});
    }
  }

  // Rot is told from what never reached the disk.
  TEST_CASE("untold: one more record says that the last ones are durable") {
    for (const bool told : {false, true}) {
      Bench bench;
      CHECK(bench.begin(vote(1), false));
      CHECK(bench.begin(vote(2), false));
      CHECK_FALSE(bench.files->untold());
      for (int i = 0; i < 2; ++i) REQUIRE(bench.files->end());
      CHECK(bench.files->untold());
      if (told) bench.commit({});
      CHECK(bench.files->untold() == !told);
      CHECK(bench.files->commits() == 2);
      bench.damage("journal", kPageBytes + 50);
      if (told) {
        CHECK(bench.error().code == Errc::corrupt);
      } else {
        bench.open();
        CHECK(bench.slots().empty());
      }
    }
  }

  TEST_CASE("LMDB has only what is durable, and a half waits for what is not") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 3; ++slot) bench.commit(vote(slot));
    CHECK(bench.begin(vote(4), false));
    REQUIRE(bench.files->checkpoint());
    CHECK(bench.slots() == Slots{1, 2, 3});
    for (std::uint64_t slot = 5; slot <= 8; ++slot) CHECK(bench.begin(vote(slot), false));
    CHECK_FALSE(std::filesystem::exists(bench.path("values/1")));
    // The other half is full, too, and this one has the fourth: what comes next goes elsewhere.
    CHECK(bench.begin(vote(9), false));
    CHECK(std::filesystem::exists(bench.path("values/1")));
    SUBCASE("all are durable") {}
    SUBCASE("the fourth is not") {
      bench.damage("journal", 4 * kPageBytes + 50);
      bench.open();
      CHECK(bench.slots() == Slots{1, 2, 3});
      return;
    }
    for (int i = 0; i < 6; ++i) REQUIRE(bench.files->end());
    for (std::uint64_t slot = 10; slot <= 30; ++slot) bench.commit(vote(slot));
    bench.open();
    CHECK(bench.slots().size() == 30);
  }

  TEST_CASE(
      "aside: what is larger than a page goes to the value log, however much the journal takes") {
    Bench bench;
    Transaction pages = vote(1, 500);
    CHECK(bench.begin(pages, true));
    CHECK_FALSE(std::filesystem::exists(bench.path("values/1")));
    CHECK(bench.begin(vote(2, 5000), true));
    CHECK(std::filesystem::exists(bench.path("values/1")));
  }

  TEST_CASE("numbers are never used again, though a torn record had one") {
    Bench bench;
    bench.commit(vote(1));
    bench.files.reset();
    std::string page(kPageBytes, '\0');
    std::ifstream(bench.path("journal")).seekg(kPageBytes).read(page.data(), kPageBytes);
    bench.damage("journal", kPageBytes + 40);  // As if it had never been acknowledged.
    bench.open();
    bench.commit(vote(7));
    bench.files.reset();
    // Should its page come back, after the new record, it must not be taken for the next one.
    std::fstream again(bench.path("journal"), std::ios::in | std::ios::out | std::ios::binary);
    again.seekp(2 * kPageBytes).write(page.data(), kPageBytes);
    again.close();
    bench.open();
    CHECK(bench.slots() == Slots{7});
  }

  // A full disk is no reason to end as long as the reserve lasts.
  TEST_CASE("a full disk: what does not fit is written again into space that was kept") {
    for (const std::uint64_t reserve : {std::uint64_t{0}, std::uint64_t{4 << 20}}) {
      TestDirectory directory;
      StoreFiles::Options kept = options();
      kept.reserve_bytes = reserve;
      {
        auto files = StoreFiles::open(directory.path(), kept);
        REQUIRE(files.has_value());
        REQUIRE(files->commit(vote(1), true));
      }
      sim::WatchedFiles watched;
      watched.watch(directory.sub("data.mdb"));
      kept.values.made = [&](const std::string& path) { watched.watch(path); };
      auto files = StoreFiles::open(directory.path(), kept);
      REQUIRE(files.has_value());
      files->reserve().refill(UINT64_MAX);
      REQUIRE(files->commit(vote(2, 5000), false));  // Makes the segment.
      watched.fill_up(2);
      // Raises the promise, which must not be left out the second time.
      Transaction higher;
      higher.add({paxos::WriteAccepted{record(3, {9, kN1}, std::string(5000, 'h'))}});
      const auto large = files->commit(higher, false);
      const std::uint64_t held = files->reserve().held_bytes();
      if (reserve == 0) {
        REQUIRE_FALSE(large.has_value());
        CHECK(large.error().code == Errc::no_space);
        continue;
      }
      REQUIRE_MESSAGE(large.has_value(), large.error().detail);
      CHECK(held == 2 << 20);
      // LMDB's file grows with what it takes over.
      watched.fill_up(1);
      for (std::uint64_t slot = 4; slot < 300; ++slot)
        REQUIRE(files->commit(vote(slot, 900), false));
      REQUIRE(files->checkpoint());
      CHECK(files->reserve().held_bytes() == 1 << 20);
      files->reserve().refill(1 << 20);  // There is no room for it.
      CHECK(files->reserve().held_bytes() == 1 << 20);
      files->reserve().refill(1 << 30);
      CHECK(files->reserve().held_bytes() == reserve);
      auto txn = files->lmdb().begin(false);
      const auto sealed = txn->get(Table::meta, kPromiseKey);
      REQUIRE((sealed && *sealed));
      CHECK(unseal_promised(**sealed)->ballot == Ballot{9, kN1});
    }
  }
}

}  // namespace stele::log
