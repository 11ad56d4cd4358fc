#include "log/store/files/store_files.h"

#include <doctest/doctest.h>

#include "tests/log/store/files/store_files_bench.h"

namespace stele::log {
namespace {

using namespace store_files_bench;

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
      void on_segments_gone(std::vector<std::uint32_t>) override {}
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
    CHECK(bench.files->readable().state.next_lsn == Lsn{1});
    bench.commit({}, true);
    CHECK(bench.files->readable().state.next_lsn == Lsn{9});
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

  TEST_CASE(
      "aside: what is larger than a page goes to the value log, however much the journal takes") {
    Bench bench;
    Transaction pages = vote(1, 500);
    CHECK(bench.begin(pages, true));
    CHECK_FALSE(std::filesystem::exists(bench.path("values/1")));
    CHECK(bench.begin(vote(2, 5000), true));
    CHECK(std::filesystem::exists(bench.path("values/1")));
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
