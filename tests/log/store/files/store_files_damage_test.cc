#include <doctest/doctest.h>

#include "tests/log/store/files/store_files_bench.h"

namespace stele::log {
namespace {

using namespace store_files_bench;

}  // namespace

TEST_SUITE("log.store_files.damage") {
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
}

}  // namespace stele::log
