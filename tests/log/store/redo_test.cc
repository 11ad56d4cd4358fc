#include "log/store/redo.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/directory.h"

namespace stele::log {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string get(Lmdb::Txn& txn, Table table, TableKey key) {
  const auto found = txn.get(table, key);
  REQUIRE(found);
  if (!*found) return "none";
  return {reinterpret_cast<const char*>((*found)->data()), (*found)->size()};
}

std::vector<std::byte> session(std::uint64_t id) { return stored_key(1, key_of(id)); }

}  // namespace

TEST_SUITE("log.redo") {
  TEST_CASE("what was written down is done, in order") {
    Redo redo;
    redo.put(Table::meta, 9, bytes_of("first"));
    redo.put(Table::meta, 9, bytes_of("second"));
    const auto room = redo.reserve(Table::slots, 7, 3);
    std::ranges::copy(bytes_of("abc"), room.begin());
    redo.put(Table::sessions, session(1), bytes_of("gone"));
    redo.erase(Table::sessions, session(1));
    redo.put(Table::sessions, session(3), bytes_of("older"));
    redo.erase(Table::sessions, session(3));
    redo.put(Table::sessions, session(3), bytes_of("newest"));
    redo.put(Table::index, 2, {});

    TestDirectory directory;
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    auto txn = lmdb->begin(true);
    REQUIRE(apply_redo(redo.bytes(), *txn));
    CHECK(get(*txn, Table::meta, 9) == "second");
    CHECK(get(*txn, Table::slots, 7) == "abc");
    CHECK(get(*txn, Table::sessions, session(1)) == "none");
    CHECK(get(*txn, Table::sessions, session(3)) == "newest");
    CHECK(get(*txn, Table::index, 2).empty());
  }

  TEST_CASE("a range is erased, and what lies beside it stays") {
    TestDirectory directory;
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    auto txn = lmdb->begin(true);
    Redo redo;
    for (const std::uint64_t key : {3U, 4U, 7U, 9U, 10U})
      redo.put(Table::slots, key, bytes_of("x"));
    redo.put(Table::index, 5, bytes_of("y"));
    redo.erase_range(Table::slots, 4, 10);
    redo.erase_range(Table::index, 6, 100);
    REQUIRE(apply_redo(redo.bytes(), *txn));
    std::vector<std::uint64_t> left;
    Lmdb::Cursor cursor(*txn, Table::slots);
    for (bool found = cursor.first(); found; found = cursor.next()) left.push_back(cursor.key());
    CHECK(left == std::vector<std::uint64_t>{3, 10});
    CHECK(get(*txn, Table::index, 5) == "y");
    Redo rest;
    rest.erase_range(Table::slots, 0, UINT64_MAX);
    REQUIRE(apply_redo(rest.bytes(), *txn));
    Lmdb::Cursor none(*txn, Table::slots);
    CHECK_FALSE(none.first());
    CHECK(none.status());
  }

  TEST_CASE("a change of another group is not one of this one") {
    Redo redo;
    redo.put(Table::meta, 9, bytes_of("value"));
    std::vector<std::byte> bytes(redo.bytes().begin(), redo.bytes().end());
    bytes[8] = std::byte{2};
    TestDirectory directory;
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    auto txn = lmdb->begin(true);
    CHECK(apply_redo(bytes, *txn).error().code == Errc::newer_format);
  }

  TEST_CASE("bytes that are no changes are refused") {
    Redo redo;
    redo.put(Table::meta, 9, bytes_of("value"));
    TestDirectory directory;
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    for (const std::size_t at : {0UL, 1UL, 2UL, 5UL}) {
      std::vector<std::byte> bytes(redo.bytes().begin(), redo.bytes().end());
      bytes[at] ^= std::byte{0x70};
      auto txn = lmdb->begin(true);
      const auto done = apply_redo(bytes, *txn);
      REQUIRE_FALSE(done.has_value());
      CHECK(done.error().code == Errc::corrupt);
    }
    auto txn = lmdb->begin(true);
    CHECK_FALSE(apply_redo(redo.bytes().first(redo.bytes().size() - 1), *txn).has_value());
  }
}

}  // namespace stele::log
