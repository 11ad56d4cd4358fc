// Where a node listens, as people write it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "paxos/base/result.h"

namespace stele::net {

struct Address {
  std::string host;
  std::uint16_t port = 0;

  auto operator<=>(const Address&) const = default;
};

/// Reads "host:port" or "[v6]:port"; one host is the same however it is written. Errors:
/// invalid_argument, naming the text.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// An id as people see it everywhere: 16 hexadecimal digits.
[[nodiscard]] std::string to_hex(std::uint64_t id);

/// Writes what parse_address reads.
[[nodiscard]] std::string to_string(const Address& address);

}  // namespace stele::net
