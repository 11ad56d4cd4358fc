#include "log/client/append_outcome.h"

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
