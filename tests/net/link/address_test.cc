#include <stele/address.h>

#include <doctest/doctest.h>

namespace stele::net {

TEST_SUITE("net.address") {
  TEST_CASE("host names, IPv4 and IPv6 are read and written back") {
    for (const char* text : {"localhost:7101", "127.0.0.1:1", "[::1]:65535", "node-1.example:80"}) {
      const auto address = parse_address(text);
      REQUIRE(address);
      CHECK(to_string(*address) == text);
    }
    CHECK(parse_address("[::1]:7101")->host == "::1");
  }

  TEST_CASE("one host is the same, however it is written") {
    CHECK(*parse_address("Node-1.Example:80") == *parse_address("node-1.example:80"));
    CHECK(*parse_address("[0:0::1]:80") == *parse_address("[::1]:80"));
    CHECK(*parse_address("[FE80::1%Eth0]:80") == *parse_address("[fe80::1%Eth0]:80"));
    CHECK(*parse_address("[fe80::1%eth0]:80") != *parse_address("[fe80::1%Eth0]:80"));
    CHECK(to_string(*parse_address("[fe80:0::1%none9]:80")) == "[fe80::1%none9]:80");
  }

  TEST_CASE("what is no address is refused, and named") {
    for (const char* text :
         {"", "localhost", "localhost:", ":7101", "localhost:0", "localhost:65536", "localhost:7x",
          "::1:7101", "[::1:7101", "a b:1", "1=host:1", "host:-1"}) {
      CAPTURE(text);
      const auto address = parse_address(text);
      REQUIRE_FALSE(address.has_value());
      CHECK(address.error().detail.find("'" + std::string(text) + "'") != std::string::npos);
    }
  }
}

}  // namespace stele::net
