// The value of a slot: immutable bytes that stay in the buffers in which they arrived.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace stele {

/// A view into a shared buffer, which it keeps alive. Cheap to copy.
struct Slice {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> bytes;
};

}  // namespace stele

namespace stele::paxos {

/// What a value is. The numbers stand on the wire and on the disk.
enum class ValueKind : std::uint8_t {
  noop = 0,       ///< Fills a hole; has no bytes.
  batch = 1,      ///< Clients' commands; their format is the log's affair (log/format/batch.h).
  stop_sign = 2,  ///< Ends an epoch; reserved for reconfiguration.
  upkeep = 3,     ///< A batch of what makes room, of kUpkeepBytesMax at most.
  // Others are of newer versions: voted for and kept, and never applied.
};

/// A value of ValueKind::upkeep of that size is voted for although the disk is full.
inline constexpr std::size_t kUpkeepBytesMax = 4096;

/// A handle on an immutable value; copying it copies a pointer. Any thread may read it.
class Value {
 public:
  /// A noop.
  Value() = default;

  /// `digest` is the XXH3 of all bytes (value_digest in net/wire/digest.h), 0 if there are none; it
  /// goes with the value over the wire and onto the disk.
  Value(ValueKind kind, std::vector<Slice> parts, std::uint64_t digest);

  [[nodiscard]] ValueKind kind() const { return body_ ? body_->kind : ValueKind::noop; }
  [[nodiscard]] std::size_t size() const { return body_ ? body_->size : 0; }
  [[nodiscard]] std::uint64_t digest() const { return body_ ? body_->digest : 0; }
  [[nodiscard]] std::span<const Slice> parts() const {
    return body_ ? std::span<const Slice>(body_->parts) : std::span<const Slice>();
  }

  /// Copies all bytes to `target`, which has room for size().
  void copy_to(std::byte* target) const;

  /// The same kind and the same bytes.
  bool operator==(const Value& other) const;

 private:
  struct Body {
    ValueKind kind;
    std::vector<Slice> parts;
    std::size_t size;
    std::uint64_t digest;
  };
  std::shared_ptr<const Body> body_;
};

}  // namespace stele::paxos
