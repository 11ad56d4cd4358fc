#include "log/format/record.h"

#include <cstring>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

constexpr std::uint16_t kPromiseVersion = 1;
constexpr std::uint16_t kMarkVersion = 1;
constexpr std::uint16_t kHistoryVersion = 1;

/// The directory's format is the version of this record, which stays where it is.
Result<ByteReader> identity_content(std::span<const std::byte> sealed) {
  const auto content = unseal(Table::meta, kIdentityKey, sealed);
  if (!content) return forward(content);
  ByteReader reader(*content);
  const auto version = reader.get<std::uint32_t>();
  if (version == kFormatVersion) return reader;
  const bool newer = version > kFormatVersion;
  return fail(Errc::newer_format,
              "the data directory has format " + std::to_string(version) + ", " +
                  (newer ? "of a newer version" : "of before the first release") +
                  "; this program reads format " + std::to_string(kFormatVersion) +
                  (newer ? "" : ", and nothing converts the other one: start on an empty one"));
}

}  // namespace

Result<void> check_format(std::span<const std::byte> sealed_identity) {
  const auto known = identity_content(sealed_identity);
  if (!known) return forward(known);
  return {};
}

std::vector<std::byte> seal_identity(const Identity& identity) {
  std::vector<std::byte> content;
  ByteWriter writer(content);
  writer.put(kFormatVersion);
  writer.put(static_cast<std::uint32_t>(identity.cluster_name.size()));
  writer.put_bytes(std::as_bytes(std::span(identity.cluster_name)));
  writer.put(identity.cluster_id);
  writer.put(identity.node.value);
  writer.put(identity.incarnation);
  writer.put(static_cast<std::uint32_t>(identity.members.size()));
  for (const Member& member : identity.members) {
    writer.put(member.node.value);
    writer.put(member.incarnation);
  }
  writer.put(identity.q1);
  writer.put(identity.q2);
  return seal(Table::meta, kIdentityKey, std::move(content));
}

Result<Identity> unseal_identity(std::span<const std::byte> sealed) {
  auto content = identity_content(sealed);
  if (!content) return forward(content);
  ByteReader& reader = *content;
  Identity identity;
  const auto name = reader.get_bytes(reader.get<std::uint32_t>());
  for (std::byte byte : name) identity.cluster_name.push_back(static_cast<char>(byte));
  identity.cluster_id = reader.get<std::uint64_t>();
  identity.node = {reader.get<std::uint64_t>()};
  identity.incarnation = reader.get<std::uint64_t>();
  const auto members = reader.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < members && reader.ok(); ++i) {
    const NodeId node{reader.get<std::uint64_t>()};
    identity.members.push_back({node, reader.get<std::uint64_t>()});
  }
  identity.q1 = reader.get<std::uint8_t>();
  identity.q2 = reader.get<std::uint8_t>();
  if (!reader.ok() || reader.left() != 0) {
    return corrupt_record(Table::meta, kIdentityKey, "has the wrong length");
  }
  return identity;
}

std::vector<std::byte> seal_promised(const Promised& promised) {
  std::vector<std::byte> content = begin_record(kPromiseVersion);
  ByteWriter writer(content);
  writer.put(promised.epoch.value);
  writer.put(promised.ballot.round);
  writer.put(promised.ballot.node.value);
  return seal(Table::meta, kPromiseKey, std::move(content));
}

Result<Promised> unseal_promised(std::span<const std::byte> sealed) {
  return unseal_as<Promised>(Table::meta, kPromiseKey, sealed, kPromiseVersion,
                             [](ByteReader& reader) {
                               Promised promised;
                               promised.epoch = {reader.get<std::uint64_t>()};
                               promised.ballot.round = reader.get<std::uint64_t>();
                               promised.ballot.node = {reader.get<std::uint64_t>()};
                               return promised;
                             });
}

std::vector<std::byte> seal_journal_mark(const JournalMark& mark) {
  std::vector<std::byte> content = begin_record(kMarkVersion);
  ByteWriter writer(content);
  writer.put(mark.id);
  writer.put(mark.applied);
  writer.put(mark.values_end.segment);
  writer.put(mark.values_end.offset);
  writer.put(mark.commits);
  return seal(Table::meta, kJournalKey, std::move(content));
}

Result<JournalMark> unseal_journal_mark(std::span<const std::byte> sealed) {
  return unseal_as<JournalMark>(Table::meta, kJournalKey, sealed, kMarkVersion,
                                [](ByteReader& reader) {
                                  JournalMark mark;
                                  mark.id = reader.get<std::uint64_t>();
                                  mark.applied = reader.get<std::uint64_t>();
                                  mark.values_end.segment = reader.get<std::uint32_t>();
                                  mark.values_end.offset = reader.get<std::uint64_t>();
                                  mark.commits = reader.get<std::uint64_t>();
                                  return mark;
                                });
}

std::vector<std::byte> seal_history(const History& history) {
  std::vector<std::byte> content = begin_record(kHistoryVersion);
  ByteWriter writer(content);
  const auto put_starts = [&](const std::vector<Start>& starts) {
    writer.put(static_cast<std::uint32_t>(starts.size()));
    for (const Start& start : starts) {
      writer.put(start.id);
      writer.put(start.commits_found);
    }
  };
  writer.put(history.starts);
  writer.put(history.diverged_at.value);
  writer.put(history.disputed.chosen_end.value);
  writer.put(history.disputed.hash);
  writer.put(static_cast<std::uint8_t>(history.gone_back ? 1 : 0));
  put_starts(history.recent);
  writer.put(static_cast<std::uint32_t>(history.kept_by.size()));
  for (const auto& [node, start_id] : history.kept_by) {
    writer.put(node.value);
    writer.put(start_id);
  }
  writer.put(static_cast<std::uint32_t>(history.heard.size()));
  for (const Sighting& seen : history.heard) {
    writer.put(seen.node.value);
    writer.put(seen.starts);
    writer.put(seen.commits);
    writer.put(static_cast<std::uint8_t>(seen.forked ? 1 : 0));
    put_starts(seen.recent);
  }
  return seal(Table::meta, kHistoryKey, std::move(content));
}

Result<History> unseal_history(std::span<const std::byte> sealed) {
  return unseal_as<History>(Table::meta, kHistoryKey, sealed, kHistoryVersion,
                            [](ByteReader& reader) {
                              const auto get_starts = [&] {
                                std::vector<Start> starts;
                                const auto count = reader.get<std::uint32_t>();
                                for (std::uint32_t i = 0; i < count && reader.ok(); ++i) {
                                  const auto id = reader.get<std::uint64_t>();
                                  starts.push_back({id, reader.get<std::uint64_t>()});
                                }
                                return starts;
                              };
                              History history;
                              history.starts = reader.get<std::uint64_t>();
                              history.diverged_at = {reader.get<std::uint64_t>()};
                              history.disputed.chosen_end = {reader.get<std::uint64_t>()};
                              history.disputed.hash = reader.get<std::uint64_t>();
                              history.gone_back = reader.get<std::uint8_t>() != 0;
                              history.recent = get_starts();
                              const auto kept_by = reader.get<std::uint32_t>();
                              for (std::uint32_t i = 0; i < kept_by && reader.ok(); ++i) {
                                const NodeId node{reader.get<std::uint64_t>()};
                                history.kept_by.emplace_back(node, reader.get<std::uint64_t>());
                              }
                              const auto heard = reader.get<std::uint32_t>();
                              for (std::uint32_t i = 0; i < heard && reader.ok(); ++i) {
                                Sighting seen;
                                seen.node = {reader.get<std::uint64_t>()};
                                seen.starts = reader.get<std::uint64_t>();
                                seen.commits = reader.get<std::uint64_t>();
                                seen.forked = reader.get<std::uint8_t>() != 0;
                                seen.recent = get_starts();
                                // Never written without one; readers rely on it.
                                if (!seen.recent.empty()) history.heard.push_back(std::move(seen));
                              }
                              return history;
                            });
}

void write_slot_header(const paxos::SlotRecord& record,
                       std::span<std::byte, kSlotHeaderBytes> target, ValuePlace place) {
  std::vector<std::byte> content;
  content.reserve(kSlotHeaderBytes);
  ByteWriter writer(content);
  writer.put(kSlotFormatVersion);
  writer.put(static_cast<std::uint16_t>(record.value.kind()));
  writer.put(place.segment);
  writer.put(record.epoch.value);
  writer.put(record.ballot.round);
  writer.put(record.ballot.node.value);
  writer.put(static_cast<std::uint64_t>(record.value.size()));
  writer.put(record.value.digest());
  writer.put(place.offset);
  const auto sealed = seal(Table::slots, record.slot.value, std::move(content));
  std::memcpy(target.data(), sealed.data(), kSlotHeaderBytes);
}

Result<SlotHeader> read_slot_header(Slot slot, std::span<const std::byte> bytes) {
  if (bytes.size() < kSlotHeaderBytes)
    return corrupt_record(Table::slots, slot.value, "is cut off");
  const auto header = unseal(Table::slots, slot.value, bytes.first(kSlotHeaderBytes));
  if (!header) return forward(header);
  ByteReader reader(*header);
  const auto version = reader.get<std::uint16_t>();
  const auto kind = reader.get<std::uint16_t>();
  SlotHeader read;
  read.place.segment = reader.get<std::uint32_t>();
  read.record.slot = slot;
  read.record.epoch = {reader.get<std::uint64_t>()};
  read.record.ballot.round = reader.get<std::uint64_t>();
  read.record.ballot.node = {reader.get<std::uint64_t>()};
  read.value_bytes = reader.get<std::uint64_t>();
  read.digest = reader.get<std::uint64_t>();
  read.place.offset = reader.get<std::uint64_t>();
  const std::uint64_t here = bytes.size() - kSlotHeaderBytes;
  if (version > kSlotFormatVersion) {
    return fail(Errc::newer_format,
                record_name(Table::slots, slot.value) + " has version " + std::to_string(version) +
                    "; this program reads versions up to " + std::to_string(kSlotFormatVersion));
  }
  if (version != kSlotFormatVersion || kind > UINT8_MAX ||
      here != (read.place.segment == 0 ? read.value_bytes : 0)) {
    return corrupt_record(Table::slots, slot.value, "has a header that does not fit it");
  }
  read.kind = static_cast<paxos::ValueKind>(kind);
  return read;
}

Result<paxos::SlotRecord> with_value(SlotHeader header, Slice value) {
  if (header.kind == paxos::ValueKind::noop) return std::move(header.record);
  if (net::value_digest(value.bytes) != header.digest) {
    return corrupt_record(Table::slots, header.record.slot.value,
                          "has a value that does not match its checksum");
  }
  header.record.value = {header.kind, {std::move(value)}, header.digest};
  return std::move(header.record);
}

}  // namespace stele::log
