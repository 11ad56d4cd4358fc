#include "log/format/snapshot.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace stele::log {
namespace {

std::vector<std::byte> bytes_of(std::size_t count, char filled_with) {
  return std::vector<std::byte>(count, static_cast<std::byte>(filled_with));
}

SnapshotManifest sample() { return {{7, {300}}, {{100, 1}, {200, 2}, {5, 3}}}; }

Result<SnapshotManifest> read_back(const std::vector<std::byte>& head,
                                   const std::vector<std::byte>& tail) {
  const auto parsed = parse_head(head, "it");
  if (!parsed) return forward(parsed);
  if (tail.size() < kSnapshotTailEndBytes) return fail(Errc::corrupt, "cut");
  const auto bytes = tail_bytes(std::span(tail).last(kSnapshotTailEndBytes), "it");
  if (!bytes) return forward(bytes);
  if (*bytes != tail.size()) return fail(Errc::corrupt, "cut");
  return parse_tail(*parsed, tail, "it");
}

}  // namespace

TEST_SUITE("log.snapshot") {
  TEST_CASE("head and tail are read back, and every damaged byte of them is noticed") {
    const std::vector<std::byte> head = encode_head(sample().head);
    const std::vector<std::byte> tail = encode_tail(sample());
    REQUIRE(head.size() == SnapshotHead::kBytes);
    CHECK(*read_back(head, tail) == sample());
    for (std::size_t at = 0; at < head.size() + tail.size(); ++at) {
      auto bad_head = head;
      auto bad_tail = tail;
      (at < head.size() ? bad_head[at] : bad_tail[at - head.size()]) ^= std::byte{0x10};
      CAPTURE(at);
      CHECK_FALSE(read_back(bad_head, bad_tail));
    }
    for (std::size_t cut = 1; cut <= tail.size(); ++cut) {
      CHECK_FALSE(read_back(head, {tail.begin() + static_cast<long>(cut), tail.end()}));
    }
    CHECK_FALSE(read_back({head.begin(), head.end() - 1}, tail));
  }

  TEST_CASE("what was written by a newer version is told as such") {
    std::vector<std::byte> head = encode_head(sample().head);
    CHECK(parse_head(head, "it").has_value());
    const auto checksum_of = [](const std::vector<std::byte>& bytes) {
      return std::vector<std::byte>(bytes.end() - 8, bytes.end());
    };
    CHECK(checksum_of(head) != checksum_of(encode_head({7, {301}})));
    CHECK(parse_head(bytes_of(64, 'x'), "it").error().detail == "it is no snapshot");
  }

  TEST_CASE("two snapshots have the same digest only if head and pieces are the same, in order") {
    const std::uint64_t digest = sample().digest();
    const auto changed = [&](auto change) {
      SnapshotManifest manifest = sample();
      change(manifest);
      return manifest.digest() != digest;
    };
    CHECK(sample().digest() == digest);
    CHECK(changed([](SnapshotManifest& m) { m.head.cluster_id = 8; }));
    CHECK(changed([](SnapshotManifest& m) { m.head.slot = {301}; }));
    CHECK(changed([](SnapshotManifest& m) { m.pieces[1].digest = 9; }));
    CHECK(changed([](SnapshotManifest& m) { m.pieces[1].bytes = 9; }));
    CHECK(changed([](SnapshotManifest& m) { std::swap(m.pieces[0], m.pieces[1]); }));
    CHECK(changed([](SnapshotManifest& m) { m.pieces.pop_back(); }));
    // The same bytes in another place of the snapshot are another piece.
    CHECK(piece_digest(bytes_of(10, 'a'), 0) != piece_digest(bytes_of(10, 'a'), 1));
  }

  TEST_CASE("rows are packed whole into pieces, in order, and are read back") {
    std::vector<std::vector<std::byte>> pieces;
    SnapshotPacker packer([&](std::span<const std::byte> piece) -> Result<void> {
      pieces.emplace_back(piece.begin(), piece.end());
      return {};
    });
    StateNumbers numbers;
    numbers.chosen_end = {300};
    numbers.snapshot_slot = {300};
    REQUIRE(packer.add(numbers));
    REQUIRE(packer.add(RunRow{1, {200}, 3, 4, 5}));
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < 10; ++i) {
      rows.push_back({Table::sessions, key_of(i), bytes_of(100'000, static_cast<char>('a' + i))});
    }
    rows.push_back({Table::retention, key_of(1), bytes_of(300 << 10, 'z')});
    rows.push_back({Table::retention, key_of(2), bytes_of(1, 'z')});
    for (const Row& row : rows) REQUIRE(packer.add(row.table, row.key, row.bytes));
    REQUIRE(packer.finish());
    CHECK(pieces.size() == 7);  // Two or one of the ten in each, the large one, the last one.
    std::vector<Row> read;
    for (const auto& piece : pieces) {
      std::span<const std::byte> rest = piece;
      while (!rest.empty()) read.push_back(take_row(rest).value());
    }
    REQUIRE(read.size() == rows.size() + 2);
    CHECK(numbers_of(read[0]).value() == numbers);
    CHECK_FALSE(numbers_of(read[1]));
    CHECK(run_of(read[1]).value() == RunRow{1, {200}, 3, 4, 5});
    CHECK(std::vector<Row>(read.begin() + 2, read.end()) == rows);
  }

  TEST_CASE("a piece that is cut off, or holds what no row is, is refused") {
    std::vector<std::byte> piece;
    SnapshotPacker packer([&](std::span<const std::byte> packed) -> Result<void> {
      piece.assign(packed.begin(), packed.end());
      return {};
    });
    REQUIRE(packer.add(Table::sessions, key_of(5), bytes_of(20, 'a')));
    REQUIRE(packer.finish());
    for (std::size_t count = 0; count < piece.size(); ++count) {
      std::span<const std::byte> part(piece.data(), count);
      CHECK_FALSE(take_row(part));
    }
    piece[1] = std::byte{1};  // Room for what comes.
    std::span<const std::byte> whole = piece;
    CHECK_FALSE(take_row(whole));
  }

  TEST_CASE("a leader's command names the snapshot before") {
    CHECK(parse_snapshot_command(body_of(SnapshotCommand{{77}})).value() == SnapshotCommand{{77}});
    CHECK_FALSE(parse_snapshot_command(bytes_of(7, 'x')));
    CHECK_FALSE(parse_snapshot_command(bytes_of(9, 'x')));
  }
}

}  // namespace stele::log
