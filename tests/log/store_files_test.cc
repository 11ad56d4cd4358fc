#include "log/store_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "log/table_reads.h"
#include "tests/log/commands.h"
#include "tests/log/directory.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::record;

/// The journal has room for four small transactions.
StoreFiles::Options options() {
  return {
      .map_bytes = kTestMapBytes, .journal_bytes = 4 * Journal::kPage, .journaled_bytes_max = 1000};
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
  /// The slots that LMDB has.
  [[nodiscard]] std::vector<std::uint64_t> slots() {
    auto txn = files->lmdb().begin(false);
    const auto read = get_records(*txn, {1}, {UINT64_MAX}, 1 << 20);
    REQUIRE(read);
    std::vector<std::uint64_t> slots;
    for (const paxos::Record& found : read->records) slots.push_back(found.slot.value);
    return slots;
  }

  TestDirectory directory;
  std::optional<StoreFiles> files;
};

using Slots = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE("log.store_files") {
  TEST_CASE("a small transaction stays in the journal, and is in LMDB after a restart") {
    Bench bench;
    bench.commit(vote(1));
    CHECK(bench.slots().empty());
    bench.open();
    CHECK(bench.slots() == Slots{1});
  }

  TEST_CASE("a large one goes to LMDB, with all that the journal has") {
    Bench bench;
    bench.commit(vote(1));
    bench.commit(vote(2, 5000));
    CHECK(bench.slots() == Slots{1, 2});
    bench.commit(vote(3));
    bench.open();
    CHECK(bench.slots() == Slots{1, 2, 3});
  }

  TEST_CASE("when the journal is full, everything moves to LMDB") {
    Bench bench;
    for (std::uint64_t slot = 1; slot <= 4; ++slot) bench.commit(vote(slot));
    CHECK(bench.slots().empty());
    bench.commit(vote(5));
    CHECK(bench.slots() == Slots{1, 2, 3, 4, 5});
    bench.commit(vote(6));
    CHECK(bench.slots().size() == 5);
    bench.open();
    CHECK(bench.slots().size() == 6);
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
    for (const std::size_t bytes : {10UL, 5000UL, 20UL, 30UL}) bench.commit(vote(1, bytes));
    bench.open();
    auto txn = bench.files->lmdb().begin(false);
    const auto read = get_records(*txn, {1}, {2}, 1 << 20);
    CHECK(read->records.at(0).value.size() == 30);
  }

  TEST_CASE("the promise is raised by votes in the journal as well") {
    Bench bench;
    bench.commit(vote(1));
    bench.open();
    auto txn = bench.files->lmdb().begin(false);
    const auto sealed = txn->get(Table::meta, kPromiseKey);
    REQUIRE(*sealed);
    CHECK(unseal_promised(**sealed)->ballot == Ballot{1, kN1});
  }

  TEST_CASE("a journal that is missing or damaged in the middle: corrupt, and nothing changes") {
    Bench bench;
    bench.commit(vote(1));
    bench.commit(vote(2));
    bench.files.reset();
    const std::string path = bench.directory.path() + "/journal";
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(Journal::kPage + 40).put('!');
    file.close();
    const auto opened = StoreFiles::open(bench.directory.path(), options());
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == Errc::corrupt);
    std::filesystem::remove(path);
    CHECK(StoreFiles::open(bench.directory.path(), options()).error().code == Errc::corrupt);
  }

  TEST_CASE("a first start that ended before LMDB knew of its journal begins anew") {
    TestDirectory directory;
    { REQUIRE(Lmdb::open(directory.path(), {.map_bytes = kTestMapBytes})); }
    std::ofstream(directory.path() + "/journal") << "half made";
    CHECK(StoreFiles::open(directory.path(), options()).has_value());
  }

  TEST_CASE("numbers are never used again, though a torn record had one") {
    Bench bench;
    bench.commit(vote(1));
    bench.files.reset();
    // Torn: as if it had never been acknowledged.
    const std::string path = bench.directory.path() + "/journal";
    std::string page(Journal::kPage, '\0');
    std::ifstream(path).seekg(Journal::kPage).read(page.data(), Journal::kPage);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(Journal::kPage + 40).put('!');
    file.close();
    bench.open();
    bench.commit(vote(7));
    bench.files.reset();
    // Should its page come back, behind the new record, it must not be taken for the next one.
    std::fstream again(path, std::ios::in | std::ios::out | std::ios::binary);
    again.seekp(2 * Journal::kPage).write(page.data(), Journal::kPage);
    again.close();
    bench.open();
    CHECK(bench.slots() == Slots{7});
  }
}

}  // namespace stele::log
