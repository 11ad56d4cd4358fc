// The files of a store in a directory of their own.
#pragma once

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

namespace stele::log::store_files_bench {

using paxos::kN1;
using paxos::record;

/// Each half of the journal has room for four small transactions, a segment for two large ones.
inline StoreFiles::Options options() {
  return {.map_bytes = kTestMapBytes,
          .sections = kTestTables,
          .journal_bytes = 8 * kPageBytes,
          .small_bytes_max = 1000,
          .lacking_bytes_max = 1 << 20,
          .values = {.segment_bytes = 3 * kPageBytes}};
}

inline Transaction vote(std::uint64_t slot, std::size_t bytes = 10) {
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

}  // namespace stele::log::store_files_bench
