// Where a node listens, as people write it.
#pragma once

#include <stele/error.h>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace stele {

/// A host, by its name or number, and a TCP port (1 to 65535); a value.
struct Address {
  std::string host;        ///< A name, or a number as of IPv4 or IPv6, without brackets.
  std::uint16_t port = 0;  ///< 1 to 65535; 0: none.

  auto operator<=>(const Address&) const = default;
};

/// Reads "host:port" or "[v6]:port". Upper and lower case, and all ways to write an address of
/// version 6, give the same Address. Errors: invalid_argument, naming the text. Any thread.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// Writes what parse_address reads. Any thread.
[[nodiscard]] std::string to_string(const Address& address);

}  // namespace stele
