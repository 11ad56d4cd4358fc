#include "log/state/log_state.h"

#include <algorithm>
#include <string>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"
#include "paxos/base/version.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kSweepEveryUs = 60'000'000;
constexpr std::size_t kResultsMax = 65536;

tl::unexpected<Error> unknown(Slot slot, const std::string& what) {
  return fail(Errc::newer_format,
              "slot " + std::to_string(slot.value) + " holds " + what + "; stele " + kVersion +
                  " applies log formats up to " + std::to_string(kLogFormat) +
                  " and cannot go on: start a version on this directory that knows it");
}

}  // namespace

LogState::LogState(const StateNumbers& numbers, std::unordered_map<SessionId, Session> sessions,
                   Bounds bounds)
    : bounds_(bounds), numbers_(numbers), sessions_(std::move(sessions)) {
  for (const auto& [id, session] : sessions_) runs_ += session.remembered();
}

Result<LogState::Applied> LogState::apply(Slot slot, const paxos::Value& value) {
  STELE_CHECK(slot == numbers_.chosen_end);
  Applied out;
  out.row.slot = slot;
  out.row.first_lsn = numbers_.next_lsn;

  if (value.kind() == paxos::ValueKind::batch) {
    const auto batch = parse_batch(value);
    if (batch) {
      apply_batch(slot, *batch, out);
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

  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put(numbers_.hash);
  writer.put(slot.value);
  writer.put(value.digest());
  writer.put(numbers_.next_lsn.value);
  writer.put(numbers_.log_time_us);
  writer.put(static_cast<std::uint64_t>(sessions_.size()));
  numbers_.hash = net::digest(bytes, static_cast<std::uint64_t>(value.kind()));
  return out;
}

void LogState::apply_batch(Slot slot, const Batch& batch, Applied& out) {
  format_ = batch.header.format;
  const std::uint64_t period = numbers_.log_time_us / kSweepEveryUs;
  numbers_.log_time_us += batch.header.elapsed_us;
  numbers_.stamp_us = std::max(numbers_.stamp_us, batch.header.stamp_us);
  if (numbers_.log_time_us / kSweepEveryUs != period) drop_expired();
  bool opened = false;
  std::uint32_t index = 0;
  for (const Command& command : batch.commands) {
    switch (command.kind) {
      case CommandKind::append:
      case CommandKind::skip: on_append(command, index, out); break;
      case CommandKind::open_session:
        on_open(command, slot, !std::exchange(opened, true), out);
        break;
      case CommandKind::close_session: on_close(command, out); break;
    }
    ++index;
  }
}

// Sessions (docs/protocol.md): duplicates are recognised, gaps are void, refusals consume.
void LogState::on_append(const Command& command, std::uint32_t index, Applied& out) {
  const bool is_append = command.kind == CommandKind::append;
  const auto refuse = [&](net::Outcome outcome, Sequence resend_from) {
    out.results.push_back(
        {command.session, command.sequence, command.count, outcome, {}, resend_from});
    if (is_append) out.row.skipped.push_back({index, command.count});
  };
  Session* session = find(command.session);
  if (session == nullptr) return refuse(net::Outcome::session_expired, {});
  session->touch(numbers_.log_time_us);
  mark_changed(command.session, *session);
  const Sequence next = session->last() + 1;
  if (command.sequence > next) return refuse(net::Outcome::resend, next);

  const auto duplicates =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(next - command.sequence, command.count));
  // Who sends nothing but duplicates gets some answers, and the rest when it asks again.
  if (duplicates != 0 && out.results.size() < kResultsMax) {
    session->recall(command.session, command.sequence, duplicates, out.results);
  }
  const std::size_t remembered = session->remembered();
  const std::uint32_t fresh = command.count - duplicates;
  std::uint32_t skipped = duplicates;
  if (fresh != 0) {
    net::Outcome outcome = net::Outcome::ok;
    if (!is_append) {
      outcome = net::Outcome::skipped;
    } else if (command.condition != Lsn{} && command.condition != numbers_.next_lsn) {
      outcome = net::Outcome::condition_failed;
    }
    const bool appended = outcome == net::Outcome::ok;
    const Lsn lsn = appended ? numbers_.next_lsn : Lsn{};
    session->consume(fresh, outcome, lsn);
    out.results.push_back({command.session, next, fresh, outcome, lsn, {}});
    if (appended) {
      numbers_.next_lsn = numbers_.next_lsn + fresh;
      out.row.count += fresh;
    } else {
      skipped = command.count;
    }
  }
  session->forget(command.acked);
  runs_ = runs_ - remembered + session->remembered();
  while (format_ >= 2 && runs_ > bounds_.runs && session->remembered() > bounds_.runs_each) {
    session->forget_oldest();
    --runs_;
  }
  if (is_append && skipped != 0) out.row.skipped.push_back({index, skipped});
}

void LogState::on_open(const Command& command, Slot slot, bool first, Applied& out) {
  net::SessionOpened opened;
  opened.nonce = command.session.value;
  if (format_ >= 2 && first && sessions_.size() >= bounds_.sessions) make_room();
  // The id is the slot, so a batch opens one session; the builder ends batches accordingly.
  if (!first || sessions_.size() >= bounds_.sessions) {
    opened.outcome = net::Outcome::overloaded;
  } else {
    opened.session = {slot.value};
    const std::uint32_t window = std::clamp<std::uint32_t>(command.count, 1, kWindowMax);
    const std::uint64_t ttl_us = std::min(command.acked.value, kTtlMaxUs);
    const auto made =
        sessions_.emplace(opened.session, Session(window, ttl_us, numbers_.log_time_us));
    mark_changed(opened.session, made.first->second);
  }
  out.opened.push_back(opened);
}

void LogState::on_close(const Command& command, Applied& out) {
  const bool known = find(command.session) != nullptr;
  if (known) drop(command.session);
  out.results.push_back({command.session,
                         command.sequence,
                         command.count,
                         known ? net::Outcome::ok : net::Outcome::session_expired,
                         {},
                         {}});
}

Session* LogState::find(SessionId id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return nullptr;
  if (found->second.expired(numbers_.log_time_us)) {
    drop(id);
    return nullptr;
  }
  return &found->second;
}

void LogState::drop(SessionId id) {
  const auto found = sessions_.find(id);
  mark_changed(id, found->second);
  runs_ -= found->second.remembered();
  sessions_.erase(found);
}

bool LogState::is_idle(const Session& session) const {
  return session.expired(numbers_.log_time_us) ||
         numbers_.log_time_us - session.active_at_us() >= bounds_.idle_us;
}

/// The longest idle one goes, of several the one with the lowest id; who has expired anyhow.
void LogState::make_room() {
  drop_expired();
  if (sessions_.size() < bounds_.sessions) return;
  const auto longest = std::ranges::min_element(sessions_, {}, [](const auto& known) {
    return std::pair(known.second.active_at_us(), known.first);
  });
  if (longest != sessions_.end() && is_idle(longest->second)) drop(longest->first);
}

bool LogState::refuses_sessions() const {
  if (sessions_.size() < bounds_.sessions) return false;
  // Asked again and again, by clients and status.
  if (refuses_.first != numbers_.chosen_end) {
    refuses_ = {numbers_.chosen_end, std::ranges::none_of(sessions_, [this](const auto& known) {
                  return is_idle(known.second);
                })};
  }
  return refuses_.second;
}

void LogState::mark_changed(SessionId id, Session& session) {
  if (session.changed()) return;
  session.set_changed(true);
  changed_.push_back(id);
}

// Expired sessions nobody asks for go now and then; when depends on log time only, as on every
// node.
void LogState::drop_expired() {
  std::vector<SessionId> expired;
  for (const auto& [id, session] : sessions_) {
    if (session.expired(numbers_.log_time_us)) expired.push_back(id);
  }
  for (SessionId id : expired) drop(id);
}

Sequence LogState::next_sequence(SessionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? Sequence{} : found->second.last() + 1;
}

std::vector<net::AppendResult> LogState::recall(const Command& command) const {
  std::vector<net::AppendResult> results;
  const auto found = sessions_.find(command.session);
  if (found == sessions_.end()) return results;
  if (command.sequence + command.count > found->second.last() + 1) return results;
  found->second.recall(command.session, command.sequence, command.count, results);
  return results;
}

std::vector<SessionImage> LogState::take_changed_sessions() {
  std::vector<SessionImage> images;
  images.reserve(changed_.size());
  std::sort(changed_.begin(), changed_.end());  // The order in which tables are written fastest.
  for (SessionId id : changed_) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) {
      images.push_back({id, {}});
      continue;
    }
    found->second.set_changed(false);
    images.push_back({id, found->second.serialize()});
  }
  changed_.clear();
  return images;
}

}  // namespace stele::log
