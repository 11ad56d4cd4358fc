// What becomes of the files when slots are trimmed.
#include <doctest/doctest.h>

#include "tests/log/store/files/store_files_bench.h"

namespace stele::log {
namespace {

using namespace store_files_bench;

/// A store whose slots up to 600 are applied; each record that is large has the value log's page.
struct TrimBench : Bench {
  TrimBench() {
    for (const std::uint64_t slot : {1U, 2U, 255U, 256U, 300U, 511U, 512U, 600U}) {
      commit(vote(slot, 5000));  // Two to a segment.
    }
    Transaction state;
    StateWrite write;
    write.numbers.chosen_end = {601};
    write.numbers.next_lsn = write.numbers.first_lsn = {601};
    state.add(std::move(write));
    commit(state, true);
  }
  void trim(std::uint64_t run, bool readable = true) {
    Transaction transaction;
    transaction.add(TrimWrite{{run * kRunSlots}, {run * kRunSlots}});
    commit(transaction, readable);
  }
  [[nodiscard]] Slots segments() const {
    Slots found;
    for (std::uint64_t segment = 1; segment < 20; ++segment) {
      if (std::filesystem::exists(path("values/" + std::to_string(segment)))) {
        found.push_back(segment);
      }
    }
    return found;
  }
  /// As the tables know them: segment, lowest and highest slot.
  [[nodiscard]] std::vector<SegmentRow> rows() {
    auto txn = files->lmdb().begin(false);
    return get_segments(*txn).value();
  }
};

}  // namespace

TEST_SUITE("log.store_files.trim") {
  TEST_CASE("each segment has a row that says which slots lie in it") {
    TrimBench bench;
    CHECK(bench.segments() == Slots{1, 2, 3, 4});
    CHECK(bench.rows() ==
          std::vector<SegmentRow>{
              {1, {1}, {2}}, {2, {255}, {256}}, {3, {300}, {511}}, {4, {512}, {600}}});
  }

  TEST_CASE("a segment goes once no kept slot lies in it, when LMDB has the commit") {
    TrimBench bench;
    const std::uint64_t before = bench.files->used_bytes();
    bench.trim(1, false);
    CHECK(bench.segments() == Slots{1, 2, 3, 4});  // Only the journal has it.
    REQUIRE(bench.files->checkpoint());
    CHECK(bench.segments() == Slots{2, 3, 4});
    CHECK(bench.slots() == Slots{256, 300, 511, 512, 600});
    bench.trim(2);
    CHECK(bench.segments() == Slots{4});
    bench.files->drop_spares();
    CHECK(bench.files->used_bytes() < before);
    CHECK(bench.slots() == Slots{512, 600});
    CHECK(bench.rows().size() == 1);
    CHECK(bench.files->readable().holding.first_slot == Slot{512});
    bench.open();
    CHECK(bench.slots() == Slots{512, 600});
    bench.commit(vote(601, 5000), true);
    CHECK(bench.segments() == Slots{4, 5});
  }

  // They are kept for speed, and must not be what a node ends for.
  TEST_CASE("a full disk: spares go, so that LMDB has room, and before a start") {
    TrimBench bench;
    bench.trim(2);
    const auto spares = [&] {
      return std::filesystem::exists(bench.path("values/spare-1")) +
             std::filesystem::exists(bench.path("values/spare-2"));
    };
    REQUIRE(spares() == 2);
    sim::WatchedFiles watched;
    watched.watch(bench.path("data.mdb"));
    bench.open();
    for (std::uint64_t slot = 601; slot < 900; ++slot) bench.commit(vote(slot, 900));
    watched.fill_up(1);
    REQUIRE(bench.files->checkpoint());
    CHECK(spares() == 1);
    // As after crashes: LMDB takes over the rest at the start, and needs room for it at some one.
    std::uint64_t slot = 900;
    for (int starts = 0; starts < 50 && spares() == 1; ++starts) {
      for (int i = 0; i < 4; ++i) bench.commit(vote(slot++, 900));
      bench.files.reset();
      watched.fill_up(1);
      bench.open();
      watched.fill_up(0);
    }
    CHECK(spares() == 0);
    CHECK(bench.slots().back() == slot - 1);
  }

  // What lies in it from before must not be taken for what counts, whatever the new records cover.
  TEST_CASE("a segment that was given up is written over by later ones, and outlives restarts") {
    TrimBench bench;
    const auto spares = [&] {
      std::size_t found = 0;
      for (const auto& entry : std::filesystem::directory_iterator(bench.path("values"))) {
        found += entry.path().filename().string().starts_with("spare-") ? 1U : 0U;
      }
      return found;
    };
    bench.trim(2);
    CHECK(bench.segments() == Slots{4});
    CHECK(spares() == 2);  // Not all of the three.
    Slots expected{512, 600};
    for (std::uint64_t slot = 601; slot < 612; ++slot) {
      // Of other sizes than what was there: they begin in the midst of older records.
      bench.commit(vote(slot, slot % 3 == 0 ? 9000 : 4000));
      expected.push_back(slot);
      if (slot % 2 == 0) bench.open();  // As after a crash: found in the midst of older records.
      if (slot % 4 == 0) REQUIRE(bench.files->checkpoint());
    }
    CHECK(spares() == 0);
    bench.open();
    CHECK(bench.slots() == expected);
    for (const paxos::SlotRecord& found : bench.read().records) {
      CHECK(found.value.size() == (found.slot.value < 601      ? 5000
                                   : found.slot.value % 3 == 0 ? 9000
                                                               : 4000));
    }
    bench.files.reset();
    bench.open();
    CHECK(bench.slots() == expected);
  }

  TEST_CASE("a start after a kill: what was trimmed goes then, what is kept does not") {
    TrimBench bench;
    bench.trim(1, false);
    bench.open();  // Closed as by a crash: the journal has it.
    CHECK(bench.segments() == Slots{2, 3, 4});
    CHECK(bench.slots() == Slots{256, 300, 511, 512, 600});
    CHECK(bench.files->readable().holding.first_slot == Slot{256});
  }

  TEST_CASE("the segment that is written stays, whatever is trimmed") {
    TrimBench bench;
    bench.commit(vote(3, 5000), true);  // Late, and in a new segment.
    CHECK(bench.segments() == Slots{1, 2, 3, 4, 5});
    bench.trim(2);
    CHECK(bench.segments() == Slots{4, 5});
    CHECK(bench.slots() == Slots{512, 600});
    bench.commit(vote(602, 5000), true);
    bench.open();
    CHECK(bench.slots() == Slots{512, 600, 602});
  }

  TEST_CASE("a value that lies in a later segment than its neighbours keeps that one") {
    TrimBench bench;
    bench.commit(vote(700, 5000));
    bench.commit(vote(1, 5000), true);  // Voted for again: its first value is of no use.
    bench.trim(1);
    CHECK(bench.segments() == Slots{2, 3, 4, 5});
    bench.trim(2);
    CHECK(bench.segments() == Slots{4, 5});
  }

  TEST_CASE(
      "a segment that is kept and missing ends the start; one that was trimmed is not missed") {
    TrimBench bench;
    bench.trim(1);
    bench.files.reset();
    std::filesystem::remove(bench.path("values/3"));
    CHECK(bench.error().code == Errc::corrupt);
    CHECK(bench.error().detail.find("values/3 is missing") != std::string::npos);
  }

  TEST_CASE("a segment of another store in the place of one that was trimmed is not removed") {
    TrimBench other;
    TrimBench bench;
    bench.trim(1);
    bench.files.reset();
    std::filesystem::copy_file(other.path("values/1"), bench.path("values/1"));
    CHECK(bench.error().code == Errc::corrupt);
    CHECK(std::filesystem::exists(bench.path("values/1")));
  }

  TEST_CASE("a reader that has the segment open reads on; one that comes late misses it") {
    TrimBench bench;
    auto txn = bench.files->lmdb().begin(false);
    const SlotHeader header = *read_slot_header({1}, **txn->get(Table::slots, 1));
    const SlotHeader late = *read_slot_header({255}, **txn->get(Table::slots, 255));
    const auto before = bench.files->values().read(header.place, header.value_bytes);
    CHECK(before.has_value());
    bench.trim(2);
    const auto after = bench.files->values().read(late.place, late.value_bytes);
    REQUIRE_FALSE(after.has_value());
    CHECK(after.error().code == Errc::corrupt);  // Until it is known that it was trimmed.
    // Without another look at the table it would be taken for rot.
    const auto old_snapshot = get_records(*txn, bench.files->values(), {255}, {600}, 1 << 20);
    REQUIRE(old_snapshot);
    CHECK(old_snapshot->faulty == Slot{255});
  }
}

}  // namespace stele::log
