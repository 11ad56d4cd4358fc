// Sizes and times as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "paxos/base/result.h"

namespace stele::apps {

/// "50GiB", "1.5 GB" is none: a whole number, and B, KB, MB, GB, TB (of 1000) or KiB, MiB, GiB, TiB
/// (of 1024); without a unit: bytes. Errors: invalid_argument, as a sentence.
[[nodiscard]] Result<std::uint64_t> parse_bytes(const std::string& text);
/// "7d": a whole number and ms, s, m, h or d. Errors: invalid_argument, as a sentence.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(const std::string& text);

/// In the largest unit of 1024 in which it is a whole number.
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
/// In the largest unit in which it is a whole number.
[[nodiscard]] std::string duration_text(std::chrono::milliseconds duration);

}  // namespace stele::apps
