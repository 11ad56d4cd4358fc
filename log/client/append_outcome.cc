#include "log/client/append_outcome.h"

#include "paxos/base/result.h"

namespace stele::log {

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

bool is_decided(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
    case Outcome::forgotten:
    case Outcome::skipped:
    case Outcome::condition_failed:
    case Outcome::trimmed:
    case Outcome::out_of_range:
    case Outcome::held:
    case Outcome::not_found:
    case Outcome::too_many: return true;
    default: return false;
  }
}

namespace {

/// What the log has decided against, in words; null: it has not.
const char* refusal_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::trimmed: return "entries from that LSN on are not all there any more";
    case Outcome::out_of_range: return "the log ends before that LSN";
    case Outcome::held: return "a hold keeps entries below that LSN";
    case Outcome::not_found: return "there is no hold of that name";
    case Outcome::too_many: return "there are as many holds as may be";
    default: return nullptr;
  }
}

}  // namespace

Told told_of(const PendingAppend& append, const CommandResult& result, Sequence sequence, Time now,
             const char* stop_detail) {
  Told told;
  if (result.outcome == Outcome::ok) {
    told.result.lsn = result.lsn + (sequence - result.sequence);
  } else if (result.outcome == Outcome::forgotten) {
    told.error = Errc::session_expired;
    told.result.may_be_appended = true;
    told.result.detail = "the cluster does not remember any more what became of this append";
  } else if (result.outcome == Outcome::condition_failed) {
    told.error = Errc::condition_failed;
    told.result.detail = "the next entry's LSN is not the one asked for";
  } else if (const char* why = refusal_of(result.outcome)) {
    told.error = error_of(result.outcome);
    told.result.detail = why;
  } else if (append.done && append.skip) {
    // Taken back, and in time.
    const bool late = now >= append.deadline;
    told.error = late ? Errc::timed_out : Errc::stopped;
    told.result.detail = late ? "no answer in time" : stop_detail;
  } else if (append.done) {
    told.error = Errc::timed_out;
    told.result.may_be_appended = true;
    told.result.detail = "another client has used this session";
  }
  return told;
}

std::string over_limit(std::size_t bytes, std::size_t limit) {
  return "the entry has " + std::to_string(bytes) + " bytes, the limit is " + std::to_string(limit);
}

}  // namespace stele::log
