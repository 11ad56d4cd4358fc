#include "log/format/record.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "log/store/files/value_log.h"
#include "tests/support/nodes.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;

std::vector<std::byte> slot_bytes(const paxos::SlotRecord& record) {
  std::vector<std::byte> bytes(kSlotHeaderBytes + record.value.size());
  write_slot_header(record, std::span(bytes).first<kSlotHeaderBytes>());
  record.value.copy_to(bytes.data() + kSlotHeaderBytes);
  return bytes;
}

}  // namespace

TEST_SUITE("log.record") {
  TEST_CASE("everything sealed is read back") {
    const Identity identity{"name", 1, kN2, 3, {{kN1, 4}, {kN2, 3}}, 2, 1};
    CHECK(*unseal_identity(seal_identity(identity)) == identity);
    CHECK(unseal_promised(seal_promised({{1}, {5, kN2}}))->ballot == Ballot{5, kN2});
    const StoredNumbers numbers{{{7}, {8}, {2}, 9, 10, 11, 12, 13, {14}, 15},
                                {{256}, {512}, {3}, 16, 3, {17}}};
    CHECK(*unseal_numbers(seal_numbers(numbers)) == numbers);
    const IndexRow row{{5}, {6}, 7, {{0, 1}, {3, 2}}};
    CHECK(*unseal_index_row({5}, seal_index_row(row)) == row);
    const RunRow run{3, {8}, 9, 10, 11};
    CHECK(*unseal_run_row(3, seal_run_row(run)) == run);
    const SegmentRow segment{2, {3}, {9}};
    CHECK(*unseal_segment_row(2, seal_segment_row(segment)) == segment);
    const paxos::SlotRecord record = paxos::record(4, {3, kN1}, "value");
    CHECK(*read_slot({4}, slot_bytes(record)) == record);
    const paxos::SlotRecord noop{{4}, {1}, {3, kN1}, {}};
    CHECK(*read_slot({4}, slot_bytes(noop)) == noop);
  }

  TEST_CASE("every single damaged byte is noticed") {
    const auto damaged_everywhere = [](const std::vector<std::byte>& bytes, auto reads) {
      for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto damaged = bytes;
        damaged[at] ^= std::byte{0x40};
        CAPTURE(at);
        CHECK_FALSE(reads(damaged));
      }
      for (std::size_t length = 0; length < bytes.size(); ++length) {
        CHECK_FALSE(reads(
            std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<long>(length))));
      }
    };
    damaged_everywhere(slot_bytes(paxos::record(4, {3, kN1}, "value")),
                       [](const auto& bytes) { return read_slot({4}, bytes).has_value(); });
    damaged_everywhere(seal_numbers({}),
                       [](const auto& bytes) { return unseal_numbers(bytes).has_value(); });
    damaged_everywhere(seal_promised({{1}, {5, kN2}}),
                       [](const auto& bytes) { return unseal_promised(bytes).has_value(); });
  }

  TEST_CASE("a record in another's place is faulty, though it is whole") {
    CHECK_FALSE(read_slot({5}, slot_bytes(paxos::record(4, {3, kN1}, "value"))).has_value());
    CHECK_FALSE(unseal_index_row({6}, seal_index_row({{5}, {6}, 7, {}})).has_value());
    CHECK_FALSE(unseal(Table::slots, 4, seal(Table::index, 4, {})).has_value());
    CHECK_FALSE(unseal_run_row(4, seal_run_row({3, {8}, 9, 10, 11})).has_value());
    const auto sealed = seal(Table::sessions, stored_key(1, key_of(7)), begin_record(1));
    CHECK(unseal_row(Table::sessions, stored_key(1, key_of(7)), sealed).has_value());
    CHECK_FALSE(unseal_row(Table::sessions, stored_key(1, key_of(8)), sealed).has_value());
    CHECK_FALSE(unseal_row(Table::sessions, stored_key(2, key_of(7)), sealed).has_value());
  }

  TEST_CASE("the fault names the slot") {
    auto bytes = slot_bytes(paxos::record(1234, {3, kN1}, "value"));
    bytes.back() ^= std::byte{1};
    CHECK(read_slot({1234}, bytes).error().detail.find("slots/1234") != std::string::npos);
  }

  TEST_CASE("a directory of another format is told as such, an older one too") {
    for (const auto& [version, says] :
         {std::pair(kFormatVersion + 1, "of a newer version"),
          std::pair(kFormatVersion - 1, "of before the first release")}) {
      std::vector<std::byte> content;
      ByteWriter(content).put(version);
      const auto read = unseal_identity(seal(Table::meta, kIdentityKey, content));
      REQUIRE_FALSE(read.has_value());
      CHECK(read.error().code == Errc::newer_format);
      CHECK(read.error().detail.find(says) != std::string::npos);
    }
  }

  TEST_CASE("a record of a version that is not known is newer, not damaged") {
    const auto sealed_as = [](std::uint16_t version, Table table, std::uint64_t key) {
      return seal(table, key, begin_record(version));
    };
    CHECK(unseal_numbers(sealed_as(2, Table::meta, kNumbersKey)).error().code ==
          Errc::newer_format);
    CHECK(unseal_promised(sealed_as(2, Table::meta, kPromiseKey)).error().code ==
          Errc::newer_format);
    CHECK(unseal_index_row({5}, sealed_as(2, Table::index, 5)).error().code == Errc::newer_format);
    CHECK(unseal_run_row(5, sealed_as(9, Table::runs, 5)).error().code == Errc::newer_format);
    CHECK(unseal_run_row(5, sealed_as(0, Table::runs, 5)).error().code == Errc::corrupt);
    std::vector<std::byte> slot = slot_bytes(paxos::record(4, {3, kN1}, "value"));
    slot[0] = std::byte{kSlotFormatVersion + 1};
    seal_in_place(Table::slots, 4, std::span(slot).first<kSlotHeaderBytes>());
    CHECK(read_slot({4}, slot).error().code == Errc::newer_format);
  }

  TEST_CASE("keys of sections' rows: in the order of the keys, by generation, within bounds") {
    CHECK(stored_key(1, key_of(9)) < stored_key(1, key_of(256)));
    CHECK(stored_key(1, key_of(256)) < stored_key(2, key_of(1)));
    const std::vector<std::byte> longest(kRowKeyBytesMax, std::byte{7});
    const std::vector<std::byte> stored = stored_key(258, longest);
    const auto parsed = parse_stored_key(Table::sessions, stored);
    REQUIRE(parsed);
    CHECK(parsed->generation == 258);
    CHECK(std::ranges::equal(parsed->key, longest));
    CHECK_FALSE(parse_stored_key(Table::sessions, std::span(stored).first(4)).has_value());
  }

  // Design rule: of two nodes that agree about a run, each may take the other's slots.
  TEST_CASE("the digest of a run: every part of every slot is in it, ballots are not") {
    const auto digest = [](const IndexRow& row, std::uint8_t kind, std::uint64_t bytes,
                           std::uint64_t value) {
      return add_to_run(0, slot_digest(row, kind, bytes, value));
    };
    const IndexRow row{{5}, {6}, 7, {{0, 1}}};
    const std::uint64_t one = digest(row, 1, 10, 20);
    CHECK(one == digest(row, 1, 10, 20));
    CHECK(one != digest({{6}, {6}, 7, {{0, 1}}}, 1, 10, 20));
    CHECK(one != digest({{5}, {7}, 7, {{0, 1}}}, 1, 10, 20));
    CHECK(one != digest({{5}, {6}, 8, {{0, 1}}}, 1, 10, 20));
    CHECK(one != digest({{5}, {6}, 7, {{0, 2}}}, 1, 10, 20));
    CHECK(one != digest({{5}, {6}, 7, {}}, 1, 10, 20));
    CHECK(one != digest(row, 0, 10, 20));
    CHECK(one != digest(row, 1, 11, 20));
    CHECK(one != digest(row, 1, 10, 21));
    // A slot without entries has no row, wherever the log was.
    CHECK(digest({{5}, {6}, 0, {}}, 1, 10, 20) == digest({{9}, {6}, 0, {{0, 3}}}, 1, 10, 20));
    CHECK(add_to_run(add_to_run(0, 1), 2) != add_to_run(add_to_run(0, 2), 1));
  }
}

}  // namespace stele::log
