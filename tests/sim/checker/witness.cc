#include "tests/sim/checker/witness.h"

#include <string>

#include "tests/sim/checker/describe.h"
#include "tests/sim/checker/violation.h"

namespace stele::sim {

/// What clients are told, for coverage.
void Witness::on_message(Host from, Host to, const net::Message& message) {
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    for (const CommandResult& result : results->results) {
      switch (result.outcome) {
        case Outcome::ok:
          if (!told_.insert({result.session, result.sequence}).second) {
            coverage_.count(Path::duplicates_answered);
          }
          break;
        case Outcome::resend: coverage_.count(Path::voids_and_resends); break;
        case Outcome::skipped: coverage_.count(Path::skips); break;
        case Outcome::session_expired: coverage_.count(Path::sessions_expired); break;
        case Outcome::no_space: coverage_.count(Path::refused_no_space); break;
        case Outcome::overloaded: coverage_.count(Path::refused_overloaded); break;
        case Outcome::shutting_down: coverage_.count(Path::refused_shutting_down); break;
        case Outcome::unknown: coverage_.count(Path::told_unknown); break;
        case Outcome::not_leader: coverage_.count(Path::told_not_leader); break;
        default: break;
      }
    }
    check_told(*results);
  } else if (const auto* paxos = std::get_if<paxos::Message>(&message)) {
    checker_.on_receive({from}, {to}, *paxos);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    if (opened->outcome == Outcome::ok) coverage_.count(Path::sessions_opened);
  } else if (const auto* read = std::get_if<net::Read>(&message)) {
    // A read that is asked again may be answered as of the first time. A local read promises
    // nothing.
    const std::tuple key{to, from, read->request};
    if (!read->linearizable) reads_.erase(key);
    if (read->linearizable) reads_.try_emplace(key, checker_.ballot_passed());
  } else if (const auto* result = std::get_if<net::ReadAnswer>(&message)) {
    check_confirmed(from, to, *result);
  } else if (std::holds_alternative<net::TailEnd>(message)) {
    coverage_.count(Path::tails_ended);
  }
}

/// A node that serves a linearizable read has led in a ballot that was not passed yet when the
/// question reached it.
void Witness::check_confirmed(Host node, Host client, const net::ReadAnswer& result) {
  const auto read = reads_.find({node, client, result.request});
  if (read == reads_.end() || result.outcome != Outcome::ok) return;
  if (checker_.last_ballot_won({node}) >= read->second) return;
  throw Violation("10", name_of(node) + " served a linearizable read, but a quorum had promised " +
                            describe(read->second) + " before it was asked");
}

/// What is told of a sequence is what the chosen slots made of it.
void Witness::check_told(const net::AppendResults& results) const {
  for (const CommandResult& result : results.results) {
    switch (result.outcome) {
      case Outcome::ok:
      case Outcome::skipped:
      case Outcome::condition_failed:
      case Outcome::trimmed:
      case Outcome::out_of_range:
      case Outcome::held:
      case Outcome::not_found:
      case Outcome::too_many: break;
      default: continue;
    }
    for (std::uint32_t i = 0; i < result.count; ++i) {
      const Sequence sequence = result.sequence + i;
      const ModelLog::Fate* fate = checker_.log().fate(result.session, sequence);
      // The answer to a close has the first sequence that its client did not know the fate of.
      const bool closes = result.outcome == Outcome::ok && result.lsn == Lsn{};
      if (closes && result.count == 1) continue;
      const bool ok = result.outcome == Outcome::ok;
      const bool right = fate != nullptr && fate->outcome == result.outcome &&
                         (!ok || fate->lsn == result.lsn + i);
      if (right) continue;
      throw Violation("9", "of sequence " + std::to_string(sequence.value) + " in session " +
                               std::to_string(result.session.value) +
                               " something else is told than what became of it");
    }
  }
}

}  // namespace stele::sim
