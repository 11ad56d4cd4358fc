#include "log/format/batch.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
Result<Batch> parse_batch(const paxos::Value& value) {
  return parse_batch(value, [](const Command&) { return Result<void>(); });
}

Result<Batch> parse_batch(const paxos::Value& value,
                          const std::function<Result<void>(const Command&)>& check) {
  Batch batch;
  bool first = true;
  // Commands never straddle parts: a batch is built of whole ones, and read back in one part.
  for (const Slice& part : value.parts()) {
    std::span<const std::byte> rest = part.bytes;
    if (first) {
      first = false;
      ByteReader reader(rest);
      batch.header.format = reader.get<std::uint16_t>();
      const auto flags = reader.get<std::uint16_t>();
      const auto flags_too = reader.get<std::uint32_t>();
      batch.header.elapsed_us = reader.get<std::uint64_t>();
      batch.header.stamp_us = reader.get<std::uint64_t>();
      const auto more_flags = reader.get<std::uint64_t>();
      if (!reader.ok() || batch.header.format == 0) return fail(Errc::malformed, "not a batch");
      if (batch.header.format < kLogFormatFirst || batch.header.format > kLogFormat) {
        return fail(Errc::newer_format,
                    "a batch of log format " + std::to_string(batch.header.format));
      }
      if (flags != 0 || flags_too != 0 || more_flags != 0) {
        return fail(Errc::newer_format, "a batch with flags, which log format " +
                                            std::to_string(kLogFormat) + " does not have");
      }
      rest = rest.subspan(BatchHeader::kBytes);
    }
    while (!rest.empty()) {
      auto command = parse_next_command(rest);
      if (!command) return forward(command);
      if (const auto checked = check(*command); !checked) return forward(checked);
      batch.commands.push_back(*command);
    }
  }
  if (first) return fail(Errc::malformed, "an empty batch");
  return batch;
}

void BatchBuilder::add(CommandKind kind, Slice bytes) {
  bytes_ += bytes.bytes.size();
  if (bytes.bytes.size() <= kCopyBytesMax) bytes = small_.copy(bytes.bytes);
  waiting_.push_back({kind, std::move(bytes)});
}

paxos::Value BatchBuilder::take(const BatchHeader& header, std::size_t bytes_max) {
  STELE_CHECK(header.format >= kLogFormatFirst && header.format <= kLogFormat);
  auto head = std::make_shared<std::vector<std::byte>>();
  head->reserve(BatchHeader::kBytes);
  ByteWriter writer(*head);
  writer.put(header.format);
  writer.put(std::uint16_t{0});
  writer.put(std::uint32_t{0});
  writer.put(header.elapsed_us);
  writer.put(header.stamp_us);
  writer.put(std::uint64_t{0});
  std::vector<Slice> parts{{head, *head}};

  std::size_t taken = BatchHeader::kBytes;
  bool upkeep = true;
  while (!waiting_.empty()) {
    Waiting& next = waiting_.front();
    const std::span<const std::byte> bytes = next.bytes.bytes;
    if (parts.size() > 1 && taken + bytes.size() > bytes_max) break;
    const bool more_upkeep = upkeep && is_upkeep(next.kind);
    if (more_upkeep && parts.size() > 1 && taken + bytes.size() > paxos::kUpkeepBytesMax) break;
    upkeep = more_upkeep;
    taken += bytes.size();
    bytes_ -= bytes.size();
    std::span<const std::byte>& last = parts.back().bytes;
    if (parts.back().owner == next.bytes.owner && last.data() + last.size() == bytes.data()) {
      last = {last.data(), last.size() + bytes.size()};  // Small ones lie beside each other.
    } else {
      parts.push_back(std::move(next.bytes));
    }
    const bool ends = next.kind == CommandKind::open_session;
    waiting_.pop_front();
    if (ends) break;
  }
  const std::uint64_t digest = net::value_digest(parts);
  upkeep = upkeep && taken <= paxos::kUpkeepBytesMax;
  return {upkeep ? paxos::ValueKind::upkeep : paxos::ValueKind::batch, std::move(parts), digest};
}

std::vector<Slice> BatchBuilder::take_all() {
  std::vector<Slice> commands;
  for (Waiting& waiting : waiting_) commands.push_back(std::move(waiting.bytes));
  waiting_.clear();
  bytes_ = 0;
  return commands;
}

std::vector<Slice> BatchBuilder::take_all_but_upkeep() {
  std::vector<Slice> commands;
  std::deque<Waiting> kept;
  for (Waiting& waiting : waiting_) {
    if (is_upkeep(waiting.kind)) {
      kept.push_back(std::move(waiting));
      continue;
    }
    bytes_ -= waiting.bytes.bytes.size();
    commands.push_back(std::move(waiting.bytes));
  }
  waiting_ = std::move(kept);
  return commands;
}

}  // namespace stele::log
