#include <doctest/doctest.h>

#include "tests/log/store/files/store_files_bench.h"

namespace stele::log {
namespace {

using namespace store_files_bench;

}  // namespace

TEST_SUITE("log.store_files.unsynced") {
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
}

}  // namespace stele::log
