#include "log/format/run_list.h"

#include "paxos/base/bytes.h"

namespace stele::log {

std::uint64_t digest_of(const std::vector<SlotSummary>& slots) {
  std::uint64_t digest = 0;
  for (const SlotSummary& slot : slots) {
    digest = add_to_run(digest, slot_digest(slot.row, slot.kind, slot.bytes, slot.digest));
  }
  return digest;
}

std::vector<std::byte> encode_run_list(const std::vector<SlotSummary>& slots) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  for (const SlotSummary& slot : slots) {
    writer.put(slot.kind);
    writer.put(std::uint8_t{0});
    writer.put(std::uint16_t{0});
    writer.put(slot.row.count);
    writer.put(slot.bytes);
    writer.put(slot.digest);
    writer.put(slot.row.first_lsn.value);
    writer.put(static_cast<std::uint32_t>(slot.row.skipped.size()));
    for (const IndexRow::Skipped& skipped : slot.row.skipped) {
      writer.put(skipped.command);
      writer.put(skipped.entries);
    }
  }
  return bytes;
}

Result<std::vector<SlotSummary>> parse_run_list(std::span<const std::byte> bytes, Slot begin,
                                                Slot end) {
  ByteReader reader(bytes);
  std::vector<SlotSummary> slots;
  for (Slot at = begin; reader.ok() && at < end; ++at) {
    SlotSummary slot;
    slot.row.slot = at;
    slot.kind = reader.get<std::uint8_t>();
    const bool has_room = reader.get<std::uint8_t>() == 0 && reader.get<std::uint16_t>() == 0;
    slot.row.count = reader.get<std::uint32_t>();
    slot.bytes = reader.get<std::uint64_t>();
    slot.digest = reader.get<std::uint64_t>();
    slot.row.first_lsn = {reader.get<std::uint64_t>()};
    const auto skipped = reader.get<std::uint32_t>();
    if (!has_room || skipped > reader.left()) break;
    for (std::uint32_t i = 0; i < skipped; ++i) {
      const auto command = reader.get<std::uint32_t>();
      slot.row.skipped.push_back({command, reader.get<std::uint32_t>()});
    }
    slots.push_back(std::move(slot));
  }
  if (!reader.ok() || reader.left() != 0 || slots.size() != end - begin) {
    return fail(Errc::malformed, "a list of a run's slots that is none");
  }
  return slots;
}

}  // namespace stele::log
