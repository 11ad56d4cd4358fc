#include "log/store/files/journal_record.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "log/store/files/direct_file.h"
#include "net/wire/digest.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

struct Sizes {
  std::uint64_t number;
  std::uint64_t durable;
  std::uint64_t value_bytes;
  std::uint64_t redo_bytes;
};
static_assert(sizeof(Sizes) == kRecordHeadBytes - 2 * sizeof(std::uint64_t));

std::uint64_t checksum(std::uint64_t id, const Sizes& sizes, std::span<const std::byte> redo) {
  return net::digest(redo, net::digest(std::as_bytes(std::span(&sizes, 1)), id));
}

}  // namespace

std::array<std::byte, kRecordHeadBytes> make_record_head(std::uint64_t id, RecordNumber number,
                                                         std::uint64_t value_bytes,
                                                         std::span<const std::byte> redo) {
  const Sizes sizes{number.own, number.durable, value_bytes, redo.size()};
  const std::uint64_t sum = checksum(id, sizes, redo);
  std::array<std::byte, kRecordHeadBytes> head{};
  std::memcpy(head.data(), &id, sizeof id);
  std::memcpy(head.data() + sizeof id, &sum, sizeof sum);
  std::memcpy(head.data() + sizeof id + sizeof sum, &sizes, sizeof sizes);
  return head;
}

namespace {

/// The record that begins at the begin of `pages`, without its place; nothing if there is none.
std::optional<FoundRecord> record_at(std::span<const std::byte> pages, std::uint64_t id) {
  ByteReader reader(pages);
  if (reader.get<std::uint64_t>() != id) return std::nullopt;
  const auto sum = reader.get<std::uint64_t>();
  Sizes sizes{};
  sizes.number = reader.get<std::uint64_t>();
  sizes.durable = reader.get<std::uint64_t>();
  sizes.value_bytes = reader.get<std::uint64_t>();
  sizes.redo_bytes = reader.get<std::uint64_t>();
  FoundRecord record;
  record.number = sizes.number;
  record.durable = sizes.durable;
  record.values = reader.get_bytes(sizes.value_bytes);
  record.redo = reader.get_bytes(sizes.redo_bytes);
  const bool intact = reader.ok() && sizes.number != 0 && sum == checksum(id, sizes, record.redo);
  return intact ? std::optional(record) : std::nullopt;
}

}  // namespace

std::uint64_t record_id(std::span<const std::byte> page) {
  return ByteReader(page).get<std::uint64_t>();
}

bool holds_record(std::span<const std::byte> pages, std::uint64_t id) {
  for (; pages.size() >= kRecordHeadBytes;
       pages = pages.subspan(std::min(kPageBytes, pages.size()))) {
    if (record_at(pages, id)) return true;
  }
  return false;
}

void find_records(std::span<const std::byte> pages, std::uint32_t segment, std::uint64_t at,
                  std::uint64_t id, std::uint64_t applied, std::vector<FoundRecord>& found) {
  const std::uint64_t begin = at;
  while (at - begin + kRecordHeadBytes <= pages.size()) {
    auto record = record_at(pages.subspan(at - begin), id);
    if (!record) {
      at += kPageBytes;
      continue;
    }
    // In a segment that is written over again: it may lie under the beginning of a newer one.
    if (record->number <= applied) {
      at += kPageBytes;
      continue;
    }
    at += whole_pages(kRecordHeadBytes + record->values.size() + record->redo.size());
    record->segment = segment;
    record->end = at;
    found.push_back(*record);
  }
}

}  // namespace stele::log
