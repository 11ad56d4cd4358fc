// Commands and batches for tests.
#pragma once

#include <string>
#include <vector>

#include "log/format/batch.h"
#include "log/format/retention.h"
#include "net/wire/digest.h"
#include "tests/support/nodes.h"

namespace stele::log {

inline Slice to_slice(std::vector<std::byte> bytes) {
  auto shared = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  const std::span<const std::byte> view(*shared);
  return {std::move(shared), view};
}

inline Slice command_of(Command command, const std::vector<std::string>& entries = {}) {
  std::vector<std::byte> body;
  for (const std::string& entry : entries) put_entry(std::as_bytes(std::span(entry)), body);
  std::vector<std::byte> bytes;
  put_command_header(command, body.size(), bytes);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return to_slice(std::move(bytes));
}

inline Slice append_command(SessionId session, Sequence sequence, std::vector<std::string> entries,
                            Sequence acked = {}, Lsn condition = {}) {
  Command command;
  command.session = session;
  command.sequence = sequence;
  command.count = static_cast<std::uint32_t>(entries.size());
  command.acked = acked;
  command.condition = condition;
  return command_of(command, entries);
}

inline Slice skip_command(SessionId session, Sequence sequence, std::uint32_t count = 1) {
  Command command;
  command.kind = CommandKind::skip;
  command.session = session;
  command.sequence = sequence;
  command.count = count;
  return command_of(command);
}

/// A command of any kind with that body.
inline Slice command_with(const Command& command, const std::vector<std::byte>& body) {
  std::vector<std::byte> bytes;
  put_command_header(command, body.size(), bytes);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return to_slice(std::move(bytes));
}

inline Slice trim_command(SessionId session, Sequence sequence, std::uint64_t before) {
  Command command;
  command.kind = CommandKind::trim;
  command.session = session;
  command.sequence = sequence;
  command.count = 1;
  return command_with(command, body_of(TrimCommand{{before}}));
}

inline Slice open_command(std::uint64_t nonce, std::uint32_t window = 100,
                          std::uint64_t ttl_us = 60'000'000) {
  Command command;
  command.kind = CommandKind::open_session;
  command.session = {nonce};
  command.count = window;
  command.acked = {ttl_us};
  return command_of(command);
}

inline Slice close_command(SessionId session, Sequence sequence) {
  Command command;
  command.kind = CommandKind::close_session;
  command.session = session;
  command.sequence = sequence;
  command.count = 1;
  return command_of(command);
}

/// One batch of the given commands.
inline paxos::Value batch_of(const std::vector<Slice>& commands, std::uint64_t elapsed_us = 0,
                             std::uint64_t stamp_us = 0) {
  BatchBuilder builder;
  for (const Slice& bytes : commands) builder.add(parse_command(bytes.bytes)->kind, bytes);
  return builder.take({elapsed_us, stamp_us}, SIZE_MAX);
}

/// The same batch with other bytes at that place, as a newer version might write it.
inline paxos::Value with_bytes(const paxos::Value& value, std::size_t at,
                               std::vector<std::uint8_t> bytes) {
  std::vector<std::byte> all(value.size());
  value.copy_to(all.data());
  for (std::size_t i = 0; i < bytes.size(); ++i) all.at(at + i) = std::byte{bytes[i]};
  const std::uint64_t digest = net::value_digest(all);
  return {value.kind(), {to_slice(std::move(all))}, digest};
}

inline paxos::Value in_one_part(const paxos::Value& value) {
  std::vector<std::byte> bytes(value.size());
  value.copy_to(bytes.data());
  return {value.kind(), {to_slice(std::move(bytes))}, value.digest()};
}

inline std::vector<std::string> payloads(std::span<const std::byte> entries) {
  std::vector<std::string> texts;
  EntryCursor cursor(entries);
  std::span<const std::byte> payload;
  while (cursor.next(payload)) {
    texts.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
  }
  return texts;
}

inline std::vector<std::string> payloads(const std::vector<Slice>& slices) {
  std::vector<std::string> texts;
  for (const Slice& slice : slices) {
    for (std::string& text : payloads(slice.bytes)) texts.push_back(std::move(text));
  }
  return texts;
}

}  // namespace stele::log
