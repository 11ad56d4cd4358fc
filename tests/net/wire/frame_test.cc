#include "net/wire/frame.h"

#include <doctest/doctest.h>

#include "net/link/read_buffer.h"
#include "net/wire/digest.h"
#include "tests/net/wire/samples.h"

namespace stele::net {
namespace {

std::vector<std::byte> bytes_of(std::size_t count) {
  return std::vector<std::byte>(count, std::byte{5});
}

}  // namespace

TEST_SUITE("net.frame") {
  TEST_CASE("a prefix survives, and says how long the frame is") {
    const auto header = bytes_of(24);
    const auto prefix = parse_prefix(make_prefix(header, 13), 1000);
    REQUIRE(prefix);
    CHECK(prefix->header_bytes == 24);
    CHECK(prefix->body_bytes == 13);
    CHECK(prefix->frame_bytes() == 16 + 24 + 16);
    CHECK(prefix->checksum == header_checksum(header));
  }

  TEST_CASE("no magic, an odd header, or a huge length are refused") {
    const auto header = bytes_of(24);
    auto prefix = make_prefix(header, 13);
    CHECK_FALSE(parse_prefix(prefix, 50).has_value());
    prefix[0] = std::byte{0};
    CHECK_FALSE(parse_prefix(prefix, 1000).has_value());
    CHECK_FALSE(parse_prefix(make_prefix(bytes_of(23), 0), 1000).has_value());
    CHECK_FALSE(parse_prefix(make_prefix({}, 0), 1000).has_value());
    CHECK_FALSE(parse_prefix(make_prefix(header, UINT32_MAX), kFrameBytesMax).has_value());
  }

  TEST_CASE("digest: 0 for no bytes, the same however they are cut") {
    CHECK(value_digest(std::span<const std::byte>()) == 0);
    CHECK(value_digest(std::vector<Slice>{}) == 0);
    const std::vector<Slice> cut{slice("hel"), slice(""), slice("lo")};
    CHECK(value_digest(cut) == value_digest(slice("hello").bytes));
    CHECK(digest(slice("a").bytes, 1) != digest(slice("a").bytes, 2));
  }
}

}  // namespace stele::net
