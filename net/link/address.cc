#include <stele/address.h>

#include <algorithm>
#include <asio/ip/address_v6.hpp>
#include <charconv>

#include "paxos/base/result.h"

namespace stele {
namespace {

/// One host has one name: letters count alike, and so do the ways to write an address of version 6.
/// What follows a `%` is the name of an interface.
std::string as_one_name(std::string_view host) {
  asio::error_code none;
  const std::size_t zone = std::min(host.find('%'), host.size());
  const auto number = asio::ip::make_address_v6(std::string(host.substr(0, zone)), none);
  if (!none) return number.to_string() + std::string(host.substr(zone));
  std::string name(host);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  const auto bad = [&](const char* why) {
    return fail(Errc::invalid_argument, "'" + std::string(text) + "' is not an address: " + why +
                                            " (expected HOST:PORT or [IPV6]:PORT)");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']')) return bad("it has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return bad("the bracket is not closed");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address stands in brackets");
  }
  if (host.empty()) return bad("it has no host");
  if (host.find_first_of(" \t/=,[]") != std::string_view::npos) return bad("a bad host name");

  Address address{as_one_name(host), 0};
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), address.port);
  if (error != std::errc{} || end != port_text.data() + port_text.size() || address.port == 0) {
    return bad("the port is not a number from 1 to 65535");
  }
  return address;
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

}  // namespace stele
