#include "log/format/retention.h"

#include <algorithm>

#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

/// LSNs, slots, and all that is counted, are below.
constexpr std::uint64_t kCounterEnd = std::uint64_t{1} << 62;

/// Reads a body by `parse(ByteReader&)`, which must take all of it; `good(parsed)` judges it.
template <class T, class Parse, class Good>
Result<T> parse_body(std::span<const std::byte> body, const char* what, Parse parse, Good good) {
  ByteReader reader(body);
  T parsed = parse(reader);
  if (!reader.ok() || reader.left() != 0) {
    return fail(Errc::malformed, std::string(what) + " of the wrong length");
  }
  if (!good(parsed)) return fail(Errc::malformed, std::string(what) + " that is out of range");
  return parsed;
}

bool is_lsn(Lsn lsn) { return lsn != Lsn{} && lsn.value < kCounterEnd; }

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

bool is_hold_name(std::span<const std::byte> name) {
  const auto is_printable = [](std::byte byte) {
    return byte > std::byte{' '} && byte < std::byte{0x7f};
  };
  return !name.empty() && name.size() <= kHoldNameBytesMax &&
         std::ranges::all_of(name, is_printable);
}

std::vector<std::byte> body_of(const RetentionPolicy& policy) {
  std::vector<std::byte> body;
  ByteWriter writer(body);
  writer.put(policy.bytes);
  writer.put(policy.age_us);
  return body;
}

std::vector<std::byte> body_of(const TrimCommand& command) {
  std::vector<std::byte> body;
  ByteWriter writer(body);
  writer.put(command.before.value);
  writer.put(static_cast<std::uint8_t>(command.force ? 1 : 0));
  return body;
}

std::vector<std::byte> body_of(const RetainCommand& command) {
  std::vector<std::byte> body;
  ByteWriter writer(body);
  writer.put(command.before.value);
  writer.put(command.policy_slot.value);
  return body;
}

std::vector<std::byte> body_of(const HoldCommand& command) {
  std::vector<std::byte> body;
  ByteWriter writer(body);
  writer.put(command.lsn.value);
  writer.put(command.ttl_us);
  writer.put_bytes(std::as_bytes(std::span(command.name)));
  return body;
}

Result<RetentionPolicy> parse_policy(std::span<const std::byte> body) {
  return parse_body<RetentionPolicy>(
      body, "a retention",
      [](ByteReader& reader) {
        RetentionPolicy policy;
        policy.bytes = reader.get<std::uint64_t>();
        policy.age_us = reader.get<std::uint64_t>();
        return policy;
      },
      [](const RetentionPolicy& policy) {
        return policy.bytes < kCounterEnd && policy.age_us < kCounterEnd;
      });
}

Result<TrimCommand> parse_trim(std::span<const std::byte> body) {
  std::uint8_t force = 0;
  return parse_body<TrimCommand>(
      body, "a trim",
      [&](ByteReader& reader) {
        TrimCommand command;
        command.before = {reader.get<std::uint64_t>()};
        force = reader.get<std::uint8_t>();
        command.force = force == 1;
        return command;
      },
      [&](const TrimCommand& command) { return is_lsn(command.before) && force <= 1; });
}

Result<RetainCommand> parse_retain(std::span<const std::byte> body) {
  return parse_body<RetainCommand>(
      body, "a leader's trim",
      [](ByteReader& reader) {
        RetainCommand command;
        command.before = {reader.get<std::uint64_t>()};
        command.policy_slot = {reader.get<std::uint64_t>()};
        return command;
      },
      [](const RetainCommand& command) {
        return is_lsn(command.before) && command.policy_slot.value < kCounterEnd;
      });
}

Result<HoldCommand> parse_hold(std::span<const std::byte> body) {
  return parse_body<HoldCommand>(
      body, "a hold",
      [](ByteReader& reader) {
        HoldCommand command;
        command.lsn = {reader.get<std::uint64_t>()};
        command.ttl_us = reader.get<std::uint64_t>();
        command.name = text_of(reader.get_bytes(reader.left()));
        return command;
      },
      [](const HoldCommand& command) {
        return is_lsn(command.lsn) && command.ttl_us != 0 && command.ttl_us <= kHoldTtlMaxUs &&
               is_hold_name(std::as_bytes(std::span(command.name)));
      });
}

Result<std::string> parse_release(std::span<const std::byte> body) {
  if (!is_hold_name(body)) return fail(Errc::malformed, "the name of a hold that cannot be one");
  return text_of(body);
}

}  // namespace stele::log
