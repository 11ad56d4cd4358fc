// Changes of the store's tables as bytes: what the journal keeps until LMDB has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Writes down what is to be put and erased in which table, in that order.
/// docs/storage-format.md has the layout.
class Redo {
 public:
  void put(Table table, std::uint64_t key, std::span<const std::byte> value);
  /// Room for `bytes` bytes, to be filled before the next call.
  [[nodiscard]] std::span<std::byte> reserve(Table table, std::uint64_t key, std::size_t bytes);
  void erase(Table table, std::uint64_t key);

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

/// One change, read back; a view.
struct Change {
  enum class Kind : std::uint8_t { put = 1, erase = 2 };
  Kind kind{};
  Table table{};
  std::uint64_t key = 0;
  std::span<const std::byte> value;
};

/// Takes the first change off `redo`, which is not empty. Errors: corrupt.
[[nodiscard]] Result<Change> next_change(std::span<const std::byte>& redo);
}  // namespace stele::log
