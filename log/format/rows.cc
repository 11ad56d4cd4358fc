#include "log/format/rows.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr std::uint16_t kNumbersVersion = 1;
constexpr std::uint16_t kIndexVersion = 1;
constexpr std::uint16_t kRunVersion = 1;
constexpr std::uint16_t kSegmentVersion = 1;
constexpr std::size_t kGenerationBytes = 4;
/// Most records are no longer.
constexpr std::size_t kRecordBytesUsual = 64;

std::uint64_t seed(Table table, TableKey key) {
  const std::uint64_t number = key.is_number() ? key.number() : net::digest(key.bytes(), 0);
  return static_cast<std::uint64_t>(table) * 0x9e3779b97f4a7c15ULL + number;
}

std::string name_of(Table table) {
  switch (table) {
    case Table::meta: return "meta";
    case Table::slots: return "slots";
    case Table::index: return "index";
    case Table::sessions: return "sessions";
    case Table::runs: return "runs";
    case Table::segments: return "segments";
    case Table::retention: return "retention";
  }
  return "table " + std::to_string(static_cast<unsigned>(table));
}

/// A number if it may be one, else the bytes that can be printed.
std::string name_of(TableKey key) {
  if (key.is_number()) return std::to_string(key.number());
  auto bytes = key.bytes();
  if (bytes.size() > kGenerationBytes) bytes = bytes.subspan(kGenerationBytes);
  if (bytes.size() == sizeof(std::uint64_t) && bytes.front() == std::byte{0}) {
    return std::to_string(number_of(bytes));
  }
  std::string name;
  for (const std::byte byte : bytes) {
    const auto letter = static_cast<char>(byte);
    name += letter > ' ' && letter < '\x7f' ? letter : '?';
  }
  return name;
}

void put_index_content(const IndexRow& row, ByteWriter& writer) {
  writer.put(row.slot.value);
  writer.put(row.count);
  for (const IndexRow::Skipped& skipped : row.skipped) {
    writer.put(skipped.command);
    writer.put(skipped.entries);
  }
}

void put_state(const StateNumbers& state, ByteWriter& writer) {
  writer.put(state.chosen_end.value);
  writer.put(state.next_lsn.value);
  writer.put(state.first_lsn.value);
  writer.put(state.log_time_us);
  writer.put(state.stamp_us);
  writer.put(state.hash);
  writer.put(state.log_bytes);
  writer.put(state.run_digest);
  writer.put(state.snapshot_slot.value);
  writer.put(state.snapshot_log_bytes);
}

StateNumbers get_state(ByteReader& reader) {
  StateNumbers state;
  state.chosen_end = {reader.get<std::uint64_t>()};
  state.next_lsn = {reader.get<std::uint64_t>()};
  state.first_lsn = {reader.get<std::uint64_t>()};
  state.log_time_us = reader.get<std::uint64_t>();
  state.stamp_us = reader.get<std::uint64_t>();
  state.hash = reader.get<std::uint64_t>();
  state.log_bytes = reader.get<std::uint64_t>();
  state.run_digest = reader.get<std::uint64_t>();
  state.snapshot_slot = {reader.get<std::uint64_t>()};
  state.snapshot_log_bytes = reader.get<std::uint64_t>();
  return state;
}

RunRow get_run(std::uint64_t number, ByteReader& reader) {
  RunRow row;
  row.number = number;
  row.next_lsn = {reader.get<std::uint64_t>()};
  row.log_time_us = reader.get<std::uint64_t>();
  row.log_bytes = reader.get<std::uint64_t>();
  row.digest = reader.get<std::uint64_t>();
  return row;
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

std::vector<std::byte> stored_key(std::uint32_t generation, std::span<const std::byte> key) {
  STELE_CHECK(!key.empty() && key.size() <= kRowKeyBytesMax);
  std::vector<std::byte> stored(kGenerationBytes + key.size());
  for (std::size_t i = kGenerationBytes; i-- > 0; generation >>= 8) {
    stored[i] = std::byte(generation & 0xff);
  }
  std::ranges::copy(key, stored.begin() + kGenerationBytes);
  return stored;
}

Result<StoredKey> parse_stored_key(Table table, std::span<const std::byte> stored) {
  if (stored.size() <= kGenerationBytes || stored.size() > kGenerationBytes + kRowKeyBytesMax) {
    return corrupt_record(table, stored, "has a key of the wrong length");
  }
  StoredKey parsed;
  for (const std::byte byte : stored.first(kGenerationBytes)) {
    parsed.generation = parsed.generation << 8 | static_cast<std::uint8_t>(byte);
  }
  parsed.key = stored.subspan(kGenerationBytes);
  return parsed;
}

std::vector<std::byte> begin_record(std::uint16_t version) {
  std::vector<std::byte> content;
  content.reserve(kRecordBytesUsual);
  ByteWriter(content).put(version);
  return content;
}

Result<std::uint16_t> take_version(ByteReader& reader, std::uint16_t version_max,
                                   const std::string& what) {
  const auto version = reader.get<std::uint16_t>();
  if (!reader.ok() || version == 0) return fail(Errc::corrupt, what + " has no version");
  if (version > version_max) {
    return fail(Errc::newer_format, what + " has version " + std::to_string(version) +
                                        "; this program reads versions up to " +
                                        std::to_string(version_max));
  }
  return version;
}

std::vector<std::byte> seal(Table table, TableKey key, std::vector<std::byte> content) {
  const std::uint64_t checksum = net::digest(content, seed(table, key));
  ByteWriter(content).put(checksum);
  return content;
}

void seal_in_place(Table table, TableKey key, std::span<std::byte> sealed) {
  const auto content = sealed.first(sealed.size() - kSealBytes);
  const std::uint64_t checksum = net::digest(content, seed(table, key));
  std::memcpy(sealed.data() + content.size(), &checksum, kSealBytes);
}

Result<std::span<const std::byte>> unseal(Table table, TableKey key,
                                          std::span<const std::byte> sealed) {
  if (sealed.size() < kSealBytes) return corrupt_record(table, key, "is cut off");
  const auto content = sealed.first(sealed.size() - kSealBytes);
  ByteReader reader(sealed.last(kSealBytes));
  if (reader.get<std::uint64_t>() != net::digest(content, seed(table, key))) {
    return corrupt_record(table, key, "does not match its checksum");
  }
  return content;
}

std::string record_name(Table table, TableKey key) {
  return "the record " + name_of(table) + "/" + name_of(key);
}

tl::unexpected<Error> corrupt_record(Table table, TableKey key, const std::string& why) {
  return fail(Errc::corrupt, record_name(table, key) + " " + why);
}

std::vector<std::byte> encode_state(const StateNumbers& numbers) {
  std::vector<std::byte> content = begin_record(kNumbersVersion);
  ByteWriter writer(content);
  put_state(numbers, writer);
  return content;
}

Result<StateNumbers> decode_state(std::span<const std::byte> content) {
  return decode_as<StateNumbers>(Table::meta, kNumbersKey, content, kNumbersVersion, get_state);
}

std::vector<std::byte> encode_run(const RunRow& row) {
  std::vector<std::byte> content = begin_record(kRunVersion);
  ByteWriter writer(content);
  writer.put(row.next_lsn.value);
  writer.put(row.log_time_us);
  writer.put(row.log_bytes);
  writer.put(row.digest);
  return content;
}

Result<RunRow> decode_run(std::uint64_t number, std::span<const std::byte> content) {
  return decode_as<RunRow>(Table::runs, number, content, kRunVersion,
                           [&](ByteReader& reader) { return get_run(number, reader); });
}

std::vector<std::byte> seal_numbers(const StoredNumbers& numbers) {
  std::vector<std::byte> content = begin_record(kNumbersVersion);
  ByteWriter writer(content);
  put_state(numbers.state, writer);
  writer.put(numbers.holding.first_slot.value);
  writer.put(numbers.holding.slots_begin.value);
  writer.put(numbers.holding.entries_begin.value);
  writer.put(numbers.holding.begin_digest);
  writer.put(numbers.holding.generation);
  writer.put(numbers.holding.snapshot.value);
  return seal(Table::meta, kNumbersKey, std::move(content));
}

Result<StoredNumbers> unseal_numbers(std::span<const std::byte> sealed) {
  return unseal_as<StoredNumbers>(Table::meta, kNumbersKey, sealed, kNumbersVersion,
                                  [](ByteReader& reader) {
                                    StoredNumbers numbers;
                                    numbers.state = get_state(reader);
                                    numbers.holding.first_slot = {reader.get<std::uint64_t>()};
                                    numbers.holding.slots_begin = {reader.get<std::uint64_t>()};
                                    numbers.holding.entries_begin = {reader.get<std::uint64_t>()};
                                    numbers.holding.begin_digest = reader.get<std::uint64_t>();
                                    numbers.holding.generation = reader.get<std::uint32_t>();
                                    numbers.holding.snapshot = {reader.get<std::uint64_t>()};
                                    return numbers;
                                  });
}

std::vector<std::byte> seal_index_row(const IndexRow& row) {
  std::vector<std::byte> content = begin_record(kIndexVersion);
  ByteWriter writer(content);
  put_index_content(row, writer);
  return seal(Table::index, row.first_lsn.value, std::move(content));
}

Result<IndexRow> unseal_index_row(Lsn first_lsn, std::span<const std::byte> sealed) {
  return unseal_as<IndexRow>(Table::index, first_lsn.value, sealed, kIndexVersion,
                             [&](ByteReader& reader) {
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

std::vector<std::byte> seal_run_row(const RunRow& row) {
  return seal(Table::runs, row.number, encode_run(row));
}

Result<RunRow> unseal_run_row(std::uint64_t number, std::span<const std::byte> sealed) {
  return unseal_as<RunRow>(Table::runs, number, sealed, kRunVersion,
                           [&](ByteReader& reader) { return get_run(number, reader); });
}

std::vector<std::byte> seal_segment_row(const SegmentRow& row) {
  std::vector<std::byte> content = begin_record(kSegmentVersion);
  ByteWriter writer(content);
  writer.put(row.lowest.value);
  writer.put(row.highest.value);
  return seal(Table::segments, row.segment, std::move(content));
}

Result<SegmentRow> unseal_segment_row(std::uint32_t segment, std::span<const std::byte> sealed) {
  return unseal_as<SegmentRow>(Table::segments, segment, sealed, kSegmentVersion,
                               [&](ByteReader& reader) {
                                 SegmentRow row;
                                 row.segment = segment;
                                 row.lowest = {reader.get<std::uint64_t>()};
                                 row.highest = {reader.get<std::uint64_t>()};
                                 return row;
                               });
}

Result<Row> unseal_row(Table table, std::span<const std::byte> stored,
                       std::span<const std::byte> sealed) {
  const auto parsed = parse_stored_key(table, stored);
  if (!parsed) return forward(parsed);
  const auto content = unseal(table, stored, sealed);
  if (!content) return forward(content);
  return Row{table, {parsed->key.begin(), parsed->key.end()}, {content->begin(), content->end()}};
}

std::uint64_t slot_digest(const IndexRow& row, std::uint8_t kind, std::uint64_t value_bytes,
                          std::uint64_t value_digest) {
  std::vector<std::byte> bytes;
  bytes.reserve(48);
  ByteWriter writer(bytes);
  writer.put(std::uint64_t{kind});
  writer.put(value_bytes);
  writer.put(value_digest);
  // A slot without entries has no row in the index.
  if (row.count != 0) writer.put(row.first_lsn.value);
  if (row.count != 0) put_index_content(row, writer);
  return net::digest(bytes, row.slot.value);
}

std::uint64_t add_to_run(std::uint64_t run_digest, std::uint64_t slot_digest) {
  return net::digest(std::as_bytes(std::span(&slot_digest, 1)), run_digest);
}

}  // namespace stele::log
