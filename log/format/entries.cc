#include "log/format/entries.h"

#include <algorithm>

#include "log/format/batch.h"

namespace stele::log {
namespace {

/// Entries that are that much smaller than their value do not keep it.
constexpr std::size_t kValuePerEntriesMax = 4;

/// The part of the value that a span of it lies in.
const Slice& part_of(const paxos::Value& value, std::span<const std::byte> bytes) {
  for (const Slice& part : value.parts()) {
    const bool inside = bytes.data() >= part.bytes.data() &&
                        bytes.data() + bytes.size() <= part.bytes.data() + part.bytes.size();
    if (inside) return part;
  }
  return value.parts().front();
}

/// Takes entries from the front of a command; false if one did not fit.
bool take(const paxos::Value& value, std::span<const std::byte> entries, std::uint64_t count,
          std::size_t bytes_max, EntriesRead& out) {
  EntryCursor cursor(entries);
  std::size_t taken = 0;
  bool all = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    EntryCursor ahead = cursor;
    const std::size_t size = ahead.skip(1);
    if (out.count != 0 && out.bytes + size > bytes_max) {
      all = false;
      break;
    }
    cursor = ahead;
    taken += size;
    out.bytes += size;
    ++out.count;
  }
  if (taken != 0) {
    const auto bytes = entries.first(taken);
    out.entries.push_back({part_of(value, bytes).owner, bytes});
  }
  return all;
}

bool add_commands(const paxos::Value& value, const IndexRow& row, Lsn lsn_end,
                  std::size_t bytes_max, EntriesRead& out) {
  const auto batch = parse_batch(value);
  if (!batch) {
    out.fault = "slot " + std::to_string(row.slot.value) + ": " + batch.error().detail;
    return false;
  }
  Lsn at = row.first_lsn;
  auto skipped = row.skipped.begin();
  for (std::uint32_t index = 0; index < batch->commands.size(); ++index) {
    const Command& command = batch->commands[index];
    if (command.kind != CommandKind::append) continue;
    std::uint32_t leave_out = 0;
    if (skipped != row.skipped.end() && skipped->command == index) {
      leave_out = skipped->entries;
      ++skipped;
    }
    const Lsn command_end = at + (command.count - leave_out);
    const Lsn from = std::max(at, out.lsn_end());
    const Lsn until = std::min(command_end, lsn_end);
    if (from < until) {
      EntryCursor cursor(command.body);
      cursor.skip(leave_out + static_cast<std::uint32_t>(from - at));
      if (!take(value, cursor.rest(), until - from, bytes_max, out)) return false;
    }
    at = command_end;
    if (at >= lsn_end) return false;
  }
  return true;
}

}  // namespace

bool add_entries(const paxos::Value& value, const IndexRow& row, Lsn lsn_end, std::size_t bytes_max,
                 EntriesRead& out) {
  const std::size_t bytes_before = out.bytes;
  const std::size_t parts_before = out.entries.size();
  const bool all = add_commands(value, row, lsn_end, bytes_max, out);
  if ((out.bytes - bytes_before) * kValuePerEntriesMax > value.size()) return all;
  for (Slice& part : std::span(out.entries).subspan(parts_before)) {
    const auto own = std::make_shared<std::vector<std::byte>>(part.bytes.begin(), part.bytes.end());
    part = {own, *own};
  }
  return all;
}

}  // namespace stele::log
