#include "net/wire/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace stele::net {

std::uint64_t value_digest(std::span<const Slice> parts) {
  if (parts.size() == 1) return value_digest(parts[0].bytes);
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  std::size_t size = 0;
  for (const Slice& part : parts) {
    XXH3_64bits_update(&state, part.bytes.data(), part.bytes.size());
    size += part.bytes.size();
  }
  return size == 0 ? 0 : XXH3_64bits_digest(&state);
}

std::uint64_t value_digest(std::span<const std::byte> bytes) {
  return bytes.empty() ? 0 : XXH3_64bits(bytes.data(), bytes.size());
}

std::uint64_t digest(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

bool intact(const paxos::Value& value) { return value_digest(value.parts()) == value.digest(); }

}  // namespace stele::net
