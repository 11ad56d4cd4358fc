#include "log/format/packer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace stele::log {
namespace {

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string text(const Slice& slice) {
  return {reinterpret_cast<const char*>(slice.bytes.data()), slice.bytes.size()};
}

}  // namespace

TEST_SUITE("log.packer") {
  TEST_CASE("small pieces lie beside each other, and stay as they were") {
    Packer packer;
    std::vector<Slice> kept;
    std::size_t owners = 0;
    for (std::size_t i = 0; i < 1000; ++i) {
      kept.push_back(packer.copy(bytes("piece " + std::to_string(i))));
      if (i == 0 || kept[i].owner != kept[i - 1].owner) {
        ++owners;
      } else {
        const std::span<const std::byte> before = kept[i - 1].bytes;
        CHECK(before.data() + before.size() == kept[i].bytes.data());
      }
    }
    CHECK(owners == 4);  // 1, 2, 4 and 8 KiB.
    for (std::size_t i = 0; i < 1000; ++i) CHECK(text(kept[i]) == "piece " + std::to_string(i));
  }

  TEST_CASE("a chunk that nobody holds is used again; a large piece has a buffer of its own") {
    Packer packer;
    const std::byte* at = packer.copy(bytes("a")).bytes.data();
    for (int i = 0; i < 10'000; ++i) CHECK(packer.copy(bytes("b")).bytes.data() == at);
    const Slice large = packer.copy(bytes(std::string(Packer::kPieceBytesMax + 1, 'x')));
    const Slice small = packer.copy(bytes("c"));
    CHECK(small.bytes.data() == at);
    CHECK(large.owner != small.owner);
    CHECK(large.bytes.size() == Packer::kPieceBytesMax + 1);
    CHECK(packer.copy({}).bytes.empty());
  }

  TEST_CASE("a piece of any size that fits a chunk") {
    Packer packer;
    const std::string most(Packer::kPieceBytesMax, 'm');
    std::vector<Slice> kept;
    for (int i = 0; i < 100; ++i) kept.push_back(packer.copy(bytes(most)));
    for (const Slice& slice : kept) CHECK(text(slice) == most);
  }
}

}  // namespace stele::log
