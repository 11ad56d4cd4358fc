// Bytes as text for people and JSON.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace stele::apps {

/// Whether the bytes are valid UTF-8.
[[nodiscard]] bool is_utf8(std::span<const std::byte> bytes);
[[nodiscard]] std::string base64(std::span<const std::byte> bytes);

}  // namespace stele::apps
