#include "log/client/append_pipe.h"

#include <algorithm>
#include <utility>

#include "log/client/append_outcome.h"
#include "log/client/nodes.h"
#include "log/client/patience.h"
#include "log/format/batch.h"

namespace stele::log {
namespace {

constexpr std::chrono::milliseconds kNoSpaceRetry{200};
constexpr const char* kDisksFull = "the cluster's disks are full";
constexpr const char* kTableFull =
    "the cluster's table of sessions is full, and all of them are in use";

std::string overloaded(const std::string& node) {
  return node +
         " is overloaded: its queue is full, or it does not know whether enough disks have room";
}

AppendResult surely_not(const char* detail) {
  AppendResult result;
  result.detail = detail;
  return result;
}

}  // namespace

AppendPipe::AppendPipe(const ClientParts& client)
    : client_(client), pending_(client), gate_(client.options.attempt_timeout) {}

// --- Taking ----------------------------------------------------------------------------

bool AppendPipe::append(const Asked& asked, Duration timeout, std::unique_ptr<AppendDone> done) {
  const std::span<const std::byte> payload = asked.payload;
  AppendResult refused;
  const auto refuse = [&](Errc error) {
    client_.completions.add(std::move(done), error, std::move(refused));
    pending_.stop_at(pending_.size());
    return false;
  };
  if (pending_.stopped()) {
    refused.detail = pending_.stop_detail();
    return refuse(Errc::stopped);
  }
  if (!net::is_counter(asked.condition.value)) {
    refused.detail = kLsnsMax;
    return refuse(Errc::invalid_argument);
  }
  const NodeLink* leader = client_.nodes.target();
  if (leader != nullptr && !leader->takes(payload.size())) {
    refused.detail = over_limit(payload.size(), leader->entry_bytes_max());
    return refuse(Errc::too_large);
  }
  const std::size_t waiting = pending_.waiting_bytes();
  const bool full = pending_.size() >= client_.options.waiting_max ||
                    (waiting != 0 && waiting + payload.size() > client_.options.waiting_bytes_max);
  if (full) {
    refused.detail = "too many appends wait in this client";
    refused.retry_after = std::chrono::milliseconds(10);
    return refuse(Errc::overloaded);
  }
  fresh_bytes_ += payload.size() + kEntryHeaderBytes;
  pending_.push({asked.kind, payloads_.copy(payload), asked.condition, client_.loop.now() + timeout,
                 std::move(done)});
  return true;
}

// --- The session -----------------------------------------------------------------------

void AppendPipe::open_session(NodeLink& leader) {
  if (opening_nonce_ != 0) return;
  if (client_.loop.now() < again_at_) return client_.turns.tick_soon();
  if (session_nonce_ == 0) session_nonce_ = client_.loop.random() | 1;
  const auto ttl_ms = static_cast<std::uint32_t>(client_.options.session_ttl.count());
  if (leader.send(net::OpenSession{session_nonce_, client_.options.window, ttl_ms})) {
    opening_nonce_ = session_nonce_;
  }
}

void AppendPipe::on_session_opened(NodeLink& from, const net::SessionOpened& opened) {
  if (opening_nonce_ == 0 || opened.nonce != opening_nonce_) return;
  const bool from_target = client_.nodes.is_target(from);
  // A late refusal of another node speaks of an earlier try.
  if (opened.outcome != Outcome::ok && !from_target) return;
  opening_nonce_ = 0;
  if (opened.outcome != Outcome::not_leader)
    client_.patience.on_append_progress(client_.loop.now());
  if (opened.outcome == Outcome::ok) {
    client_.nodes.set_target_leads(from_target);
    client_.nodes.on_served();
    session_ = opened.session;
    session_nonce_ = 0;
    next_send_ = pending_.first();
    told_end_ = {};
  } else if (opened.outcome == Outcome::not_leader || opened.outcome == Outcome::shutting_down ||
             opened.outcome == Outcome::unknown) {
    client_.turns.leave_target(opened.leader, from.name() + " does not lead");
  } else if (opened.outcome == Outcome::no_space) {
    refuse_all(Errc::no_space, kDisksFull);
  } else if (opened.outcome == Outcome::overloaded && opened.retry_ms == 0) {
    refuse_all(Errc::overloaded, kTableFull);
  } else {
    client_.nodes.on_failure(overloaded(from.name()));
    again_at_ = client_.loop.now() + std::chrono::milliseconds(opened.retry_ms);
  }
  client_.turns.wake();
}

/// There is no session, so none of them was ever sent.
void AppendPipe::refuse_all(Errc error, const char* why) {
  for (PendingAppend& entry : pending_.take()) pending_.finish(entry, error, surely_not(why));
}

void AppendPipe::close_session(NodeLink& leader) {
  const Command command{.kind = CommandKind::close_session,
                        .session = std::exchange(session_, {}),
                        .sequence = pending_.first(),
                        .count = 1,
                        .acked = {pending_.first().value - 1},
                        .condition = {},
                        .body = {}};
  auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 0, *bytes);
  const std::span<const std::byte> view(*bytes);
  leader.send(net::Append{{std::move(bytes), view}});
}

void AppendPipe::forget_session() {
  session_ = {};
  gate_.forget();
  next_send_ = pending_.first();
  told_end_ = {};
}

// --- Sending ---------------------------------------------------------------------------

void AppendPipe::send(NodeLink& leader) {
  if (pending_.empty()) return;
  if (has_session()) {
    send_appends(leader);
  } else {
    open_session(leader);
  }
}

void AppendPipe::send_early() {
  fresh_bytes_ = 0;
  if (!has_session()) return;
  NodeLink* leader = client_.nodes.target();
  if (leader == nullptr || !leader->ready()) return;
  send_appends(*leader);
  leader->flush();
}

void AppendPipe::send_appends(NodeLink& leader) {
  fresh_bytes_ = 0;
  if (again_at_ != Time{}) {
    if (client_.loop.now() < again_at_) return client_.turns.tick_soon();
    again_at_ = {};
  }
  while (true) {
    const std::size_t index = next_send_ - pending_.first();
    if (index >= pending_.size() || index >= client_.options.window) return;
    // Over a slow line it would be long before a node that does not lead could say so.
    if (!client_.nodes.target_leads() && index != 0) return;
    const PendingAppend& first = pending_.at(index);
    if (first.consumed) {
      ++next_send_;
      continue;
    }
    if (waits_for_condition(index)) return;
    if (!first.skip && !leader.takes(first.payload.bytes.size())) {
      AppendResult result;
      result.may_be_appended = first.attempts != 0;
      result.detail = over_limit(first.payload.bytes.size(), leader.entry_bytes_max());
      pending_.finish(next_send_, Errc::too_large, std::move(result));
      if (pending_.takes_back()) return;  // What comes after it is not to be sent.
      continue;
    }
    const std::size_t count = pending_.neighbours(
        index, {client_.options.window, kCommandBytesMax, leader.entry_bytes_max()});
    // Its queue is full: goes on when it has drained.
    if (!send_command(leader, index, count)) return;
    next_send_ = next_send_ + count;
  }
}

/// The log may refuse a condition, and take what comes after it.
bool AppendPipe::waits_for_condition(std::size_t index) const {
  if (!client_.options.stop_at_failure || index == 0 || pending_.at(index).skip) return false;
  const PendingAppend& before = pending_.at(index - 1);
  return before.condition != Lsn{} && !before.consumed;
}

bool AppendPipe::send_command(NodeLink& leader, std::size_t index, std::size_t count) {
  if (!leader.send(net::Append{pending_.command(session_, index, count)})) return false;
  gate_.on_sent(next_send_, [&] { return leader.left_bytes() + leader.queued_bytes(); });
  pending_.on_sent(index, count);
  return true;
}

// --- Sending again ---------------------------------------------------------------------

void AppendPipe::resend_from(Sequence sequence) {
  sequence = std::max(sequence, pending_.first());
  if (sequence >= next_send_) return;
  const NodeLink* leader = client_.nodes.target();
  const bool ready = leader != nullptr && leader->ready();
  const auto from =
      gate_.miss(sequence, ready ? leader->left_bytes() : UINT64_MAX, client_.loop.now());
  if (!from) return;
  gate_.on_resend(next_send_);
  next_send_ = std::max(pending_.first(), *from);
  // A moment for the other answers of the same burst, which say the same.
  wait_until(client_.loop.now() + kBackoffMin);
}

void AppendPipe::look_at_resend(Time now) {
  if (!gate_.misses()) return;
  const NodeLink* leader = client_.nodes.target();
  const auto due = gate_.due(pending_.first(), leader == nullptr ? 0 : leader->left_bytes(), now);
  if (due) resend_from(*due);
}

void AppendPipe::on_target_left() {
  gate_.forget_misses();
  gate_.on_resend(next_send_);
  opening_nonce_ = 0;
  next_send_ = pending_.first();
}

// --- Results ---------------------------------------------------------------------------

void AppendPipe::on_results(NodeLink& from, const net::AppendResults& results) {
  if (!has_session()) return;  // Of one that has ended.
  // That a node does not lead is no sign that the one that does is quick.
  const bool decides = std::ranges::any_of(results.results, [](const CommandResult& result) {
    return result.outcome != Outcome::not_leader && result.outcome != Outcome::unknown;
  });
  if (decides && client_.nodes.is_target(from)) {
    client_.nodes.set_target_leads(true);
    if (owed()) client_.patience.on_append_progress(client_.loop.now());
  }
  for (const CommandResult& result : results.results) {
    if (result.session == session_) on_result(from, result, results);
  }
  pending_.drop_consumed();
  next_send_ = std::max(next_send_, pending_.first());
  // Outcomes come in order: if a later one has been told, an earlier answer was lost on its way.
  if (told_end_ > pending_.first()) resend_from(pending_.first());
  client_.turns.wake();
}

void AppendPipe::on_result(NodeLink& from, const CommandResult& result,
                           const net::AppendResults& all) {
  const bool from_target = client_.nodes.is_target(from);
  if (is_refusal(result.outcome))
    pending_.on_not_proposed(result.sequence, result.sequence + result.count);
  if (is_decided(result.outcome)) return on_decided(from, result);
  switch (result.outcome) {
    case Outcome::resend:
      if (from_target) resend_from(result.resend_from);
      return;
    case Outcome::overloaded:
      if (!from_target) return;
      resend_from(result.sequence);
      client_.nodes.on_failure(overloaded(from.name()));
      again_at_ = client_.loop.now() + std::chrono::milliseconds(all.retry_ms);
      return;
    case Outcome::no_space:
      on_refused(result, Errc::no_space);
      client_.nodes.on_failure(from.name() + ": " + kDisksFull);
      resend_from(result.sequence);
      again_at_ = client_.loop.now() + kNoSpaceRetry;
      return;
    case Outcome::too_large:
      on_refused(result, Errc::too_large);
      resend_from(result.sequence);
      return;
    case Outcome::session_expired: on_session_expired(result); return;
    case Outcome::not_leader:
    case Outcome::unknown:
    case Outcome::shutting_down:
      if (from_target) client_.turns.leave_target(all.leader, from.name() + " does not lead");
      return;
    default: return;
  }
}

void AppendPipe::on_decided(NodeLink& from, const CommandResult& result) {
  client_.nodes.on_served();
  client_.nodes.forget_failure();
  client_.nodes.on_decided(from);
  const Time now = client_.loop.now();
  client_.patience.on_append_served(now);
  told_end_ = std::max(told_end_, result.sequence + result.count);
  Sequence at = std::max(result.sequence, pending_.first());
  for (const PendingAppend& entry : range_of(result)) {
    Told told = told_of(entry, result, at, now, pending_.stop_detail());
    pending_.on_consumed(at);
    pending_.finish(at, told.error, std::move(told.result));
    ++at;
  }
}

/// A refusal is definite only if no attempt may have been proposed.
void AppendPipe::on_refused(const CommandResult& result, Errc error) {
  const bool too_large = error == Errc::too_large;
  bool surely_not_appended = false;
  Sequence at = std::max(result.sequence, pending_.first());
  const auto tell = [&] {
    AppendResult told;
    told.may_be_appended = !surely_not_appended;
    told.detail = too_large ? "the entry is over the cluster's limit" : kDisksFull;
    pending_.finish(at, error, std::move(told));
  };
  for (const PendingAppend& entry : range_of(result)) {
    surely_not_appended = !entry.skip && entry.attempts == 0;
    if (surely_not_appended || too_large) tell();
    ++at;
  }
  if (too_large || !surely_not_appended) return;
  // Nothing passes a sequence that was never proposed: neither does what this connection was given
  // after it, if that was its only attempt.
  for (const PendingAppend& entry : pending_.range(at, pending_.end())) {
    if (entry.attempts == 0 || (entry.attempts == 1 && at < next_send_)) tell();
    ++at;
  }
}

void AppendPipe::on_session_expired(const CommandResult& result) {
  // Sequences are consumed without gaps: after one that surely was not, none was.
  bool surely_not_appended = false;
  Sequence at = pending_.first();
  const Sequence result_end = result.sequence + result.count;
  std::deque<PendingAppend> ended = pending_.take();
  forget_session();
  for (PendingAppend& entry : ended) {
    const bool in_result = at >= result.sequence && at < result_end;
    ++at;
    if (!entry.done) continue;  // Nobody waits, and the new session does not know the sequence.
    surely_not_appended = surely_not_appended || entry.attempts == 0 ||
                          (entry.attempts == 1 && in_result && !entry.skip);
    if (surely_not_appended && pending_.stopped()) {
      pending_.finish(entry, Errc::stopped, surely_not(pending_.stop_detail()));
    } else if (surely_not_appended) {
      entry.attempts = 0;
      pending_.put_back(std::move(entry));
    } else {
      AppendResult told;
      told.may_be_appended = true;
      told.detail = "the session expired while the append was under way";
      pending_.finish(entry, Errc::session_expired, std::move(told));
    }
  }
}

// --- Its end, and stopping at a failure ------------------------------------------------

void AppendPipe::go_on() {
  take_back();
  pending_.go_on();
}

/// Sequences are consumed without gaps: a skip of all that is on its way leaves a beginning of it
/// in the log, and its answer says which.
void AppendPipe::take_back() {
  const auto begin = pending_.take_back();
  if (!begin) return;
  gate_.forget_bytes();  // Not to wait for what is taken back.
  resend_from(*begin);
}

void AppendPipe::expire(Time now) {
  pending_.expire(now);
  take_back();
  if (!has_session()) pending_.drop_told();
}

void AppendPipe::end_all(Errc error, const std::string& detail) {
  for (PendingAppend& entry : pending_.take()) {
    AppendResult result;
    result.may_be_appended = entry.attempts != 0;
    result.detail = detail;
    pending_.finish(entry, error, std::move(result));
  }
  forget_session();
  opening_nonce_ = session_nonce_ = 0;
}

}  // namespace stele::log
