#include "log/state/log_state.h"

#include <algorithm>
#include <utility>

#include <stele/version.h>
#include "log/format/snapshot.h"
#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

bool is_core(CommandKind kind) { return kind == CommandKind::append || kind == CommandKind::skip; }

bool is_leaders(CommandKind kind) {
  return kind == CommandKind::retain || kind == CommandKind::snapshot;
}

/// Opening and closing are about a session, and what leaders do is of none.
bool in_session(CommandKind kind) {
  return kind != CommandKind::open_session && kind != CommandKind::close_session &&
         !is_leaders(kind);
}

bool is_batch(paxos::ValueKind kind) {
  return kind == paxos::ValueKind::batch || kind == paxos::ValueKind::upkeep;
}

tl::unexpected<Error> unknown(Slot slot, const std::string& what) {
  return fail(Errc::newer_format,
              "slot " + std::to_string(slot.value) + " holds " + what + "; stele " + kVersion +
                  " applies log formats up to " + std::to_string(kLogFormat) +
                  " and cannot go on: start a version on this directory that knows it");
}

}  // namespace

Sections known_sections(const Sessions::Bounds& bounds) {
  return {sessions_section(bounds), retention_section()};
}

std::vector<SectionTable> tables_of(const Sections& sections) {
  std::vector<SectionTable> tables;
  for (const SectionType& type : sections) tables.push_back(type.table);
  return tables;
}

LogState::LogState(const Sections& sections) {
  for (const SectionType& type : sections) {
    STELE_CHECK(find(type.table.table) == nullptr);
    Section* section = sections_.emplace_back(type.table.table, type.make()).second.get();
    for (const CommandKind kind : type.kinds) {
      STELE_CHECK(!is_core(kind) && section_of(kind) == nullptr);
      by_kind_[static_cast<std::uint8_t>(kind)] = section;
    }
    if (!type.table.in_memory) tabled_.push_back(section);
  }
  STELE_CHECK(!sections_.empty());
  sessions_ = dynamic_cast<Sessions*>(sections_.front().second.get());
  STELE_CHECK(sessions_ != nullptr);
  retention_ = dynamic_cast<const Retention*>(find(Table::retention));
  STELE_CHECK(retention_ != nullptr);
}

Result<LogState> LogState::load(const Sections& sections, const StateNumbers& numbers,
                                const std::vector<Row>& rows) {
  LogState state(sections);
  state.numbers_ = numbers;
  if (const auto done = state.take(rows); !done) return forward(done);
  return state;
}

Result<void> LogState::take(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    Section* owner = find(row.table);
    if (owner == nullptr) return fail(Errc::corrupt, "a row is of a table that no section has");
    if (auto done = owner->load(row); !done) return done;
  }
  return {};
}

std::vector<RowKey> LogState::missing(const paxos::Value& value) const {
  std::vector<RowKey> keys;
  if (tabled_.empty() || !is_batch(value.kind())) return keys;
  const auto batch = parse(value);
  if (!batch) return keys;
  for (const Command& command : batch->commands) {
    if (const Section* section = section_of(command.kind)) section->add_missing(command, keys);
  }
  std::ranges::sort(keys);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

void LogState::on_readable(Slot readable_end) {
  for (Section* section : tabled_) section->on_readable(readable_end);
}

Result<LogState::Applied> LogState::apply(Slot slot, const paxos::Value& value) {
  STELE_CHECK(slot == numbers_.chosen_end);
  Applied out;
  out.row.slot = slot;
  out.row.first_lsn = numbers_.next_lsn;

  if (is_batch(value.kind())) {
    const auto batch = parse(value);
    if (batch) {
      apply_batch(*batch, {slot, batch->header.format, numbers_.log_time_us, {}, {}}, out);
    } else if (batch.error().code == Errc::newer_format) {
      return unknown(slot, batch.error().detail);
    }  // One that is no batch at all has no effect, on any node.
  } else if (value.kind() == paxos::ValueKind::stop_sign) {
    return unknown(slot, "a stop-sign");
  } else if (value.kind() != paxos::ValueKind::noop) {
    const auto kind = static_cast<unsigned>(value.kind());
    return unknown(slot, "a value of kind " + std::to_string(kind));
  }
  ++numbers_.chosen_end;
  mix_into_hash(value, slot);
  add_to_runs(value, out);
  if (out.snapshot) {
    numbers_.snapshot_slot = numbers_.chosen_end;
    numbers_.snapshot_log_bytes = numbers_.log_bytes;
  }
  return out;
}

/// Of the state after the whole slot. Two leaders may have asked for the same one.
void LogState::ask_for_snapshot(const Command& command, Applied& out) const {
  const auto asked = parse_snapshot_command(command.body);
  STELE_CHECK(asked.has_value());  // As checked before.
  if (asked->previous == numbers_.snapshot_slot) out.snapshot = true;
}

/// All nodes agree about what a run of slots holds.
void LogState::add_to_runs(const paxos::Value& value, Applied& out) {
  numbers_.log_bytes += slot_bytes(value.size());
  numbers_.run_digest = add_to_run(
      numbers_.run_digest,
      slot_digest(out.row, static_cast<std::uint8_t>(value.kind()), value.size(), value.digest()));
  if (numbers_.chosen_end.value % kRunSlots != 0) return;
  out.run = RunRow{run_of(numbers_.chosen_end), numbers_.next_lsn, numbers_.log_time_us,
                   numbers_.log_bytes, std::exchange(numbers_.run_digest, 0)};
}

void LogState::mix_into_hash(const paxos::Value& value, Slot slot) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put(numbers_.hash);
  writer.put(slot.value);
  writer.put(value.digest());
  writer.put(numbers_.next_lsn.value);
  writer.put(numbers_.log_time_us);
  writer.put(numbers_.first_lsn.value);
  for (const auto& [table, section] : sections_) {
    const std::uint64_t fingerprint = section->fingerprint();
    if (fingerprint == 0) continue;
    writer.put(static_cast<std::uint8_t>(table));
    writer.put(fingerprint);
  }
  numbers_.hash = net::digest(bytes, static_cast<std::uint64_t>(value.kind()));
}

/// Whether there is such a kind, and its body is as it should be.
Result<void> LogState::check_kind(const Command& command) const {
  if (command.kind == CommandKind::append) return {};
  if (command.kind == CommandKind::skip) {
    if (command.body.empty()) return {};
    return fail(Errc::malformed, "bytes in a command without any");
  }
  if (const Section* section = section_of(command.kind)) return section->check_command(command);
  if (command.kind == CommandKind::snapshot) {
    const auto parsed = parse_snapshot_command(command.body);
    return parsed ? Result<void>() : forward(parsed);
  }
  return fail(Errc::newer_format,
              "a command of kind " + std::to_string(static_cast<unsigned>(command.kind)) +
                  ", which log format " + std::to_string(kLogFormat) + " does not have");
}

Result<Batch> LogState::parse(const paxos::Value& value) const {
  const bool upkeep = value.kind() == paxos::ValueKind::upkeep;
  if (upkeep && value.size() > paxos::kUpkeepBytesMax) {
    return fail(Errc::malformed, "upkeep of too many bytes");
  }
  return parse_batch(value, [&](const Command& command) -> Result<void> {
    auto known = check_kind(command);
    if (known && upkeep && !is_upkeep(command.kind)) {
      return fail(Errc::malformed, "a command that is no upkeep");
    }
    return known;
  });
}

Result<void> LogState::check_command(const Command& command) const {
  if (auto known = check_kind(command); !known) return known;
  // Sequences and their ends stay far from where a counter wraps around.
  constexpr std::uint64_t kSequenceMax = std::uint64_t{1} << 62;
  // What a section applies is never cut, so it is one sequence.
  const bool many = is_core(command.kind) || !in_session(command.kind);
  const std::uint32_t count_max = many ? Command::kCountMax : 1;
  if (command.count == 0 || command.count > count_max || command.sequence.value >= kSequenceMax) {
    return fail(Errc::malformed, "a command that consumes nothing, or out of range");
  }
  if (command.kind != CommandKind::open_session && command.sequence == Sequence{}) {
    return fail(Errc::malformed, "sequence 0");
  }
  if (is_leaders(command.kind)) {
    return fail(Errc::malformed, "what only a leader does");
  }
  return {};
}

void LogState::apply_batch(const Batch& batch, Applying at, Applied& out) {
  numbers_.log_time_us += batch.header.elapsed_us;
  numbers_.stamp_us = std::max(numbers_.stamp_us, batch.header.stamp_us);
  const std::uint64_t before_us = std::exchange(at.log_time_us, numbers_.log_time_us);
  for (const auto& [table, section] : sections_) section->advance(before_us, at);
  std::uint32_t index = 0;
  for (const Command& command : batch.commands) apply_command(command, index++, at, out);
}

void LogState::apply_command(const Command& command, std::uint32_t index, const Applying& at,
                             Applied& out) {
  if (in_session(command.kind)) return apply_in_session(command, index, at, out);
  if (command.kind == CommandKind::snapshot) return ask_for_snapshot(command, out);
  const Effect effect = apply_in_section(command, at);
  if (command.kind == CommandKind::open_session) {
    const bool opened = effect.outcome == Outcome::ok;
    out.opened.push_back(
        {command.session.value, effect.outcome, opened ? SessionId{at.slot.value} : SessionId{}});
  } else {
    out.results.push_back(
        {command.session, command.sequence, command.count, effect.outcome, effect.lsn, {}});
  }
}

/// The sessions judge first: a duplicate has no effect, and what it had is told again.
void LogState::apply_in_session(const Command& command, std::uint32_t index, const Applying& at,
                                Applied& out) {
  const bool is_append = command.kind == CommandKind::append;
  const Sessions::Admission admitted = sessions_->admit(command, at, out.results);
  if (admitted.outcome != Outcome::ok) {
    out.results.push_back(
        {command.session, command.sequence, command.count, admitted.outcome, {}, admitted.next});
    if (is_append) out.row.skipped.push_back({index, command.count});
    return;
  }
  Effect effect = Outcome::ok;
  std::uint32_t skipped = command.count - admitted.fresh;
  if (admitted.fresh != 0) {
    switch (command.kind) {
      case CommandKind::append: effect = append(command, admitted.fresh, out); break;
      case CommandKind::skip: effect = Outcome::skipped; break;
      default: effect = apply_in_section(command, at); break;
    }
    if (effect.outcome != Outcome::ok) skipped = command.count;
  }
  sessions_->settle(admitted, command, effect);
  if (admitted.fresh != 0) {
    out.results.push_back(
        {command.session, admitted.next, admitted.fresh, effect.outcome, effect.lsn, {}});
  }
  if (is_append && skipped != 0) out.row.skipped.push_back({index, skipped});
}

Effect LogState::apply_in_section(const Command& command, Applying at) {
  at.first_lsn = numbers_.first_lsn;
  at.next_lsn = numbers_.next_lsn;
  const Effect effect = section_of(command.kind)->apply(command, at);
  STELE_CHECK(effect.outcome == Outcome::ok || (effect.lsn == Lsn{} && effect.trim_to == Lsn{}));
  if (effect.trim_to != Lsn{}) {
    STELE_CHECK(effect.trim_to >= numbers_.first_lsn && effect.trim_to <= numbers_.next_lsn);
    numbers_.first_lsn = effect.trim_to;
  }
  return effect;
}

/// Gives the last `fresh` entries of an append their LSNs, if its condition holds.
Effect LogState::append(const Command& command, std::uint32_t fresh, Applied& out) {
  if (command.condition != Lsn{} && command.condition != numbers_.next_lsn) {
    return Outcome::condition_failed;
  }
  const Lsn lsn = numbers_.next_lsn;
  numbers_.next_lsn = lsn + fresh;
  out.row.count += fresh;
  return {Outcome::ok, lsn};
}

Section* LogState::find(Table table) const {
  const auto found = std::ranges::find(sections_, table, [](const auto& one) { return one.first; });
  return found == sections_.end() ? nullptr : found->second.get();
}

std::vector<Row> LogState::take_changed() {
  std::vector<Row> rows;
  for (const auto& [table, section] : sections_) section->take_changed(rows);
  return rows;
}

std::string LogState::check() const {
  for (const auto& [table, section] : sections_) {
    if (std::string wrong = section->check(); !wrong.empty()) return wrong;
  }
  if (numbers_.first_lsn > numbers_.next_lsn) return "the log begins after its end";
  return {};
}

}  // namespace stele::log
