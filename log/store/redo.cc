#include "log/store/redo.h"

#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

void put_header(Change::Kind kind, Table table, TableKey key, std::size_t value_bytes,
                std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint8_t>(kind));
  writer.put(static_cast<std::uint8_t>(table));
  writer.put(static_cast<std::uint16_t>(key.bytes().size()));
  writer.put(static_cast<std::uint32_t>(value_bytes));
  writer.put(kGroup);
  writer.put(std::uint32_t{0});
  writer.put_bytes(key.bytes());
}

tl::unexpected<Error> unreadable() {
  return fail(Errc::corrupt, "the journal holds a change that cannot be read");
}

/// The parts fit each other.
bool is_whole(const Change& change, std::span<const std::byte> key) {
  switch (change.kind) {
    case Change::Kind::put: break;
    case Change::Kind::erase: return change.value.empty() && !key.empty();
    case Change::Kind::erase_range:
      return has_number_keys(change.table) && change.value.size() == sizeof(std::uint64_t) &&
             key.size() == sizeof(std::uint64_t);
    default: return false;
  }
  return has_number_keys(change.table) ? key.size() == sizeof(std::uint64_t) : !key.empty();
}

}  // namespace

void Redo::put(Table table, TableKey key, std::span<const std::byte> value) {
  put_header(Change::Kind::put, table, key, value.size(), bytes_);
  ByteWriter(bytes_).put_bytes(value);
}

std::span<std::byte> Redo::reserve(Table table, TableKey key, std::size_t bytes) {
  put_header(Change::Kind::put, table, key, bytes, bytes_);
  bytes_.resize(bytes_.size() + bytes);
  return std::span(bytes_).last(bytes);
}

void Redo::erase(Table table, TableKey key) {
  put_header(Change::Kind::erase, table, key, 0, bytes_);
}

void Redo::erase_range(Table table, std::uint64_t begin, std::uint64_t end) {
  put_header(Change::Kind::erase_range, table, begin, sizeof end, bytes_);
  ByteWriter(bytes_).put(end);
}

Result<Change> next_change(std::span<const std::byte>& redo) {
  ByteReader reader(redo);
  Change change;
  change.kind = static_cast<Change::Kind>(reader.get<std::uint8_t>());
  const auto table = reader.get<std::uint8_t>();
  const auto key_bytes = reader.get<std::uint16_t>();
  const auto value_bytes = reader.get<std::uint32_t>();
  const auto group = reader.get<std::uint32_t>();
  const auto zero = reader.get<std::uint32_t>();
  const auto key = reader.get_bytes(key_bytes);
  change.value = reader.get_bytes(value_bytes);
  if (!reader.ok() || zero != 0 || table == 0 || table >= kTablesEnd) return unreadable();
  change.table = Table{table};
  if (!is_whole(change, key)) return unreadable();
  if (group != kGroup) {
    return fail(Errc::newer_format, "the journal holds a change of group " + std::to_string(group) +
                                        ", which this program does not know");
  }
  change.key = has_number_keys(change.table) ? TableKey(ByteReader(key).get<std::uint64_t>())
                                             : TableKey(key);
  if (change.kind == Change::Kind::erase_range) {
    change.range_end = ByteReader(change.value).get<std::uint64_t>();
  }
  redo = redo.last(reader.left());
  return change;
}

}  // namespace stele::log
