// What a replica says of itself.

#include "log/replica/replica.h"

#include <algorithm>
#include <utility>

namespace stele::log {
namespace {

/// A node that lags for so long says so, and why.
constexpr Duration kLagTold = std::chrono::seconds(2);
/// So many snapshots are given up before that is told as a fault.
constexpr std::uint64_t kSnapshotsGivenUp = 3;

}  // namespace

void Replica::check_lag() {
  const Time now = loop_.now();
  if (leader()) unled_since_.reset();
  if (!leader() && !unled_since_) unled_since_ = now;
  if (learner_.role().known_end() <= state().numbers().chosen_end) level_at_ = now;
  const bool lags = now - level_at_ >= kLagTold;
  if (lags == lags_ || halted()) return;
  lags_ = lags;
  events_.event(lags ? EventLevel::warning : EventLevel::info, lags ? "lags" : "caught_up",
                {{"chosen_end", state().numbers().chosen_end.value}, {"reason", lag()}});
}

/// How much it lacks of what it has heard of, and why; empty if it does not lag.
std::string Replica::lag() const {
  const bool led = !unled_since_ || loop_.now() - *unled_since_ < kLagTold;
  if (!lags_) return led ? "" : "hears no leader";
  if (proposer_.role().waits_for_votes()) {
    const bool room = proposer_.role().room(loop_.now()) == paxos::Proposer::Room::enough;
    return std::string("waits for votes for what it has proposed") +
           (room ? "" : ": too few nodes have room for it");
  }
  const Slot end = state().numbers().chosen_end;
  const Slot known = std::max(learner_.role().known_end(), end);
  std::string why = "fetches what it lacks";
  if (catching_up_.found_none()) {
    why = "what it lacks is trimmed, and nobody who can be reached has a snapshot";
  } else if (catching_up_.fetches_snapshot() || learner_.installing()) {
    why = "what it lacks is trimmed: it fetches and installs another node's snapshot";
  } else if (learner_.space_full()) {
    why = "its disk is full, so it fetches nothing";
  } else if (store_.backlog_bytes() > LearnerActor::kBacklogBytesMax) {
    why = "its disk does not keep up: " + std::to_string(store_.backlog_bytes() >> 20) +
          " MiB wait for it";
  } else if (!leader()) {
    why = "hears no leader, and fetches from those who have heard one";
  }
  return "lags by " + std::to_string(known - end) + " slots at least: " + why;
}

/// The same of all that is kept, and of snapshots.
std::string Replica::lacks() const {
  std::string why = lag();
  if (!why.empty()) return why;
  const SnapshotReport& snapshots = store_.snapshots();
  if (!copying() && snapshots.in_a_row >= kSnapshotsGivenUp) {
    return "has given up " + std::to_string(snapshots.in_a_row) +
           " snapshots in a row, and what is trimmed waits for one: " + snapshots.why_given_up;
  }
  if (!copying()) return why;
  return "copies slots below " + std::to_string(store_.holding().slots_begin.value) +
         " from others: what is in them is read through these";
}

std::string Replica::fault() const {
  if (acceptor_.role().faulty()) {
    return "the record of the promise does not match its checksum: this node votes no more";
  }
  if (faulty_slots_.empty()) {
    if (space_low_) {
      const std::string lag = this->lag();
      return "free space is below the reserve: appends get no_space" +
             (lag.empty() ? lag : "; " + lag);
    }
    if (proposer_.role().disk_is_slow(loop_.now())) {
      return slow_disk_ + ": another node leads, if one can";
    }
    if (!state().sessions().refuses(state().numbers())) return lacks();
    return "the table of sessions is full (" + std::to_string(state().sessions().size()) +
           "), and all are in use: clients that open one get overloaded";
  }
  return "the record of slot " + std::to_string(faulty_slots_.begin()->value) +
         (faulty_slots_.size() > 1 ? " (and of others)" : "") +
         " does not match its checksum: it is neither served nor promised over";
}

std::string Replica::check() const {
  const auto within = [](const char* part, const std::string& wrong) {
    return wrong.empty() ? wrong : part + (": " + wrong);
  };
  if (auto wrong = within("acceptor", acceptor_.role().check()); !wrong.empty()) return wrong;
  if (auto wrong = within("learner", learner_.role().check()); !wrong.empty()) return wrong;
  if (auto wrong = within("proposer", proposer_.role().check()); !wrong.empty()) return wrong;
  if (state().numbers().chosen_end > learner_.role().chosen_end())
    return "state: it has applied more than the learner has handed on";
  if (proposer_.role().leads() && acceptor_.role().promised() < proposer_.role().ballot())
    return "it leads in a ballot that its own acceptor has not promised";
  return state().check();
}

}  // namespace stele::log
