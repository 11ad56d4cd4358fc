#include "net/wire/frame.h"

#include <cstring>
#include <string>

#include "net/wire/digest.h"

namespace stele::net {
namespace {

constexpr std::uint64_t kHeaderSeed = 0x686561646572;

}  // namespace

std::uint32_t header_checksum(std::span<const std::byte> header) {
  return static_cast<std::uint32_t>(digest(header, kHeaderSeed));
}

Result<FramePrefix> parse_prefix(std::span<const std::byte, FramePrefix::kBytes> bytes,
                                 std::size_t frame_bytes_max) {
  std::array<std::uint32_t, 4> words{};
  std::memcpy(words.data(), bytes.data(), FramePrefix::kBytes);
  if (words[0] != FramePrefix::kMagic) {
    return fail(Errc::malformed, "not a frame of Stele: wrong magic number");
  }
  const FramePrefix prefix{words[1], words[2], words[3]};
  if (prefix.header_bytes == 0 || prefix.header_bytes % 8 != 0 ||
      prefix.header_bytes > kHeaderBytesMax) {
    return fail(Errc::malformed,
                "a frame's header of " + std::to_string(prefix.header_bytes) + " bytes");
  }
  if (prefix.frame_bytes() > frame_bytes_max) {
    return fail(Errc::malformed, "a frame of " + std::to_string(prefix.frame_bytes()) +
                                     " bytes is over the limit of " +
                                     std::to_string(frame_bytes_max));
  }
  return prefix;
}

std::array<std::byte, FramePrefix::kBytes> make_prefix(std::span<const std::byte> header,
                                                       std::size_t body_bytes) {
  const std::array<std::uint32_t, 4> words{
      FramePrefix::kMagic, static_cast<std::uint32_t>(header.size()),
      static_cast<std::uint32_t>(body_bytes), header_checksum(header)};
  std::array<std::byte, FramePrefix::kBytes> bytes{};
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

}  // namespace stele::net
