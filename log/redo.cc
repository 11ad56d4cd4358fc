#include "log/redo.h"

#include "log/bytes.h"

namespace stele::log {
namespace {

enum class Change : std::uint8_t { put = 1, erase = 2 };

void put_header(Change change, Table table, std::uint64_t key, std::size_t bytes,
                std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint8_t>(change));
  writer.put(static_cast<std::uint8_t>(table));
  writer.put(std::uint16_t{0});
  writer.put(static_cast<std::uint32_t>(bytes));
  writer.put(key);
}

}  // namespace

Result<void> Redo::put(Table table, std::uint64_t key, std::span<const std::byte> value) {
  put_header(Change::put, table, key, value.size(), bytes_);
  ByteWriter(bytes_).put_bytes(value);
  return {};
}

Result<std::span<std::byte>> Redo::reserve(Table table, std::uint64_t key, std::size_t bytes) {
  put_header(Change::put, table, key, bytes, bytes_);
  bytes_.resize(bytes_.size() + bytes);
  return std::span(bytes_).last(bytes);
}

Result<void> Redo::erase(Table table, std::uint64_t key) {
  put_header(Change::erase, table, key, 0, bytes_);
  return {};
}

Result<void> apply_redo(std::span<const std::byte> redo, Lmdb::Txn& txn) {
  ByteReader reader(redo);
  while (reader.left() != 0) {
    const auto change = static_cast<Change>(reader.get<std::uint8_t>());
    const auto table = reader.get<std::uint8_t>();
    const auto zero = reader.get<std::uint16_t>();
    const auto size = reader.get<std::uint32_t>();
    const auto key = reader.get<std::uint64_t>();
    const auto value = reader.get_bytes(size);
    const bool known = change == Change::put || change == Change::erase;
    if (!reader.ok() || !known || zero != 0 || table == 0 || table > kTables) {
      return fail(Errc::corrupt, "the journal holds a change that cannot be read");
    }
    const auto done =
        change == Change::put ? txn.put(Table{table}, key, value) : txn.erase(Table{table}, key);
    if (!done) return done;
  }
  return {};
}

}  // namespace stele::log
