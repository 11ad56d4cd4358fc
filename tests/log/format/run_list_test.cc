#include "log/format/run_list.h"

#include <doctest/doctest.h>

#include <vector>

namespace stele::log {
namespace {

std::vector<SlotSummary> sample() {
  return {{{{1}, {256}, 2, {}}, 1, 100, 7},
          {{{3}, {257}, 0, {}}, 0, 0, 0},
          {{{3}, {258}, 5, {{0, 1}, {4, 2}}}, 3, 64, 9}};
}

}  // namespace

TEST_SUITE("log.run_list") {
  TEST_CASE("a list is read back, and only as that of its slots") {
    const std::vector<std::byte> bytes = encode_run_list(sample());
    CHECK(parse_run_list(bytes, {256}, {259}).value() == sample());
    CHECK_FALSE(parse_run_list(bytes, {256}, {258}));
    CHECK_FALSE(parse_run_list(bytes, {256}, {260}));
    for (std::size_t count = 0; count < bytes.size(); ++count) {
      CHECK_FALSE(parse_run_list(std::span(bytes).first(count), {256}, {259}));
    }
  }

  TEST_CASE("a count that no bytes follow takes no memory") {
    std::vector<std::byte> bytes = encode_run_list({sample()[1]});
    for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = std::byte{0xff};
    CHECK_FALSE(parse_run_list(bytes, {257}, {258}));
  }

  // Invariant 13.
  TEST_CASE("the digest is that of the state: of values, entries and their places, in order") {
    const std::uint64_t digest = digest_of(sample());
    std::uint64_t run = 0;
    for (const SlotSummary& slot : sample()) {
      run = add_to_run(run, slot_digest(slot.row, slot.kind, slot.bytes, slot.digest));
    }
    CHECK(digest == run);
    const auto changed = [&](auto change) {
      std::vector<SlotSummary> slots = sample();
      change(slots);
      return digest_of(slots) != digest;
    };
    CHECK(changed([](auto& slots) { ++slots[0].digest; }));
    CHECK(changed([](auto& slots) { ++slots[0].bytes; }));
    CHECK(changed([](auto& slots) { slots[0].kind = 3; }));
    CHECK(changed([](auto& slots) { ++slots[0].row.count; }));
    CHECK(changed([](auto& slots) { ++slots[2].row.first_lsn; }));
    CHECK(changed([](auto& slots) { slots[2].row.skipped.pop_back(); }));
    CHECK(changed([](auto& slots) { slots.pop_back(); }));
    CHECK(changed([](auto& slots) { std::swap(slots[0], slots[2]); }));
  }

  TEST_CASE("there is no slot 0") {
    CHECK(begin_of_run(0) == Slot{1});
    CHECK(begin_of_run(1) == Slot{256});
    CHECK(begin_of_run(3) == Slot{768});
  }
}

}  // namespace stele::log
