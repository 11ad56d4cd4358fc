#include "log/store/redo.h"

#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

void put_header(Change::Kind kind, Table table, std::uint64_t key, std::size_t bytes,
                std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint8_t>(kind));
  writer.put(static_cast<std::uint8_t>(table));
  writer.put(std::uint16_t{0});
  writer.put(static_cast<std::uint32_t>(bytes));
  writer.put(key);
}

}  // namespace

void Redo::put(Table table, std::uint64_t key, std::span<const std::byte> value) {
  put_header(Change::Kind::put, table, key, value.size(), bytes_);
  ByteWriter(bytes_).put_bytes(value);
}

std::span<std::byte> Redo::reserve(Table table, std::uint64_t key, std::size_t bytes) {
  put_header(Change::Kind::put, table, key, bytes, bytes_);
  bytes_.resize(bytes_.size() + bytes);
  return std::span(bytes_).last(bytes);
}

void Redo::erase(Table table, std::uint64_t key) {
  put_header(Change::Kind::erase, table, key, 0, bytes_);
}

Result<Change> next_change(std::span<const std::byte>& redo) {
  ByteReader reader(redo);
  Change change;
  change.kind = static_cast<Change::Kind>(reader.get<std::uint8_t>());
  const auto table = reader.get<std::uint8_t>();
  const auto zero = reader.get<std::uint16_t>();
  const auto size = reader.get<std::uint32_t>();
  change.key = reader.get<std::uint64_t>();
  change.value = reader.get_bytes(size);
  const bool known = change.kind == Change::Kind::put || change.kind == Change::Kind::erase;
  if (!reader.ok() || !known || zero != 0 || table == 0 || table >= kTablesEnd) {
    return fail(Errc::corrupt, "the journal holds a change that cannot be read");
  }
  change.table = Table{table};
  redo = redo.last(reader.left());
  return change;
}

}  // namespace stele::log
