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

std::string get(Lmdb::Txn& txn, Table table, std::uint64_t key) {
  const auto found = txn.get(table, key);
  REQUIRE(found);
  if (!*found) return "none";
  return {reinterpret_cast<const char*>((*found)->data()), (*found)->size()};
}

}  // namespace

TEST_SUITE("log.redo") {
  TEST_CASE("what was written down is done, in order") {
    Redo redo;
    redo.put(Table::meta, 9, bytes_of("first"));
    redo.put(Table::meta, 9, bytes_of("second"));
    const auto room = redo.reserve(Table::slots, 7, 3);
    std::ranges::copy(bytes_of("abc"), room.begin());
    redo.put(Table::sessions, 1, bytes_of("gone"));
    redo.erase(Table::sessions, 1);
    redo.put(Table::sessions, 3, bytes_of("older"));
    redo.erase(Table::sessions, 3);
    redo.put(Table::sessions, 3, bytes_of("newest"));
    redo.put(Table::index, 2, {});

    TestDirectory directory;
    auto lmdb = Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes, .sections = kTestTables});
    auto txn = lmdb->begin(true);
    REQUIRE(apply_redo(redo.bytes(), *txn));
    CHECK(get(*txn, Table::meta, 9) == "second");
    CHECK(get(*txn, Table::slots, 7) == "abc");
    CHECK(get(*txn, Table::sessions, 1) == "none");
    CHECK(get(*txn, Table::sessions, 3) == "newest");
    CHECK(get(*txn, Table::index, 2).empty());
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
