// A snapshot: all of the replicated state at a slot, as bytes that are the same on every node.
// docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/result.h"

namespace stele::log {

/// The version of the layout of a snapshot.
inline constexpr std::uint32_t kSnapshotVersion = 1;
/// Rows are packed into pieces of so many bytes at most; a larger row is a piece of its own.
inline constexpr std::size_t kSnapshotPieceBytesMax = 256 << 10;
/// What one row may have; a piece is no longer.
inline constexpr std::size_t kSnapshotRowBytesMax = 16 << 20;
inline constexpr std::size_t kSnapshotPiecesMax = 1 << 20;

/// CommandKind::snapshot, of a leader: every node takes one of the state after this slot, if the
/// last one that was asked for is still that of `previous` ({}: none was).
struct SnapshotCommand {
  Slot previous;

  bool operator==(const SnapshotCommand&) const = default;
};
[[nodiscard]] std::vector<std::byte> body_of(const SnapshotCommand& command);
/// Errors: malformed.
[[nodiscard]] Result<SnapshotCommand> parse_snapshot_command(std::span<const std::byte> body);

/// Which log's state it is, and where: all slots below `slot` are applied.
struct SnapshotHead {
  std::uint64_t cluster_id = 0;
  Slot slot;

  static constexpr std::size_t kBytes = 64;
  bool operator==(const SnapshotHead&) const = default;
};

/// A piece of a snapshot: whole rows, one after the other.
struct SnapshotPiece {
  std::uint64_t bytes = 0;
  std::uint64_t digest = 0;

  bool operator==(const SnapshotPiece&) const = default;
};
/// `number`: of the piece in its snapshot, from 0 on.
[[nodiscard]] std::uint64_t piece_digest(std::span<const std::byte> piece, std::size_t number);

/// What a snapshot consists of. Two with the same digest are the same.
struct SnapshotManifest {
  SnapshotHead head;
  std::vector<SnapshotPiece> pieces;

  /// Over the head and all pieces.
  [[nodiscard]] std::uint64_t digest() const;
  /// Of all pieces.
  [[nodiscard]] std::uint64_t content_bytes() const;
  bool operator==(const SnapshotManifest&) const = default;
};

/// What a file begins with, and what it ends with.
[[nodiscard]] std::vector<std::byte> encode_head(const SnapshotHead& head);
[[nodiscard]] std::vector<std::byte> encode_tail(const SnapshotManifest& manifest);
/// Errors: corrupt, newer_format. `what` names the file.
[[nodiscard]] Result<SnapshotHead> parse_head(std::span<const std::byte> bytes,
                                              const std::string& what);
/// The last bytes of a tail: they say how long it is.
inline constexpr std::size_t kSnapshotTailEndBytes = 32;
/// How many bytes the tail has that ends so. Errors: corrupt.
[[nodiscard]] Result<std::uint64_t> tail_bytes(std::span<const std::byte> end,
                                               const std::string& what);
/// The whole tail. Errors: corrupt.
[[nodiscard]] Result<SnapshotManifest> parse_tail(const SnapshotHead& head,
                                                  std::span<const std::byte> tail,
                                                  const std::string& what);

/// Packs rows into pieces. The order of the rows is that of the snapshot: the numbers, the runs,
/// the sections by their tables, each by its keys.
class SnapshotPacker {
 public:
  /// `on_piece` takes a piece that is complete.
  explicit SnapshotPacker(std::function<Result<void>(std::span<const std::byte>)> on_piece)
      : on_piece_(std::move(on_piece)) {}

  Result<void> add(const StateNumbers& numbers);
  Result<void> add(const RunRow& run);
  /// `key` without its generation.
  Result<void> add(Table table, std::span<const std::byte> key, std::span<const std::byte> bytes);
  /// The last piece.
  Result<void> finish();

 private:
  std::function<Result<void>(std::span<const std::byte>)> on_piece_;
  std::vector<std::byte> piece_;
};

/// Takes the first row off a piece. The numbers and the runs are rows of `meta` and `runs`, whose
/// keys are numbers as of key_of(). Errors: corrupt.
[[nodiscard]] Result<Row> take_row(std::span<const std::byte>& piece);
/// What such a row says. Errors: corrupt, newer_format.
[[nodiscard]] Result<StateNumbers> numbers_of(const Row& row);
[[nodiscard]] Result<RunRow> run_of(const Row& row);

}  // namespace stele::log
