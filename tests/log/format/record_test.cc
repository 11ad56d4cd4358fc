#include "log/format/record.h"

#include <doctest/doctest.h>

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
    const StateNumbers numbers{{7}, {8}, {2}, 9, 10, 11};
    CHECK(*unseal_numbers(seal_numbers(numbers)) == numbers);
    const IndexRow row{{5}, {6}, 7, {{0, 1}, {3, 2}}};
    CHECK(*unseal_index_row({5}, seal_index_row(row)) == row);
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
    CHECK_FALSE(unseal(Table::sessions, 4, seal(Table::index, 4, {})).has_value());
  }

  TEST_CASE("the fault names the slot") {
    auto bytes = slot_bytes(paxos::record(1234, {3, kN1}, "value"));
    bytes.back() ^= std::byte{1};
    CHECK(read_slot({1234}, bytes).error().detail.find("slots/1234") != std::string::npos);
  }

  TEST_CASE("a newer format is told as such") {
    std::vector<std::byte> content;
    content.resize(4);
    content[0] = static_cast<std::byte>(kFormatVersion + 1);
    const auto read = unseal_identity(seal(Table::meta, kIdentityKey, content));
    REQUIRE_FALSE(read.has_value());
    CHECK(read.error().code == Errc::newer_format);
  }
}

}  // namespace stele::log
