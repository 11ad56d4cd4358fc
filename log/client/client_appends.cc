// The client's appends: its session, its sequences, and what it sends again.

#include <algorithm>
#include <utility>

#include "log/client/client_core.h"
#include "log/client/node_link.h"
#include "log/format/batch.h"

namespace stele::log {
namespace {

constexpr Duration kNoSpaceRetry = std::chrono::milliseconds(200);
/// So many attempts' time-outs it may take to learn what became of what is taken back.
constexpr int kResolveTimeouts = 8;
constexpr const char* kForgotten =
    "the cluster does not remember any more what became of this append";
constexpr const char* kDisksFull = "the cluster's disks are full";
constexpr const char* kStopped = "an append before it has failed";
constexpr const char* kStoppedLate = "an append before it was not answered in time";

std::string overloaded(const std::string& node) {
  return node +
         " is overloaded: its queue is full, or it does not know whether enough disks have room";
}

/// The outcomes of an attempt that had no effect and never will have.
bool is_refusal(Outcome outcome) {
  switch (outcome) {
    case Outcome::not_leader:
    case Outcome::overloaded:
    case Outcome::too_large:
    case Outcome::no_space:
    case Outcome::shutting_down:
    case Outcome::resend: return true;
    default: return false;
  }
}

}  // namespace

void ClientCore::append(std::span<const std::byte> payload, Lsn condition, Duration timeout,
                        std::unique_ptr<AppendDone> done) {
  AppendResult refused;
  const auto refuse = [&](Errc error) {
    complete_later(std::move(done), error, std::move(refused));
    stop_at(appends_.size());
  };
  if (stopped_) {
    refused.detail = stop_detail_;
    return refuse(Errc::stopped);
  }
  Connection* leader = addresses_.empty() ? nullptr : target();
  const std::size_t limit = leader == nullptr ? 0 : leader->entry_bytes_max();
  if (limit != 0 && payload.size() > limit) {
    refused.detail = "the entry has " + std::to_string(payload.size()) + " bytes, the limit is " +
                     std::to_string(limit);
    return refuse(Errc::too_large);
  }
  const bool full =
      appends_.size() >= options_.waiting_max ||
      (waiting_bytes_ != 0 && waiting_bytes_ + payload.size() > options_.waiting_bytes_max);
  if (full) {
    refused.detail = "too many appends wait in this client";
    refused.retry_after = std::chrono::milliseconds(10);
    return refuse(Errc::overloaded);
  }
  closed_ = false;
  waiting_bytes_ += payload.size();
  fresh_bytes_ += payload.size() + kEntryHeaderBytes;
  appends_.push_back({payloads_.copy(payload), condition, loop_.now() + timeout, std::move(done)});
  wake();
}

void ClientCore::complete_later(std::unique_ptr<AppendDone> done, std::optional<Errc> error,
                                AppendResult result) {
  if (!error) {
    completed_.push_back({std::move(done), result.lsn, {}});
  } else {
    call_later([done = std::shared_ptr<AppendDone>(std::move(done)), error,
                result = std::move(result)] { done->complete(error, result); });
  }
  wake();
}

void ClientCore::open_session(Connection& leader) {
  if (opening_nonce_ != 0) return;
  if (loop_.now() < appends_again_at_) return tick_soon();
  if (session_nonce_ == 0) session_nonce_ = loop_.random() | 1;
  const auto ttl_ms = static_cast<std::uint32_t>(options_.session_ttl.count());
  if (leader.send(net::OpenSession{session_nonce_, options_.window, ttl_ms})) {
    opening_nonce_ = session_nonce_;
  }
}

void ClientCore::on_session_opened(Connection& from, const net::SessionOpened& opened) {
  if (opening_nonce_ == 0 || opened.nonce != opening_nonce_) return;
  // A late refusal of another node speaks of an earlier try.
  if (opened.outcome != Outcome::ok && &from != target()) return;
  opening_nonce_ = 0;
  if (opened.outcome != Outcome::not_leader) on_append_progress();
  if (opened.outcome == Outcome::ok) {
    target_leads_ = &from == target();
    session_ = opened.session;
    session_nonce_ = 0;
    first_ = next_send_ = Sequence{1};
    told_end_ = {};
    backoff_ = {};
  } else if (opened.outcome == Outcome::not_leader || opened.outcome == Outcome::shutting_down ||
             opened.outcome == Outcome::unknown) {
    leave_target(opened.leader, from.name() + " does not lead");
  } else if (opened.outcome == Outcome::no_space) {
    refuse_all(Errc::no_space, kDisksFull);
  } else if (opened.outcome == Outcome::overloaded && opened.retry_ms == 0) {
    refuse_all(Errc::overloaded,
               "the cluster's table of sessions is full, and all of them are in use");
  } else {
    last_failure_ = overloaded(from.name());
    appends_again_at_ = loop_.now() + std::chrono::milliseconds(opened.retry_ms);
  }
  wake();
}

/// There is no session, so none of them was ever sent.
void ClientCore::refuse_all(Errc error, const char* why) {
  for (Pending& entry : std::exchange(appends_, {})) {
    AppendResult result;
    result.detail = why;
    finish(entry, error, std::move(result));
  }
}

void ClientCore::send_appends(Connection& leader) {
  fresh_bytes_ = 0;
  if (appends_again_at_ != Time{}) {
    if (loop_.now() < appends_again_at_) return tick_soon();
    appends_again_at_ = {};
  }
  while (true) {
    const std::size_t index = next_send_ - first_;
    if (index >= appends_.size() || index >= options_.window) return;
    // Over a slow line it would be long before a node that does not lead could say so.
    if (!target_leads_ && index != 0) return;
    const Pending& first = appends_[index];
    if (first.consumed) {
      ++next_send_;
      continue;
    }
    // The log may refuse a condition, and take what comes after it.
    const bool waits = options_.stop_at_failure && index != 0 && !first.skip &&
                       appends_[index - 1].condition != Lsn{} && !appends_[index - 1].consumed;
    if (waits) return;
    if (!first.skip && leader.entry_bytes_max() != 0 &&
        first.payload.bytes.size() > leader.entry_bytes_max()) {
      AppendResult result;
      result.may_be_appended = first.attempts != 0;
      result.detail = "the entry has " + std::to_string(first.payload.bytes.size()) +
                      " bytes, the limit is " + std::to_string(leader.entry_bytes_max());
      finish(appends_[index], Errc::too_large, std::move(result));
      if (takes_back_) return;  // What comes after it is not to be sent.
      continue;
    }
    // Neighbours travel together.
    std::size_t count = 1;
    std::size_t bytes = first.payload.bytes.size() + kEntryHeaderBytes;
    const std::size_t most = std::min<std::size_t>(appends_.size(), options_.window);
    while (index + count < most && first.condition == Lsn{}) {
      const Pending& next = appends_[index + count];
      const std::size_t more = next.payload.bytes.size() + kEntryHeaderBytes;
      // One that is over the limit is told so when its own turn comes, not with its neighbours.
      const bool over = !next.skip && leader.entry_bytes_max() != 0 &&
                        next.payload.bytes.size() > leader.entry_bytes_max();
      const bool fits = first.skip || (bytes + more <= kCommandBytesMax && !over);
      if (next.consumed || next.skip != first.skip || next.condition != Lsn{} || !fits) break;
      bytes += more;
      ++count;
    }
    if (!send_command(leader, index, count))
      return;  // Its queue is full: goes on when it has drained.
    next_send_ = next_send_ + count;
  }
}

bool ClientCore::send_command(Connection& leader, std::size_t index, std::size_t count) {
  Command command{.kind = appends_[index].skip ? CommandKind::skip : CommandKind::append,
                  .session = session_,
                  .sequence = first_ + index,
                  .count = static_cast<std::uint32_t>(count),
                  .acked = {first_.value - 1},
                  .condition = appends_[index].condition,
                  .body = {}};
  std::size_t entries_bytes = 0;
  if (command.kind == CommandKind::append) {
    for (std::size_t i = index; i < index + count; ++i) {
      entries_bytes += kEntryHeaderBytes + appends_[i].payload.bytes.size();
    }
  }
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(Command::kHeaderBytes + entries_bytes);
  put_command_header(command, entries_bytes, *bytes);
  if (command.kind == CommandKind::append) {
    for (std::size_t i = index; i < index + count; ++i) {
      put_entry(appends_[i].payload.bytes, *bytes);
    }
  }
  const std::span<const std::byte> view(*bytes);
  if (!leader.send(net::Append{{std::move(bytes), view}})) return false;
  if (next_send_ < resent_until_) resent_end_ = leader.left_bytes() + leader.queued_bytes();
  for (std::size_t i = index; i < index + count; ++i) {
    if (!appends_[i].skip) ++appends_[i].attempts;
  }
  return true;
}

ClientCore::Range ClientCore::range_of(const CommandResult& result) {
  const Sequence begin = std::max(result.sequence, first_);
  const Sequence end =
      std::max(begin, std::min(result.sequence + result.count, first_ + appends_.size()));
  if (begin - first_ > appends_.size()) return {appends_.end(), appends_.end()};
  const auto at = [&](Sequence sequence) {
    return appends_.begin() + static_cast<std::ptrdiff_t>(sequence - first_);
  };
  return {at(begin), at(end)};
}

void ClientCore::on_results(Connection& from, const net::AppendResults& results) {
  // That a node does not lead is no sign that the one that does is quick.
  const bool decides = std::ranges::any_of(results.results, [](const CommandResult& result) {
    return result.outcome != Outcome::not_leader && result.outcome != Outcome::unknown;
  });
  if (&from == target() && decides) {
    target_leads_ = true;
    if (appends_owed()) on_append_progress();
  }
  for (const CommandResult& result : results.results) {
    if (result.session == session_) on_result(from, result, results);
  }
  drop_consumed();
  // Outcomes come in order: if a later one has been told, an earlier answer was lost on its way.
  if (told_end_ > first_) resend_from(first_);
  wake();
}

void ClientCore::on_result(Connection& from, const CommandResult& result,
                           const net::AppendResults& all) {
  const bool from_target = &from == target();
  if (is_refusal(result.outcome)) {
    // That attempt was surely not appended: it counts no more.
    for (Pending& entry : range_of(result)) {
      if (!entry.skip && entry.attempts != 0) --entry.attempts;
    }
  }
  switch (result.outcome) {
    case Outcome::ok:
    case Outcome::forgotten:
    case Outcome::skipped:
    case Outcome::condition_failed: {
      backoff_ = {};
      last_failure_.clear();
      appends_served_at_ = loop_.now();
      if (std::exchange(hint_from_, &from) != &from) leader_hint_ = from.name();
      told_end_ = std::max(told_end_, result.sequence + result.count);
      Sequence at = std::max(result.sequence, first_);
      for (Pending& entry : range_of(result)) {
        AppendResult told;
        if (result.outcome == Outcome::ok) told.lsn = result.lsn + (at - result.sequence);
        std::optional<Errc> error;
        if (result.outcome == Outcome::forgotten) {
          error = Errc::session_expired;
          told.may_be_appended = true;
          told.detail = kForgotten;
        } else if (result.outcome == Outcome::condition_failed) {
          error = Errc::condition_failed;
          told.detail = "the next entry's LSN is not the one asked for";
        } else if (result.outcome == Outcome::skipped && entry.done && entry.skip) {
          // Taken back, and in time.
          const bool late = loop_.now() >= entry.deadline;
          error = late ? Errc::timed_out : Errc::stopped;
          told.detail = late ? "no answer in time" : stop_detail_;
        } else if (result.outcome == Outcome::skipped && entry.done) {
          error = Errc::timed_out;
          told.may_be_appended = true;
          told.detail = "another client has used this session";
        }
        entry.consumed = true;
        finish(entry, error, std::move(told));
        ++at;
      }
      return;
    }
    case Outcome::resend:
      if (from_target) resend_from(result.resend_from);
      return;
    case Outcome::overloaded:
      if (!from_target) return;
      resend_from(result.sequence);
      last_failure_ = overloaded(from.name());
      appends_again_at_ = loop_.now() + std::chrono::milliseconds(all.retry_ms);
      return;
    case Outcome::no_space:
      on_refused(result, Errc::no_space);
      last_failure_ = from.name() + ": " + kDisksFull;
      resend_from(result.sequence);
      appends_again_at_ = loop_.now() + kNoSpaceRetry;
      return;
    case Outcome::too_large:
      on_refused(result, Errc::too_large);
      resend_from(result.sequence);
      return;
    case Outcome::session_expired: on_session_expired(result); return;
    case Outcome::not_leader:
    case Outcome::unknown:
    case Outcome::shutting_down:
      if (from_target) leave_target(all.leader, from.name() + " does not lead");
      return;
    case Outcome::trimmed:
    case Outcome::corrupt: return;
  }
}

// A refusal is definite only if no attempt may have been proposed.
void ClientCore::on_refused(const CommandResult& result, Errc error) {
  const bool too_large = error == Errc::too_large;
  bool surely_not_appended = false;
  const auto tell = [&](Pending& entry) {
    AppendResult told;
    told.may_be_appended = !surely_not_appended;
    told.detail = too_large ? "the entry is over the cluster's limit" : kDisksFull;
    finish(entry, error, std::move(told));
  };
  for (Pending& entry : range_of(result)) {
    surely_not_appended = !entry.skip && entry.attempts == 0;
    if (surely_not_appended || too_large) tell(entry);
  }
  if (too_large || !surely_not_appended) return;
  // Nothing passes a sequence that was never proposed: neither does what this connection was given
  // after it, if that was its only attempt.
  for (Sequence at = std::max(result.sequence + result.count, first_);
       at < first_ + appends_.size(); ++at) {
    Pending& entry = appends_[at - first_];
    if (entry.attempts == 0 || (entry.attempts == 1 && at < next_send_)) tell(entry);
  }
}

void ClientCore::on_session_expired(const CommandResult& result) {
  session_ = {};
  std::deque<Pending> kept;
  // Sequences are consumed without gaps: after one that surely was not, none was.
  bool surely_not_appended = false;
  Sequence at = first_;
  for (Pending& entry : appends_) {
    const bool in_result = at >= result.sequence && at < result.sequence + result.count;
    ++at;
    if (!entry.done) continue;  // Nobody waits, and the new session does not know the sequence.
    surely_not_appended = surely_not_appended || entry.attempts == 0 ||
                          (entry.attempts == 1 && in_result && !entry.skip);
    if (surely_not_appended && stopped_) {
      AppendResult told;
      told.detail = stop_detail_;
      finish(entry, Errc::stopped, std::move(told));
      continue;
    }
    if (surely_not_appended) {
      entry.attempts = 0;
      kept.push_back(std::move(entry));
      continue;
    }
    AppendResult told;
    told.may_be_appended = true;
    told.detail = "the session expired while the append was under way";
    finish(entry, Errc::session_expired, std::move(told));
  }
  appends_ = std::move(kept);
  resend_later_.reset();
  resent_until_ = {};
  first_ = next_send_ = stop_begin_ = Sequence{1};
  told_end_ = {};
}

/// Tells the caller. Unless its sequence is consumed, the entry stays as a skip.
void ClientCore::finish(Pending& entry, std::optional<Errc> error, AppendResult result) {
  if (!entry.done) return;
  waiting_bytes_ -= entry.payload.bytes.size();
  entry.payload = {};
  entry.condition = {};
  entry.skip = true;
  if (error) {
    result.leader = leader_hint_;
    if (*error == Errc::overloaded) result.retry_after = std::chrono::seconds(1);
    if (*error == Errc::no_space) result.retry_after = std::chrono::milliseconds(200);
  }
  complete_later(std::move(entry.done), error, std::move(result));
  if (!error || !options_.stop_at_failure || stop_is_known_) return;
  const auto at =
      std::ranges::find_if(appends_, [&](const Pending& pending) { return &pending == &entry; });
  stop_at(static_cast<std::size_t>(at - appends_.begin()));
}

/// The append at that place has failed: those after it are not to get into the log.
void ClientCore::stop_at(std::size_t index, bool late) {
  const bool known = stopped_ && first_ + index >= stop_begin_;
  if (!options_.stop_at_failure || known) return;
  stop_detail_ = late ? kStoppedLate : kStopped;
  stopped_ = true;
  stop_begin_ = first_ + index;
  takes_back_ = true;  // In a turn of its own: somebody may be going through the appends.
  wake();
}

void ClientCore::go_on() {
  if (std::exchange(takes_back_, false)) take_back();
  stopped_ = false;
}

/// Sequences are consumed without gaps: a skip of all that is on its way leaves a beginning of it
/// in the log, and its answer says which.
void ClientCore::take_back() {
  const Time resolve_by = loop_.now() + kResolveTimeouts * options_.attempt_timeout;
  stop_is_known_ = true;
  for (std::size_t i = 0; i < appends_.size(); ++i) {
    Pending& entry = appends_[i];
    if (!entry.done || first_ + i < stop_begin_) continue;
    if (entry.attempts != 0) {
      if (!entry.skip) entry.resolve_by = resolve_by;
      entry.skip = true;
      continue;
    }
    AppendResult told;
    told.detail = stop_detail_;
    finish(entry, Errc::stopped, std::move(told));
  }
  stop_is_known_ = false;
  resent_end_ = 0;  // Not to wait for what is taken back.
  resend_from(stop_begin_);
}

void ClientCore::drop_consumed() {
  while (!appends_.empty() && appends_.front().consumed) {
    appends_.pop_front();
    ++first_;
  }
  next_send_ = std::max(next_send_, first_);
}

void ClientCore::expire_appends(Time now) {
  for (std::size_t i = 0; i < appends_.size(); ++i) {
    Pending& entry = appends_[i];
    const Time until = entry.skip ? entry.resolve_by : entry.deadline;
    if (!entry.done || now < until) continue;
    if (options_.stop_at_failure && !entry.skip && entry.attempts != 0) {
      stop_at(i, true);
      continue;
    }
    AppendResult told;
    told.may_be_appended = entry.attempts != 0;
    told.detail = last_failure_.empty() ? "no answer in time" : last_failure_;
    stop_at(i, true);
    stop_is_known_ = true;
    finish(entry, ever_connected_ ? Errc::timed_out : Errc::unreachable, std::move(told));
    stop_is_known_ = false;
  }
  if (std::exchange(takes_back_, false)) take_back();
  // Without a session there are no sequences to consume.
  if (session_ == SessionId{}) {
    std::uint64_t before = 0;
    for (std::size_t i = 0; i < appends_.size(); ++i) {
      if (appends_[i].done && first_ + i < stop_begin_) ++before;
    }
    stop_begin_ = first_ + before;
    std::erase_if(appends_, [](const Pending& entry) { return !entry.done; });
  }
}

void ClientCore::resend_from(Sequence sequence) {
  sequence = std::max(sequence, first_);
  if (sequence >= next_send_) return;
  // What was sent again and is on its way still may be what is missed: over a slow line each answer
  // to what came before it would send all of it once more.
  Connection* leader = target();
  if (leader != nullptr && leader->ready() && leader->left_bytes() < resent_end_) {
    if (!resend_later_) resend_at_ = loop_.now() + options_.attempt_timeout;
    resend_last_ = resend_later_ ? std::max(resend_last_, sequence) : sequence;
    resend_later_ = std::min(resend_later_.value_or(sequence), sequence);
    return;
  }
  if (resend_later_) sequence = std::max(first_, std::min(sequence, *resend_later_));
  resend_later_.reset();
  resent_until_ = std::max(resent_until_, next_send_);
  next_send_ = sequence;
  // A moment for the other answers of the same burst, which say the same.
  appends_again_at_ = std::max(appends_again_at_, loop_.now() + kBackoffMin);
}

void ClientCore::close() {
  Connection* leader = addresses_.empty() || session_ == SessionId{} ? nullptr : target();
  // What is on its way comes before it in the log, or never.
  if (leader != nullptr && leader->ready()) {
    const Command command{.kind = CommandKind::close_session,
                          .session = std::exchange(session_, {}),
                          .sequence = first_,
                          .count = 1,
                          .acked = {first_.value - 1},
                          .condition = {},
                          .body = {}};
    auto bytes = std::make_shared<std::vector<std::byte>>();
    put_command_header(command, 0, *bytes);
    const std::span<const std::byte> view(*bytes);
    leader->send(net::Append{{std::move(bytes), view}});
  }
  closed_ = true;
  timer_.reset();
  abort_operations(Errc::shutting_down, "the client was closed");
  end_statuses();
  stopped_ = takes_back_ = false;  // Nothing is pending any more.
  for (auto& [address, connection] : connections_) connection->close_gently();
  if (!completed_.empty()) wake();
}

}  // namespace stele::log
