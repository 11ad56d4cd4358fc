#include "log/format/snapshot.h"

#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kMagic = 0x746f687370616e73ULL;  // "snapshot"
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kPieceEntryBytes = 16;
constexpr std::size_t kRowHeaderBytes = 8;

tl::unexpected<Error> damaged(const std::string& what, const std::string& why) {
  return fail(Errc::corrupt, what + " " + why);
}

std::vector<std::byte> encode_pieces(const std::vector<SnapshotPiece>& pieces) {
  std::vector<std::byte> bytes;
  bytes.reserve(pieces.size() * kPieceEntryBytes);
  ByteWriter writer(bytes);
  for (const SnapshotPiece& piece : pieces) {
    writer.put(piece.bytes);
    writer.put(piece.digest);
  }
  return bytes;
}

}  // namespace

std::vector<std::byte> body_of(const SnapshotCommand& command) {
  std::vector<std::byte> body;
  ByteWriter(body).put(command.previous.value);
  return body;
}

Result<SnapshotCommand> parse_snapshot_command(std::span<const std::byte> body) {
  ByteReader reader(body);
  const SnapshotCommand command{{reader.get<std::uint64_t>()}};
  if (!reader.ok() || reader.left() != 0) {
    return fail(Errc::malformed, "a snapshot's command of the wrong length");
  }
  return command;
}

std::uint64_t piece_digest(std::span<const std::byte> piece, std::size_t number) {
  return net::digest(piece, kMagic + number);
}

std::uint64_t SnapshotManifest::digest() const {
  return net::digest(encode_pieces(pieces), net::digest(encode_head(head), kMagic));
}

std::uint64_t SnapshotManifest::content_bytes() const {
  std::uint64_t bytes = 0;
  for (const SnapshotPiece& piece : pieces) bytes += piece.bytes;
  return bytes;
}

std::vector<std::byte> encode_head(const SnapshotHead& head) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put(kMagic);
  writer.put(kSnapshotVersion);
  writer.put(kGroup);
  writer.put(head.cluster_id);
  writer.put(head.slot.value);
  bytes.resize(SnapshotHead::kBytes - kChecksumBytes);
  writer.put(net::digest(bytes, kMagic));
  return bytes;
}

Result<SnapshotHead> parse_head(std::span<const std::byte> bytes, const std::string& what) {
  if (bytes.size() < SnapshotHead::kBytes) return damaged(what, "is cut off");
  bytes = bytes.first(SnapshotHead::kBytes);
  ByteReader reader(bytes);
  if (reader.get<std::uint64_t>() != kMagic) return damaged(what, "is no snapshot");
  const auto version = reader.get<std::uint32_t>();
  const auto group = reader.get<std::uint32_t>();
  SnapshotHead head;
  head.cluster_id = reader.get<std::uint64_t>();
  head.slot = {reader.get<std::uint64_t>()};
  const auto content = bytes.first(bytes.size() - kChecksumBytes);
  if (ByteReader(bytes.last(kChecksumBytes)).get<std::uint64_t>() != net::digest(content, kMagic)) {
    return damaged(what, "has a head that does not match its checksum");
  }
  if (version != kSnapshotVersion) {
    return fail(Errc::newer_format, what + " has version " + std::to_string(version) +
                                        "; this program reads version " +
                                        std::to_string(kSnapshotVersion));
  }
  if (group != kGroup) return damaged(what, "is of a group that is not here");
  return head;
}

std::vector<std::byte> encode_tail(const SnapshotManifest& manifest) {
  std::vector<std::byte> bytes = encode_pieces(manifest.pieces);
  ByteWriter writer(bytes);
  writer.put(std::uint64_t{manifest.pieces.size()});
  writer.put(manifest.digest());
  writer.put(std::uint64_t{0});
  writer.put(net::digest(bytes, kMagic));
  return bytes;
}

Result<std::uint64_t> tail_bytes(std::span<const std::byte> end, const std::string& what) {
  const auto count = ByteReader(end).get<std::uint64_t>();
  if (end.size() != kSnapshotTailEndBytes || count > kSnapshotPiecesMax) {
    return damaged(what, "has no end, or a damaged one");
  }
  return count * kPieceEntryBytes + kSnapshotTailEndBytes;
}

Result<SnapshotManifest> parse_tail(const SnapshotHead& head, std::span<const std::byte> tail,
                                    const std::string& what) {
  STELE_CHECK(tail.size() >= kSnapshotTailEndBytes);
  const auto content = tail.first(tail.size() - kChecksumBytes);
  if (ByteReader(tail.last(kChecksumBytes)).get<std::uint64_t>() != net::digest(content, kMagic)) {
    return damaged(what, "has an end that does not match its checksum");
  }
  SnapshotManifest manifest{head, {}};
  ByteReader reader(content);
  while (reader.left() > kSnapshotTailEndBytes - kChecksumBytes) {
    const auto bytes = reader.get<std::uint64_t>();
    manifest.pieces.push_back({bytes, reader.get<std::uint64_t>()});
    if (bytes == 0 || bytes > kSnapshotRowBytesMax) {
      return damaged(what, "has a piece of no length, or of too much");
    }
  }
  const auto count = reader.get<std::uint64_t>();
  const auto digest = reader.get<std::uint64_t>();
  if (!reader.ok() || count == 0 || count != manifest.pieces.size() ||
      digest != manifest.digest()) {
    return damaged(what, "is not what its end says");
  }
  return manifest;
}

Result<void> SnapshotPacker::add(const StateNumbers& numbers) {
  return add(Table::meta, key_of(kNumbersKey), encode_state(numbers));
}

Result<void> SnapshotPacker::add(const RunRow& run) {
  return add(Table::runs, key_of(run.number), encode_run(run));
}

Result<void> SnapshotPacker::add(Table table, std::span<const std::byte> key,
                                 std::span<const std::byte> bytes) {
  const std::size_t row = kRowHeaderBytes + key.size() + bytes.size();
  STELE_CHECK(row <= kSnapshotRowBytesMax);
  if (!piece_.empty() && piece_.size() + row > kSnapshotPieceBytesMax) {
    if (auto done = finish(); !done) return done;
  }
  ByteWriter writer(piece_);
  writer.put(static_cast<std::uint8_t>(table));
  writer.put(std::uint8_t{0});
  writer.put(static_cast<std::uint16_t>(key.size()));
  writer.put(static_cast<std::uint32_t>(bytes.size()));
  writer.put_bytes(key);
  writer.put_bytes(bytes);
  return {};
}

Result<void> SnapshotPacker::finish() {
  if (piece_.empty()) return {};
  auto done = on_piece_(piece_);
  piece_.clear();
  return done;
}

Result<Row> take_row(std::span<const std::byte>& piece) {
  ByteReader reader(piece);
  Row row;
  row.table = static_cast<Table>(reader.get<std::uint8_t>());
  const auto room = reader.get<std::uint8_t>();
  const auto key_bytes = reader.get<std::uint16_t>();
  const auto row_bytes = reader.get<std::uint32_t>();
  const auto key = reader.get_bytes(key_bytes);
  const auto bytes = reader.get_bytes(row_bytes);
  if (!reader.ok() || room != 0 || key.empty() || key.size() > kRowKeyBytesMax || bytes.empty()) {
    return fail(Errc::corrupt, "a snapshot holds a row of the wrong length");
  }
  if (has_number_keys(row.table) && key.size() != sizeof(std::uint64_t)) {
    return fail(Errc::corrupt, "a snapshot holds a row with a key of the wrong length");
  }
  row.key.assign(key.begin(), key.end());
  row.bytes.assign(bytes.begin(), bytes.end());
  piece = piece.last(reader.left());
  return row;
}

Result<StateNumbers> numbers_of(const Row& row) {
  if (row.table != Table::meta || number_of(row.key) != kNumbersKey) {
    return fail(Errc::corrupt, "a snapshot does not begin with its numbers");
  }
  return decode_state(row.bytes);
}

Result<RunRow> run_of(const Row& row) { return decode_run(number_of(row.key), row.bytes); }

}  // namespace stele::log
