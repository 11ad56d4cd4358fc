#include "log/format/command.h"

#include <algorithm>
#include <string>

#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

tl::unexpected<Error> newer(const std::string& what) {
  return fail(Errc::newer_format,
              what + ", which log format " + std::to_string(kLogFormat) + " does not have");
}

/// Checks the entries of an append and finds the largest.
Result<void> check_entries(Command& command) {
  ByteReader reader(command.body);
  for (std::uint32_t i = 0; i < command.count; ++i) {
    const auto length = reader.get<std::uint32_t>();
    const auto flags_and_stream = reader.get<std::uint32_t>();
    reader.get_bytes(length);
    if (!reader.ok()) return fail(Errc::malformed, "an entry is cut off");
    if (flags_and_stream != 0) return newer("an entry with flags, or of a stream");
    command.largest_bytes = std::max<std::size_t>(command.largest_bytes, length);
  }
  if (reader.left() != 0) return fail(Errc::malformed, "bytes after the last entry");
  return {};
}

}  // namespace

void put_command_header(const Command& command, std::size_t body_bytes,
                        std::vector<std::byte>& target) {
  ByteWriter writer(target);
  writer.put(static_cast<std::uint8_t>(command.kind));
  writer.put(std::uint8_t{0});
  writer.put(std::uint16_t{0});
  writer.put(command.count);
  writer.put(static_cast<std::uint32_t>(body_bytes));
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
  if (command && !bytes.empty()) return fail(Errc::malformed, "bytes after a command");
  return command;
}

Result<Command> parse_next_command(std::span<const std::byte>& bytes) {
  ByteReader reader(bytes);
  Command command;
  command.kind = static_cast<CommandKind>(reader.get<std::uint8_t>());
  const auto flags = reader.get<std::uint8_t>();
  const auto reserved = reader.get<std::uint16_t>();
  command.count = reader.get<std::uint32_t>();
  const auto body_bytes = reader.get<std::uint32_t>();
  const auto reserved_too = reader.get<std::uint32_t>();
  command.session = {reader.get<std::uint64_t>()};
  command.sequence = {reader.get<std::uint64_t>()};
  command.acked = {reader.get<std::uint64_t>()};
  command.condition = {reader.get<std::uint64_t>()};
  command.body = reader.get_bytes(body_bytes);
  if (!reader.ok()) return fail(Errc::malformed, "a command is cut off");
  if (flags != 0 || reserved != 0 || reserved_too != 0) return newer("a command with flags");
  if (command.kind == CommandKind::append) {
    if (const auto checked = check_entries(command); !checked) return forward(checked);
  }
  bytes = bytes.subspan(Command::kHeaderBytes + body_bytes);
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

}  // namespace stele::log
