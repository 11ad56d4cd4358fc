// XXH3 over the bytes of a value; the same figure goes with it over the wire and onto the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "paxos/base/value.h"

namespace stele::net {

/// 0 for no bytes.
[[nodiscard]] std::uint64_t value_digest(std::span<const Slice> parts);
[[nodiscard]] std::uint64_t value_digest(std::span<const std::byte> bytes);

/// XXH3 with a seed, for headers and records.
[[nodiscard]] std::uint64_t digest(std::span<const std::byte> bytes, std::uint64_t seed);

/// Whether the bytes of `value` are those that its digest was made of.
[[nodiscard]] bool intact(const paxos::Value& value);

}  // namespace stele::net
