#include "log/format/rows.h"

#include <cstring>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

std::uint64_t seed(Table table, std::uint64_t key) {
  return static_cast<std::uint64_t>(table) * 0x9e3779b97f4a7c15ULL + key;
}

std::string name_of(Table table) {
  switch (table) {
    case Table::meta: return "meta";
    case Table::slots: return "slots";
    case Table::index: return "index";
    case Table::sessions: return "sessions";
  }
  return "table " + std::to_string(static_cast<unsigned>(table));
}

}  // namespace

std::uint64_t number_of(std::span<const std::byte> key) {
  STELE_CHECK(key.size() == sizeof(std::uint64_t));
  std::uint64_t number = 0;
  for (const std::byte byte : key) number = number << 8 | static_cast<std::uint8_t>(byte);
  return number;
}

std::vector<std::byte> key_of(std::uint64_t number) {
  std::vector<std::byte> key(sizeof number);
  for (std::size_t i = key.size(); i-- > 0; number >>= 8) key[i] = std::byte(number & 0xff);
  return key;
}

std::vector<std::byte> seal(Table table, std::uint64_t key, std::vector<std::byte> content) {
  const std::uint64_t checksum = net::digest(content, seed(table, key));
  ByteWriter(content).put(checksum);
  return content;
}

void seal_in_place(Table table, std::uint64_t key, std::span<std::byte> sealed) {
  const auto content = sealed.first(sealed.size() - kSealBytes);
  const std::uint64_t checksum = net::digest(content, seed(table, key));
  std::memcpy(sealed.data() + content.size(), &checksum, kSealBytes);
}

Result<std::span<const std::byte>> unseal(Table table, std::uint64_t key,
                                          std::span<const std::byte> sealed) {
  if (sealed.size() < kSealBytes) return corrupt_record(table, key, "is cut off");
  const auto content = sealed.first(sealed.size() - kSealBytes);
  ByteReader reader(sealed.last(kSealBytes));
  if (reader.get<std::uint64_t>() != net::digest(content, seed(table, key))) {
    return corrupt_record(table, key, "does not match its checksum");
  }
  return content;
}

tl::unexpected<Error> corrupt_record(Table table, std::uint64_t key, const std::string& why) {
  return fail(Errc::corrupt,
              "the record " + name_of(table) + "/" + std::to_string(key) + " " + why);
}

std::vector<std::byte> seal_numbers(const StateNumbers& numbers) {
  std::vector<std::byte> content;
  ByteWriter writer(content);
  writer.put(numbers.chosen_end.value);
  writer.put(numbers.next_lsn.value);
  writer.put(numbers.first_lsn.value);
  writer.put(numbers.log_time_us);
  writer.put(numbers.stamp_us);
  writer.put(numbers.hash);
  return seal(Table::meta, kNumbersKey, std::move(content));
}

Result<StateNumbers> unseal_numbers(std::span<const std::byte> sealed) {
  return unseal_as<StateNumbers>(Table::meta, kNumbersKey, sealed, [](ByteReader& reader) {
    StateNumbers numbers;
    numbers.chosen_end = {reader.get<std::uint64_t>()};
    numbers.next_lsn = {reader.get<std::uint64_t>()};
    numbers.first_lsn = {reader.get<std::uint64_t>()};
    numbers.log_time_us = reader.get<std::uint64_t>();
    numbers.stamp_us = reader.get<std::uint64_t>();
    numbers.hash = reader.get<std::uint64_t>();
    return numbers;
  });
}

std::vector<std::byte> seal_index_row(const IndexRow& row) {
  std::vector<std::byte> content;
  ByteWriter writer(content);
  writer.put(row.slot.value);
  writer.put(row.count);
  for (const IndexRow::Skipped& skipped : row.skipped) {
    writer.put(skipped.command);
    writer.put(skipped.entries);
  }
  return seal(Table::index, row.first_lsn.value, std::move(content));
}

Result<IndexRow> unseal_index_row(Lsn first_lsn, std::span<const std::byte> sealed) {
  return unseal_as<IndexRow>(Table::index, first_lsn.value, sealed, [&](ByteReader& reader) {
    IndexRow row;
    row.first_lsn = first_lsn;
    row.slot = {reader.get<std::uint64_t>()};
    row.count = reader.get<std::uint32_t>();
    while (reader.ok() && reader.left() != 0) {
      const auto command = reader.get<std::uint32_t>();
      row.skipped.push_back({command, reader.get<std::uint32_t>()});
    }
    return row;
  });
}

Result<Row> unseal_row(Table table, std::uint64_t key, std::span<const std::byte> sealed) {
  const auto content = unseal(table, key, sealed);
  if (!content) return forward(content);
  return Row{table, key_of(key), {content->begin(), content->end()}};
}

}  // namespace stele::log
