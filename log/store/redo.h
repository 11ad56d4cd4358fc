// Changes of the store's tables as bytes: what the journal keeps until LMDB has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "log/format/rows.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Writes down what is to be put and erased in which table of the group (kGroup), in that order.
/// docs/storage-format.md has the layout.
class Redo {
 public:
  void put(Table table, TableKey key, std::span<const std::byte> value);
  /// Room for `bytes` bytes, to be filled before the next call.
  [[nodiscard]] std::span<std::byte> reserve(Table table, TableKey key, std::size_t bytes);
  void erase(Table table, TableKey key);
  /// All of [begin, end), of a table whose keys are numbers.
  void erase_range(Table table, std::uint64_t begin, std::uint64_t end);

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

/// One change, read back; a view.
struct Change {
  enum class Kind : std::uint8_t { put = 1, erase = 2, erase_range = 3 };
  Kind kind{};
  Table table{};
  TableKey key{0};
  std::span<const std::byte> value;
  std::uint64_t range_end = 0;  ///< Of erase_range, whose begin is the key.
};

/// Takes the first change off `redo`, which is not empty. Errors: corrupt; newer_format, if it is
/// of another group.
[[nodiscard]] Result<Change> next_change(std::span<const std::byte>& redo);
}  // namespace stele::log
