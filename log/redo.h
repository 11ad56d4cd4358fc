// Changes of the store's tables as bytes: what the journal keeps until LMDB has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "log/lmdb.h"
#include "paxos/result.h"

namespace stele::log {

/// Takes the same calls as Lmdb::Txn that change something, and writes them down.
/// docs/storage-format.md has the layout.
class Redo {
 public:
  Result<void> put(Table table, std::uint64_t key, std::span<const std::byte> value);
  /// Room for `bytes` bytes, to be filled before the next call.
  [[nodiscard]] Result<std::span<std::byte>> reserve(Table table, std::uint64_t key,
                                                     std::size_t bytes);
  Result<void> erase(Table table, std::uint64_t key);

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  std::vector<std::byte> bytes_;
};

/// Makes the changes that `redo` says, in their order. Errors: corrupt, io.
Result<void> apply_redo(std::span<const std::byte> redo, Lmdb::Txn& txn);

}  // namespace stele::log
