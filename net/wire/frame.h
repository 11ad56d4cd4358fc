// The fixed prefix of every frame, and the bytes after it. docs/wire-format.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "paxos/base/result.h"
#include "paxos/base/value.h"

namespace stele::net {

/// The first 16 bytes of a frame, little-endian: magic, header_bytes, body_bytes, checksum of the
/// header. Header and body follow, the body padded with zeros to a multiple of 8.
struct FramePrefix {
  std::uint32_t header_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint32_t checksum = 0;

  static constexpr std::size_t kBytes = 16;
  static constexpr std::uint32_t kMagic = 0x314c5453;  // "STL1"

  /// Bytes of the whole frame.
  [[nodiscard]] std::size_t frame_bytes() const {
    return kBytes + header_bytes + padded(body_bytes);
  }
  static constexpr std::size_t padded(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }
};

inline constexpr std::size_t kHeaderBytesMax = 4 << 20;
/// Before the handshake a frame may have this many bytes; afterwards what the listener allows.
inline constexpr std::size_t kHelloBytesMax = 16 << 10;
/// The bound on any frame between nodes, and on `entry_bytes_max` plus a batch.
inline constexpr std::size_t kFrameBytesMax = 96 << 20;

/// Reads a prefix. Errors: malformed (no magic, or sizes out of bounds or above `frame_bytes_max`).
[[nodiscard]] Result<FramePrefix> parse_prefix(
    std::span<const std::byte, FramePrefix::kBytes> bytes, std::size_t frame_bytes_max);

[[nodiscard]] std::array<std::byte, FramePrefix::kBytes> make_prefix(
    std::span<const std::byte> header, std::size_t body_bytes);

/// The checksum of a header, as the prefix carries it.
[[nodiscard]] std::uint32_t header_checksum(std::span<const std::byte> header);

/// A frame ready to be sent: `head` is prefix and header, `body` stays where it is.
struct OutFrame {
  std::vector<std::byte> head;
  std::vector<Slice> body;
  std::size_t body_bytes = 0;

  [[nodiscard]] std::size_t bytes() const { return head.size() + FramePrefix::padded(body_bytes); }
};

/// A whole frame as it arrived: views into `owner`; `header` is 8-byte aligned.
struct InFrame {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> header;
  std::span<const std::byte> body;
};

}  // namespace stele::net
