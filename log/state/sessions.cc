#include "log/state/sessions.h"

#include <algorithm>

namespace stele::log {
namespace {

constexpr std::uint64_t kSweepEveryUs = 60'000'000;
constexpr std::size_t kResultsMax = 65536;

std::uint32_t least(std::uint64_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(a, b));
}

}  // namespace

Sessions::Admission Sessions::admit(const Command& command, const Applying& at,
                                    std::vector<CommandResult>& results) {
  Admission admission;
  Session* session = find(command.session, at.log_time_us);
  if (session == nullptr) {
    admission.outcome = Outcome::session_expired;
    return admission;
  }
  session->touch(at.log_time_us);
  mark_changed(command.session, *session);
  const Sequence next = session->last() + 1;
  admission.next = next;
  if (command.sequence > next) {
    admission.outcome = Outcome::resend;
    return admission;
  }
  const std::uint32_t duplicates = least(next - command.sequence, command.count);
  // A client that sends nothing but duplicates gets some answers, and the rest when it asks again.
  if (duplicates != 0 && results.size() < kResultsMax) {
    session->recall(command.session, command.sequence, duplicates, results);
  }
  admission.fresh = command.count - duplicates;
  admission.session = session;
  return admission;
}

void Sessions::settle(const Admission& admission, const Command& command, const Effect& effect) {
  Session& session = *admission.session;
  const std::size_t remembered = session.remembered();
  if (admission.fresh != 0) session.consume(admission.fresh, effect.outcome, effect.lsn);
  session.forget(command.acked);
  runs_ = runs_ - remembered + session.remembered();
  while (runs_ > bounds_.runs && session.remembered() > bounds_.runs_each) {
    session.forget_oldest();
    --runs_;
  }
}

Result<void> Sessions::check_command(const Command& command) const {
  if (!command.body.empty()) return fail(Errc::malformed, "bytes in a command without any");
  return {};
}

Effect Sessions::apply(const Command& command, const Applying& at) {
  return command.kind == CommandKind::open_session ? open(command, at) : close(command, at);
}

Outcome Sessions::open(const Command& command, const Applying& at) {
  // The id is the slot, so a batch opens one session; the builder ends batches accordingly.
  const bool first = std::exchange(opened_in_, at.slot) != at.slot;
  if (first && sessions_.size() >= bounds_.sessions) make_room(at.log_time_us);
  if (!first || sessions_.size() >= bounds_.sessions) return Outcome::overloaded;
  const SessionId id{at.slot.value};
  const std::uint32_t window = std::clamp<std::uint32_t>(command.count, 1, kWindowMax);
  const std::uint64_t ttl_us = std::min(command.acked.value, kTtlMaxUs);
  const auto made = sessions_.emplace(id, Session(window, ttl_us, at.log_time_us));
  mark_changed(id, made.first->second);
  return Outcome::ok;
}

Outcome Sessions::close(const Command& command, const Applying& at) {
  if (find(command.session, at.log_time_us) == nullptr) return Outcome::session_expired;
  drop(command.session);
  return Outcome::ok;
}

// Expired sessions that nobody asks for are dropped now and then. The moment depends on log time
// alone, so it is the same on every node.
void Sessions::advance(std::uint64_t before_us, const Applying& at) {
  if (at.log_time_us / kSweepEveryUs != before_us / kSweepEveryUs) drop_expired(at.log_time_us);
}

Session* Sessions::find(SessionId id, std::uint64_t log_time_us) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return nullptr;
  if (found->second.expired(log_time_us)) {
    drop(id);
    return nullptr;
  }
  return &found->second;
}

void Sessions::drop(SessionId id) {
  const auto found = sessions_.find(id);
  mark_changed(id, found->second);
  runs_ -= found->second.remembered();
  sessions_.erase(found);
}

bool Sessions::is_idle(const Session& session, std::uint64_t log_time_us) const {
  return session.expired(log_time_us) || log_time_us - session.active_at_us() >= bounds_.idle_us;
}

/// The longest idle one goes, of several the one with the lowest id; expired ones go anyhow.
void Sessions::make_room(std::uint64_t log_time_us) {
  drop_expired(log_time_us);
  if (sessions_.size() < bounds_.sessions) return;
  const auto longest = std::ranges::min_element(sessions_, {}, [](const auto& known) {
    return std::pair(known.second.active_at_us(), known.first);
  });
  if (longest != sessions_.end() && is_idle(longest->second, log_time_us)) drop(longest->first);
}

bool Sessions::refuses(const StateNumbers& now) const {
  if (sessions_.size() < bounds_.sessions) return false;
  // Asked again and again, by clients and status.
  if (refuses_.first != now.chosen_end) {
    refuses_ = {now.chosen_end, std::ranges::none_of(sessions_, [&](const auto& known) {
                  return is_idle(known.second, now.log_time_us);
                })};
  }
  return refuses_.second;
}

void Sessions::mark_changed(SessionId id, Session& session) {
  if (session.changed()) return;
  session.set_changed(true);
  changed_.push_back(id);
}

void Sessions::drop_expired(std::uint64_t log_time_us) {
  std::vector<SessionId> expired;
  for (const auto& [id, session] : sessions_) {
    if (session.expired(log_time_us)) expired.push_back(id);
  }
  for (SessionId id : expired) drop(id);
}

Sequence Sessions::next_sequence(SessionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? Sequence{} : found->second.last() + 1;
}

std::vector<CommandResult> Sessions::recall(const Command& command) const {
  std::vector<CommandResult> results;
  const auto found = sessions_.find(command.session);
  if (found == sessions_.end()) return results;
  if (command.sequence + command.count > found->second.last() + 1) return results;
  found->second.recall(command.session, command.sequence, command.count, results);
  return results;
}

void Sessions::take_changed(std::vector<Row>& rows) {
  rows.reserve(rows.size() + changed_.size());
  std::sort(changed_.begin(), changed_.end());  // The order in which tables are written fastest.
  for (SessionId id : changed_) {
    const auto found = sessions_.find(id);
    Row& row = rows.emplace_back(Row{Table::sessions, key_of(id.value), {}});
    if (found == sessions_.end()) continue;
    found->second.set_changed(false);
    row.bytes = found->second.serialize();
  }
  changed_.clear();
}

Result<void> Sessions::load(const Row& row) {
  if (row.key.size() != sizeof(std::uint64_t)) return fail(Errc::corrupt, "a session has no id");
  auto session = Session::parse(row.bytes);
  if (!session) return forward(session);
  runs_ += session->remembered();
  sessions_.emplace(SessionId{number_of(row.key)}, *std::move(session));
  return {};
}

std::string Sessions::check() const {
  std::size_t runs = 0;
  for (const auto& [id, session] : sessions_) {
    const std::string name = "session " + std::to_string(id.value);
    if (id == SessionId{}) return name + " is no slot's";
    if (std::string wrong = session.check(); !wrong.empty()) return name + ": " + wrong;
    runs += session.remembered();
  }
  if (runs != runs_) {
    return "sessions remember " + std::to_string(runs) + " runs, and " + std::to_string(runs_) +
           " are counted";
  }
  return {};
}

SectionType sessions_section(const Sessions::Bounds& bounds) {
  return {{Table::sessions, "sessions"},
          {CommandKind::open_session, CommandKind::close_session},
          [bounds] { return std::make_unique<Sessions>(bounds); }};
}

}  // namespace stele::log
