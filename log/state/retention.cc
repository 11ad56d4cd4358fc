#include "log/state/retention.h"

#include <algorithm>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr std::uint16_t kVersion = 1;
/// The first byte of a key says what the row is.
constexpr std::byte kPolicyRow{'p'};
constexpr std::byte kHoldRow{'h'};

std::vector<std::byte> policy_key() { return {kPolicyRow}; }

std::vector<std::byte> hold_key(const std::string& name) {
  std::vector<std::byte> key{kHoldRow};
  ByteWriter(key).put_bytes(std::as_bytes(std::span(name)));
  return key;
}

std::vector<std::byte> row_bytes(const RetentionPolicy& policy, Slot slot) {
  std::vector<std::byte> bytes = begin_record(kVersion);
  ByteWriter writer(bytes);
  writer.put(policy.bytes);
  writer.put(policy.age_us);
  writer.put(slot.value);
  return bytes;
}

std::vector<std::byte> row_bytes(const Retention::Hold& hold) {
  std::vector<std::byte> bytes = begin_record(kVersion);
  ByteWriter writer(bytes);
  writer.put(hold.lsn.value);
  writer.put(hold.deadline_us);
  return bytes;
}

}  // namespace

Lsn Retention::held_from(Lsn first_lsn) const {
  Lsn lowest;
  for (const auto& [name, hold] : holds_) {
    if (hold.lsn < first_lsn) continue;
    if (lowest == Lsn{} || hold.lsn < lowest) lowest = hold.lsn;
  }
  return lowest;
}

Result<void> Retention::check_command(const Command& command) const {
  const auto none = [](const auto& parsed) -> Result<void> {
    if (!parsed) return forward(parsed);
    return {};
  };
  switch (command.kind) {
    case CommandKind::trim: return none(parse_trim(command.body));
    case CommandKind::retain: return none(parse_retain(command.body));
    case CommandKind::set_retention: return none(parse_policy(command.body));
    case CommandKind::set_hold: return none(parse_hold(command.body));
    default: return none(parse_release(command.body));
  }
}

Effect Retention::apply(const Command& command, const Applying& at) {
  switch (command.kind) {
    case CommandKind::trim: return trim(parse_trim(command.body).value(), at);
    case CommandKind::retain: return retain(parse_retain(command.body).value(), at);
    case CommandKind::set_hold: return set_hold(parse_hold(command.body).value(), at);
    case CommandKind::release_hold: return release(parse_release(command.body).value());
    default: break;
  }
  policy_ = parse_policy(command.body).value();
  policy_slot_ = at.slot;
  on_changed(policy_key());
  return Outcome::ok;
}

/// What is trimmed already stays so: going back changes nothing, and the answer says where the log
/// begins.
Effect Retention::trim(const TrimCommand& command, const Applying& at) const {
  if (command.before > at.next_lsn) return Outcome::out_of_range;
  if (command.before <= at.first_lsn) return {Outcome::ok, at.first_lsn};
  const Lsn held = held_from(at.first_lsn);
  if (!command.force && held != Lsn{} && command.before > held) return Outcome::held;
  return {Outcome::ok, command.before, command.before};
}

/// The leader that wrote it may have known another policy, and no hold.
Effect Retention::retain(const RetainCommand& command, const Applying& at) const {
  if (command.policy_slot != policy_slot_ || policy_.empty()) return Outcome::skipped;
  const Lsn held = held_from(at.first_lsn);
  Lsn before = std::min(command.before, at.next_lsn);
  if (held != Lsn{}) before = std::min(before, held);
  if (before <= at.first_lsn) return {Outcome::ok, at.first_lsn};
  return {Outcome::ok, before, before};
}

/// A hold that is there already is set anew: it may move, and end later or earlier.
Effect Retention::set_hold(const HoldCommand& command, const Applying& at) {
  if (command.lsn < at.first_lsn) return Outcome::trimmed;
  if (command.lsn > at.next_lsn) return Outcome::out_of_range;
  if (!holds_.contains(command.name) && holds_.size() >= kHoldsMax) return Outcome::too_many;
  holds_[command.name] = {command.lsn, at.log_time_us + command.ttl_us};
  on_changed(hold_key(command.name));
  return {Outcome::ok, command.lsn};
}

Effect Retention::release(const std::string& name) {
  if (holds_.erase(name) == 0) return Outcome::not_found;
  on_changed(hold_key(name));
  return Outcome::ok;
}

void Retention::advance(std::uint64_t, const Applying& at) {
  for (auto hold = holds_.begin(); hold != holds_.end();) {
    if (hold->second.deadline_us > at.log_time_us) {
      ++hold;
      continue;
    }
    const std::string name = hold->first;
    hold = holds_.erase(hold);
    on_changed(hold_key(name));
  }
}

std::vector<Row> Retention::rows() const {
  std::vector<Row> rows;
  for (const auto& [name, hold] : holds_) {
    rows.push_back({Table::retention, hold_key(name), row_bytes(hold)});
  }
  if (policy_slot_ != Slot{}) {
    rows.push_back({Table::retention, policy_key(), row_bytes(policy_, policy_slot_)});
  }
  return rows;
}

/// There are few changes, and few rows.
void Retention::on_changed(std::vector<std::byte> key) {
  changed_.insert(std::move(key));
  fingerprint_ = 0;
  for (const Row& row : rows()) {
    fingerprint_ = net::digest(row.bytes, net::digest(row.key, fingerprint_));
  }
}

void Retention::take_changed(std::vector<Row>& out) {
  if (changed_.empty()) return;
  std::map<std::vector<std::byte>, Row> all;
  for (Row& row : rows()) all.emplace(row.key, std::move(row));
  for (const std::vector<std::byte>& key : std::exchange(changed_, {})) {
    const auto found = all.find(key);
    out.push_back(found == all.end() ? Row{Table::retention, key, {}} : std::move(found->second));
  }
}

Result<void> Retention::load(const Row& row) {
  ByteReader reader(row.bytes);
  const std::string what = "a row of the retention";
  if (row.key.empty()) return fail(Errc::corrupt, what + " has no key");
  if (const auto version = take_version(reader, kVersion, what); !version) return forward(version);
  if (row.key == policy_key()) {
    policy_.bytes = reader.get<std::uint64_t>();
    policy_.age_us = reader.get<std::uint64_t>();
    policy_slot_ = {reader.get<std::uint64_t>()};
  } else if (row.key.front() == kHoldRow) {
    const auto name = std::as_bytes(std::span(row.key)).subspan(1);
    Hold& hold = holds_[{reinterpret_cast<const char*>(name.data()), name.size()}];
    hold.lsn = {reader.get<std::uint64_t>()};
    hold.deadline_us = reader.get<std::uint64_t>();
  } else {
    return fail(Errc::newer_format, what + " is of a kind that this program does not know");
  }
  if (!reader.ok() || reader.left() != 0) return fail(Errc::corrupt, what + " is cut off");
  on_changed(row.key);
  changed_.erase(row.key);
  return {};
}

std::string Retention::check() const {
  if (holds_.size() > kHoldsMax) return "there are more holds than may be";
  for (const auto& [name, hold] : holds_) {
    if (!is_hold_name(std::as_bytes(std::span(name))))
      return "a hold has a name that cannot be one";
    if (hold.lsn == Lsn{}) return "the hold " + name + " holds nothing";
  }
  if (!policy_.empty() && policy_slot_ == Slot{}) return "no slot has set the retention";
  return {};
}

SectionType retention_section() {
  return {{Table::retention, "retention"},
          {CommandKind::trim, CommandKind::retain, CommandKind::set_retention,
           CommandKind::set_hold, CommandKind::release_hold},
          [] { return std::make_unique<Retention>(); }};
}

}  // namespace stele::log
