#include "log/service/appends.h"

#include <algorithm>
#include <utility>

#include "log/format/batch.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// A command that is that much smaller than its message does not keep it.
constexpr std::size_t kMessagePerCommandMax = 8;

/// The smallest ones are copied by the batch.
Slice own_if_small(const Slice& command, std::size_t message_bytes) {
  const std::span<const std::byte> bytes = command.bytes;
  const bool large = bytes.size() * kMessagePerCommandMax > message_bytes;
  if (large || bytes.size() <= BatchBuilder::kCopyBytesMax) return command;
  const auto own = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  return {own, *own};
}

}  // namespace

// --- What clients ask --------------------------------------------------------------------

void Appends::on_open(ClientLink& link, const net::OpenSession& open) {
  // Asked again, over another connection perhaps: it is on its way, and costs one slot.
  if (const auto under_way = opening_.find(open.nonce); under_way != opening_.end()) {
    under_way->second = &link;
    return;
  }
  const Command command{.kind = CommandKind::open_session,
                        .session = {open.nonce},
                        .sequence = {},
                        .count = std::max<std::uint32_t>(open.window, 1),
                        .acked = {std::uint64_t{open.ttl_ms} * 1000},
                        .condition = {},
                        .body = {}};
  auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 0, *bytes);

  Outcome outcome = serving_.refusal();
  std::uint32_t retry_ms = kRetryMs;
  if (outcome == Outcome::ok && serving_.state().sessions().refuses(serving_.state().numbers())) {
    on_sessions_full();
    outcome = Outcome::overloaded;
    retry_ms = 0;
  }
  // Each takes a slot of its own: a flood must not stand before everybody's appends.
  if (outcome == Outcome::ok && opening_.size() >= kOpeningMax) {
    outcome = Outcome::overloaded;
  }
  if (outcome == Outcome::ok) {
    const std::span<const std::byte> view(*bytes);
    outcome = serving_.replica()->submit(command.kind, {std::move(bytes), view});
  }
  if (outcome == Outcome::ok) {
    opening_[open.nonce] = &link;
  } else {
    link.send(
        net::SessionOpened{open.nonce, outcome, {}, serving_.view().leader_address(), retry_ms});
  }
}

void Appends::on_sessions_full() {
  if (!full_told_.due(loop_.now())) return;
  events_.event(EventLevel::error, "sessions_full",
                {{"sessions", serving_.state().sessions().size()},
                 {"reason", "none of them has been idle for a minute of log time"}});
}

void Appends::on_append(ClientLink& link, const Slice& commands) {
  std::span<const std::byte> rest = commands.bytes;
  bool answered = false;
  do {
    const std::span<const std::byte> begin = rest;
    const auto command = parse_next_command(rest);
    if (!command) return link.refuse(command.error().detail);
    if (const auto known = serving_.state().check_command(*command); !known) {
      return link.refuse(known.error().detail);
    }
    if (command->kind == CommandKind::open_session)
      return link.refuse("sessions are opened otherwise");
    const Slice bytes{commands.owner, begin.first(begin.size() - rest.size())};
    answered = on_command(link, *command, own_if_small(bytes, commands.bytes.size())) || answered;
    if (!link.takes_results()) return;
  } while (!rest.empty());
  if (answered) link.flush_results();
}

/// True if there is something to tell at once.
bool Appends::on_command(ClientLink& link, const Command& command, Slice bytes) {
  const auto answer = [&](Outcome outcome, Sequence resend_from) {
    link.add_result({command.session, command.sequence, command.count, outcome, {}, resend_from});
    return true;
  };
  if (const Outcome refused = serving_.refusal(); refused != Outcome::ok)
    return answer(refused, {});
  if (command.largest_bytes > serving_.options().entry_bytes_max)
    return answer(Outcome::too_large, {});

  // What is long decided needs no slot: the outcome is final, and known here.
  const bool plain = command.kind != CommandKind::close_session;
  const Sequence applied_end = serving_.state().sessions().next_sequence(command.session);
  const Sequence end = command.sequence + command.count;
  Session& session = sessions_[command.session];
  if (plain && applied_end != Sequence{} && end <= applied_end) {
    session.owner = &link;
    for (const CommandResult& result : serving_.state().sessions().recall(command)) {
      link.add_result(result);
    }
    return true;
  }
  const bool on_its_way = session.submitted_end != Sequence{};
  const Sequence next = std::max(applied_end, session.submitted_end);
  // A gap would be void when applied: better told at once. A leader that has not applied everything
  // yet does not know, and leaves it to apply.
  const bool knows = serving_.replica()->caught_up() || on_its_way;
  if (knows && next != Sequence{} && command.sequence > next) {
    drop_if_unused(sessions_.find(command.session));
    return answer(Outcome::resend, next);
  }
  session.owner = &link;
  // On its way in this leadership: its outcome comes, to the connection that asked last.
  if (plain && on_its_way && end <= session.submitted_end) {
    return tell_applied_part(link, command);
  }

  // Whether an unknown session has expired is for apply to say: this node may lead no more.
  const bool full = under_way_ >= serving_.state().sessions().bounds().sessions;
  const Outcome outcome =
      full ? Outcome::overloaded : serving_.replica()->submit(command.kind, std::move(bytes));
  if (outcome != Outcome::ok) {
    // Sessions that somebody makes up must not make memory grow.
    if (applied_end == Sequence{} && !on_its_way) {
      session.owner = nullptr;
      drop_if_unused(sessions_.find(command.session));
    }
    return answer(outcome, {});
  }
  set_submitted_end(session, std::max(session.submitted_end, end));
  return false;
}

/// A command that is partly applied and partly on its way: nobody else tells the first part.
bool Appends::tell_applied_part(ClientLink& link, const Command& command) {
  const Sequence next = serving_.state().sessions().next_sequence(command.session);
  if (command.sequence >= next) return false;
  Command applied = command;
  applied.count = static_cast<std::uint32_t>(next - command.sequence);
  for (const CommandResult& result : serving_.state().sessions().recall(applied))
    link.add_result(result);
  return true;
}

/// `end` of {}: nothing of the session is on its way any more.
void Appends::set_submitted_end(Session& session, Sequence end) {
  if (session.submitted_end == Sequence{} && end != Sequence{}) ++under_way_;
  if (session.submitted_end != Sequence{} && end == Sequence{}) --under_way_;
  session.submitted_end = end;
  STELE_CHECK(under_way_ <= sessions_.size());
}

void Appends::drop_if_unused(Sessions::iterator session) {
  const Session& known = session->second;
  if (known.owner == nullptr && known.submitted_end == Sequence{}) sessions_.erase(session);
}

void Appends::forget(const ClientLink& link) {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto session = at++;
    if (session->second.owner != &link) continue;
    session->second.owner = nullptr;
    drop_if_unused(session);
  }
  for (auto& [nonce, opener] : opening_) {
    if (opener == &link) opener = nullptr;
  }
}

// --- What becomes of it --------------------------------------------------------------------

void Appends::on_applied(const LogState::Applied& applied) {
  // A void in an earlier leader's slot says nothing of what was submitted here.
  const auto own_begin = serving_.replica()->proposer().recovered_slot();
  const bool own_slot = own_begin && applied.row.slot >= *own_begin;
  for (const CommandResult& result : applied.results) {
    const auto found = sessions_.find(result.session);
    if (found == sessions_.end()) continue;
    on_result(found->second, result, own_slot);
    drop_if_unused(found);
  }
  for (const LogState::Opened& opened : applied.opened) on_opened(opened);
}

void Appends::on_result(Session& session, const CommandResult& result, bool own_slot) {
  if (session.submitted_end != Sequence{}) {
    const bool all_answered = result.sequence + result.count >= session.submitted_end ||
                              result.outcome == Outcome::session_expired;
    if (all_answered) {
      set_submitted_end(session, {});
    } else if (own_slot && result.outcome == Outcome::resend) {
      // The rest is void, too.
      set_submitted_end(session, std::min(session.submitted_end, result.resend_from));
    }
  }
  if (session.owner != nullptr) tell_result(session, result);
}

void Appends::tell_result(Session& session, const CommandResult& result) {
  // A void speaks of no attempt in particular: it may be of an earlier leader's slot.
  CommandResult told = result;
  if (!serving_.serves())
    told = {result.session, result.sequence, result.count, Outcome::unknown, {}, {}};
  if (told.outcome == Outcome::resend) told.count = 0;
  session.owner->add_result(told);
  // Closed, or expired.
  if (result.lsn == Lsn{} &&
      serving_.state().sessions().next_sequence(result.session) == Sequence{}) {
    session.owner = nullptr;
  }
}

void Appends::on_opened(const LogState::Opened& opened) {
  const auto opener = opening_.find(opened.nonce);
  if (opener == opening_.end()) return;
  // Refused by the log: the table is full.
  if (opened.outcome == Outcome::overloaded) on_sessions_full();
  if (opener->second != nullptr) {
    opener->second->send(net::SessionOpened{opened.nonce, opened.outcome, opened.session, {}, 0});
  }
  opening_.erase(opener);
}

void Appends::on_dropped(const Slice& bytes, Outcome why) {
  const auto command = parse_command(bytes.bytes);
  if (!command) return;
  if (command->kind == CommandKind::open_session) {
    const auto opener = opening_.find(command->session.value);
    if (opener == opening_.end()) return;
    if (opener->second != nullptr) {
      opener->second->send(net::SessionOpened{command->session.value, why, {}, {}, kRetryMs});
    }
    opening_.erase(opener);
    return;
  }
  const auto found = sessions_.find(command->session);
  if (found == sessions_.end()) return;
  Session& session = found->second;
  if (session.owner != nullptr) {
    session.owner->add_result({command->session, command->sequence, command->count, why, {}, {}});
  }
  // Nor is anything after it on its way.
  if (session.submitted_end == Sequence{}) return;
  const Sequence end = std::min(session.submitted_end, command->sequence);
  const Sequence next = serving_.state().sessions().next_sequence(command->session);
  set_submitted_end(session, end <= next ? Sequence{} : end);
  drop_if_unused(found);
}

void Appends::on_stopped() {
  // What was submitted may yet be chosen: unknown. The client sends it again, elsewhere.
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto session = at++;
    auto& [owner, submitted_end] = session->second;
    if (submitted_end == Sequence{}) continue;
    if (owner != nullptr) {
      owner->add_result({session->first, {}, 0, Outcome::unknown, {}, {}});
    }
    set_submitted_end(session->second, {});
    drop_if_unused(session);
  }
  for (const auto& [nonce, opener] : std::exchange(opening_, {})) {
    if (opener == nullptr) continue;
    opener->send(net::SessionOpened{nonce, Outcome::unknown, {}, {}, kRetryMs});
  }
}

}  // namespace stele::log
