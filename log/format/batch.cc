#include "log/format/batch.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

constexpr std::uint16_t kLogFormatFirst = 1;

tl::unexpected<Error> newer(const std::string& what) {
  return fail(Errc::newer_format,
              what + ", which log format " + std::to_string(kLogFormat) + " does not have");
}

/// Reads the command at the front of `bytes` and moves past it.
Result<Command> take_command(std::span<const std::byte>& bytes) {
  ByteReader reader(bytes);
  Command command;
  const auto kind = reader.get<std::uint8_t>();
  const auto flags = reader.get<std::uint8_t>();
  const auto reserved = reader.get<std::uint16_t>();
  command.count = reader.get<std::uint32_t>();
  const auto entries_bytes = reader.get<std::uint32_t>();
  const auto reserved_too = reader.get<std::uint32_t>();
  command.session = {reader.get<std::uint64_t>()};
  command.sequence = {reader.get<std::uint64_t>()};
  command.acked = {reader.get<std::uint64_t>()};
  command.condition = {reader.get<std::uint64_t>()};
  command.entries = reader.get_bytes(entries_bytes);
  if (!reader.ok()) return fail(Errc::malformed, "a command is cut off");
  if (kind < 1 || kind > 4) return newer("a command of kind " + std::to_string(kind));
  if (flags != 0 || reserved != 0 || reserved_too != 0) return newer("a command with flags");
  command.kind = static_cast<CommandKind>(kind);
  bytes = bytes.subspan(Command::kHeaderBytes + entries_bytes);
  return command;
}

/// Checks the entries and finds the largest.
Result<void> check_entries(Command& command) {
  if (command.kind != CommandKind::append) {
    if (!command.entries.empty()) return fail(Errc::malformed, "entries in a command without any");
    return {};
  }
  ByteReader reader(command.entries);
  for (std::uint32_t i = 0; i < command.count; ++i) {
    const auto length = reader.get<std::uint32_t>();
    const auto flags_and_stream = reader.get<std::uint32_t>();
    reader.get_bytes(length);
    if (!reader.ok()) return fail(Errc::malformed, "an entry is cut off");
    if (flags_and_stream != 0) return newer("an entry with flags, or of a stream");
    command.largest_bytes = std::max<std::size_t>(command.largest_bytes, length);
  }
  if (reader.left() != 0) return fail(Errc::malformed, "bytes behind the last entry");
  return {};
}

}  // namespace

void put_command_header(const Command& command, std::size_t entries_bytes,
                        std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint8_t>(command.kind));
  writer.put(std::uint8_t{0});
  writer.put(std::uint16_t{0});
  writer.put(command.count);
  writer.put(static_cast<std::uint32_t>(entries_bytes));
  writer.put(std::uint32_t{0});
  writer.put(command.session.value);
  writer.put(command.sequence.value);
  writer.put(command.acked.value);
  writer.put(command.condition.value);
}

void put_entry(std::span<const std::byte> payload, std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint32_t>(payload.size()));
  writer.put(std::uint32_t{0});
  writer.put_bytes(payload);
}

Result<Command> parse_command(std::span<const std::byte> bytes) {
  auto command = parse_next_command(bytes);
  if (command && !bytes.empty()) return fail(Errc::malformed, "bytes behind a command");
  return command;
}

Result<Command> parse_next_command(std::span<const std::byte>& bytes) {
  auto command = take_command(bytes);
  if (!command) return command;
  // Sequences and their ends stay far from where a counter wraps around.
  constexpr std::uint64_t kSequenceMax = std::uint64_t{1} << 62;
  if (command->count == 0 || command->count > Command::kCountMax ||
      command->sequence.value >= kSequenceMax) {
    return fail(Errc::malformed, "a command that consumes nothing, or out of range");
  }
  const bool in_session = command->kind != CommandKind::open_session;
  if (in_session && command->sequence.value == 0) return fail(Errc::malformed, "sequence 0");
  if (const auto checked = check_entries(*command); !checked) {
    return tl::unexpected<Error>(checked.error());
  }
  return command;
}

SessionId command_session(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  reader.get_bytes(16);
  return {reader.get<std::uint64_t>()};
}

bool EntryCursor::next(std::span<const std::byte>& payload) {
  if (rest_.empty()) return false;
  ByteReader reader(rest_);
  const auto length = reader.get<std::uint32_t>();
  reader.get<std::uint32_t>();
  payload = reader.get_bytes(length);
  rest_ = reader.ok() ? rest_.subspan(kEntryHeaderBytes + length) : std::span<const std::byte>();
  return reader.ok();
}

std::size_t EntryCursor::skip(std::uint32_t count) {
  const std::size_t before = rest_.size();
  std::span<const std::byte> payload;
  for (std::uint32_t i = 0; i < count && next(payload); ++i) {
  }
  return before - rest_.size();
}

Result<Batch> parse_batch(const paxos::Value& value) {
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
      if (!reader.ok() || batch.header.format < kLogFormatFirst) {
        return fail(Errc::malformed, "not a batch");
      }
      if (batch.header.format > kLogFormat) {
        return fail(Errc::newer_format,
                    "a batch of log format " + std::to_string(batch.header.format));
      }
      if (flags != 0 || flags_too != 0 || more_flags != 0) return newer("a batch with flags");
      rest = rest.subspan(BatchHeader::kBytes);
    }
    while (!rest.empty()) {
      auto command = take_command(rest);
      if (!command) return tl::unexpected<Error>(command.error());
      if (const auto checked = check_entries(*command); !checked) {
        return tl::unexpected<Error>(checked.error());
      }
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
  while (!waiting_.empty()) {
    Waiting& next = waiting_.front();
    const std::span<const std::byte> bytes = next.bytes.bytes;
    if (parts.size() > 1 && taken + bytes.size() > bytes_max) break;
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
  return {paxos::ValueKind::batch, std::move(parts), digest};
}

std::vector<Slice> BatchBuilder::take_all() {
  std::vector<Slice> commands;
  for (Waiting& waiting : waiting_) commands.push_back(std::move(waiting.bytes));
  waiting_.clear();
  bytes_ = 0;
  return commands;
}

}  // namespace stele::log
