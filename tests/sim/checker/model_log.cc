#include "tests/sim/checker/model_log.h"

#include "log/format/rows.h"

#include <algorithm>
#include <utility>

#include "log/format/batch.h"

namespace stele::sim {
namespace {

constexpr std::uint64_t kTtlMaxUs = 3600ULL * 1000 * 1000;
constexpr std::size_t kHoldsMax = 256;

}  // namespace

ModelLog::Session* ModelLog::live(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end() || !found->second.open) return nullptr;
  Session& session = found->second;
  if (numbers_.log_time_us - session.active_at_us > session.ttl_us) {
    session.open = false;
    return nullptr;
  }
  return &session;
}

/// Those with the lowest ids come first.
bool ModelLog::has_room() {
  std::size_t open = 0;
  Session* longest = nullptr;
  for (auto& [id, any] : sessions_) {
    Session* session = live(id);
    if (session == nullptr) continue;
    ++open;
    if (longest == nullptr || session->active_at_us < longest->active_at_us) longest = session;
  }
  if (open < sessions_max_) return true;
  if (numbers_.log_time_us - longest->active_at_us < idle_us_) {
    ++refused_;
    return false;
  }
  longest->open = false;
  longest->closed = true;
  ++let_go_;
  return true;
}

void ModelLog::open(const log::Command& command, Slot slot) {
  if (std::exchange(opened_in_, slot) == slot || !has_room()) return;
  Session& session = sessions_[{slot.value}];
  session.ttl_us = std::min(command.acked.value, kTtlMaxUs);
  session.active_at_us = numbers_.log_time_us;
}

void ModelLog::append(const log::Command& command, Session& session, Slot slot) {
  const std::uint64_t next = session.fates.size() + 1;
  const std::uint64_t end = command.sequence.value + command.count;
  const bool met = command.condition == Lsn{} || command.condition == numbers_.next_lsn;
  log::EntryCursor cursor(command.body);
  cursor.skip(static_cast<std::uint32_t>(next - command.sequence.value));
  for (std::uint64_t at = next; at < end; ++at) {
    if (!met) {
      session.fates.push_back({Outcome::condition_failed, {}, slot});
      continue;
    }
    std::span<const std::byte> payload;
    if (!cursor.next(payload)) break;
    entries_.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
    slots_.push_back(slot);
    session.fates.push_back({Outcome::ok, numbers_.next_lsn, slot});
    ++numbers_.next_lsn;
  }
}

Lsn ModelLog::Kept::held(Lsn first) const {
  Lsn lowest;
  for (const auto& [name, hold] : holds) {
    if (hold.first >= first && (lowest == Lsn{} || hold.first < lowest)) lowest = hold.first;
  }
  return lowest;
}

ModelLog::Fate ModelLog::trim(const log::TrimCommand& command) {
  if (command.before > numbers_.next_lsn) return {Outcome::out_of_range, {}, {}};
  const Lsn held = kept_.held(numbers_.first_lsn);
  const bool stopped = held != Lsn{} && command.before > held;
  if (command.before > numbers_.first_lsn) {
    if (stopped && !command.force) {
      ++trims_.held_back;
      return {Outcome::held, {}, {}};
    }
    if (stopped) ++trims_.past_holds;
    ++trims_.by_clients;
    numbers_.first_lsn = command.before;
  }
  return {Outcome::ok, numbers_.first_lsn, {}};
}

void ModelLog::retain(const log::RetainCommand& command) {
  if (command.policy_slot != kept_.set_by || (kept_.bytes == 0 && kept_.age_us == 0)) return;
  Lsn before = std::min(command.before, numbers_.next_lsn);
  const Lsn held = kept_.held(numbers_.first_lsn);
  if (held != Lsn{}) before = std::min(before, held);
  if (before <= numbers_.first_lsn) return;
  ++trims_.by_leaders;
  numbers_.first_lsn = before;
}

ModelLog::Fate ModelLog::keep(const log::Command& command, Slot slot) {
  if (command.kind == log::CommandKind::trim) return trim(*log::parse_trim(command.body));
  if (command.kind == log::CommandKind::set_retention) {
    const log::RetentionPolicy policy = *log::parse_policy(command.body);
    kept_.bytes = policy.bytes;
    kept_.age_us = policy.age_us;
    kept_.set_by = slot;
    return {Outcome::ok, {}, {}};
  }
  if (command.kind == log::CommandKind::release_hold) {
    const bool there = kept_.holds.erase(*log::parse_release(command.body)) != 0;
    return {there ? Outcome::ok : Outcome::not_found, {}, {}};
  }
  const log::HoldCommand hold = *log::parse_hold(command.body);
  if (hold.lsn < numbers_.first_lsn) return {Outcome::trimmed, {}, {}};
  if (hold.lsn > numbers_.next_lsn) return {Outcome::out_of_range, {}, {}};
  if (!kept_.holds.contains(hold.name) && kept_.holds.size() >= kHoldsMax) {
    return {Outcome::too_many, {}, {}};
  }
  kept_.holds[hold.name] = {hold.lsn, numbers_.log_time_us + hold.ttl_us};
  return {Outcome::ok, hold.lsn, {}};
}

void ModelLog::apply(const paxos::Value& value) {
  using Kind = log::CommandKind;
  const Slot slot = slot_end();
  const bool is_batch =
      value.kind() == paxos::ValueKind::batch || value.kind() == paxos::ValueKind::upkeep;
  const auto batch = is_batch ? log::parse_batch(value) : Result<log::Batch>(log::Batch{});
  if (is_batch && batch) {
    numbers_.log_time_us += batch->header.elapsed_us;
    numbers_.stamp_us = std::max(numbers_.stamp_us, batch->header.stamp_us);
    std::erase_if(kept_.holds,
                  [this](const auto& hold) { return hold.second.second <= numbers_.log_time_us; });
    for (const log::Command& command : batch->commands) {
      if (command.kind == Kind::open_session) {
        open(command, slot);
        continue;
      }
      if (command.kind == Kind::retain) {
        retain(*log::parse_retain(command.body));
        continue;
      }
      Session* session = live(command.session);
      if (session == nullptr) continue;
      if (command.kind == Kind::close_session) {
        session->open = false;
        session->closed = true;
        continue;
      }
      session->active_at_us = numbers_.log_time_us;
      const std::uint64_t next = session->fates.size() + 1;
      const std::uint64_t end = command.sequence.value + command.count;
      if (command.sequence.value > next || end <= next) continue;  // Void, or all duplicates.
      if (command.kind == Kind::append) {
        append(command, *session, slot);
      } else if (command.kind == Kind::skip) {
        session->fates.resize(end - 1, {Outcome::skipped, {}, slot});
      } else {
        Fate fate = keep(command, slot);
        fate.slot = slot;
        session->fates.push_back(fate);
      }
    }
  }
  numbers_.log_bytes += log::slot_bytes(value.size());
  after_.push_back(numbers_);
}

const ModelLog::Numbers& ModelLog::after(Slot slot_end) const {
  static const Numbers kFirst;
  return slot_end.value <= 1 ? kFirst : after_.at(slot_end.value - 2);
}

const ModelLog::Fate* ModelLog::fate(SessionId session, Sequence sequence) const {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || sequence.value == 0) return nullptr;
  const std::vector<Fate>& fates = found->second.fates;
  return sequence.value > fates.size() ? nullptr : &fates[sequence.value - 1];
}

}  // namespace stele::sim
