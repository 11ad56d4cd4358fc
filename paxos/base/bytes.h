// Little-endian numbers in and out of bytes, for everything that Stele lays out itself.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace stele::log {

/// Appends to a vector.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& target) : target_(target) {}

  template <class Unsigned>
  void put(Unsigned value) {
    static_assert(std::is_unsigned_v<Unsigned>);
    std::array<std::byte, sizeof value> bytes;
    std::memcpy(bytes.data(), &value, sizeof value);
    target_.insert(target_.end(), bytes.begin(), bytes.end());
  }
  void put_bytes(std::span<const std::byte> bytes) {
    target_.insert(target_.end(), bytes.begin(), bytes.end());
  }

 private:
  std::vector<std::byte>& target_;
};

/// Reads from a span; beyond its end it reads zeros and says so in ok().
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> source) : source_(source) {}

  template <class Unsigned>
  Unsigned get() {
    static_assert(std::is_unsigned_v<Unsigned>);
    Unsigned value = 0;
    const auto bytes = get_bytes(sizeof value);
    if (bytes.size() == sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::span<const std::byte> get_bytes(std::size_t count) {
    if (count > source_.size()) {
      ok_ = false;
      source_ = {};
      return {};
    }
    const auto bytes = source_.first(count);
    source_ = source_.subspan(count);
    return bytes;
  }
  [[nodiscard]] std::size_t left() const { return source_.size(); }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::span<const std::byte> source_;
  bool ok_ = true;
};

static_assert(std::endian::native == std::endian::little, "formats are copied as they are");

}  // namespace stele::log
