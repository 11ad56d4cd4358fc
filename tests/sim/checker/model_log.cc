#include "tests/sim/checker/model_log.h"

#include <algorithm>
#include <utility>

#include "log/format/batch.h"

namespace stele::sim {
namespace {

constexpr std::uint64_t kTtlMaxUs = 3600ULL * 1000 * 1000;

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

void ModelLog::apply(const paxos::Value& value) {
  const Slot slot = slot_end();
  const auto batch = value.kind() == paxos::ValueKind::batch ? log::parse_batch(value)
                                                             : Result<log::Batch>(log::Batch{});
  if (value.kind() == paxos::ValueKind::batch && batch) {
    numbers_.log_time_us += batch->header.elapsed_us;
    numbers_.stamp_us = std::max(numbers_.stamp_us, batch->header.stamp_us);
    bool opened = false;
    for (const log::Command& command : batch->commands) {
      if (command.kind == log::CommandKind::open_session) {
        if (std::exchange(opened, true) || !has_room()) continue;
        Session& session = sessions_[{slot.value}];
        session.ttl_us = std::min(command.acked.value, kTtlMaxUs);
        session.active_at_us = numbers_.log_time_us;
        continue;
      }
      Session* session = live(command.session);
      if (session == nullptr) continue;
      if (command.kind == log::CommandKind::close_session) {
        session->open = false;
        session->closed = true;
        continue;
      }
      session->active_at_us = numbers_.log_time_us;
      const std::uint64_t next = session->fates.size() + 1;
      const std::uint64_t end = command.sequence.value + command.count;
      if (command.sequence.value > next || end <= next) continue;  // Void, or all duplicates.
      const bool appends = command.kind == log::CommandKind::append;
      const bool met = command.condition == Lsn{} || command.condition == numbers_.next_lsn;
      log::EntryCursor cursor(command.body);
      cursor.skip(static_cast<std::uint32_t>(next - command.sequence.value));
      for (std::uint64_t at = next; at < end; ++at) {
        if (!appends || !met) {
          session->fates.push_back(
              {appends ? Fate::Kind::condition_failed : Fate::Kind::skipped, {}, slot});
          continue;
        }
        std::span<const std::byte> payload;
        if (!cursor.next(payload)) break;
        entries_.emplace_back(reinterpret_cast<const char*>(payload.data()), payload.size());
        slots_.push_back(slot);
        session->fates.push_back({Fate::Kind::appended, numbers_.next_lsn, slot});
        ++numbers_.next_lsn;
      }
    }
  }
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
