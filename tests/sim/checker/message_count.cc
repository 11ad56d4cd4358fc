#include "tests/sim/checker/message_count.h"

namespace stele::sim {

void MessageCount::on_send(NodeId from, const paxos::Send& send) {
  const paxos::Body& body = send.message.body;
  if (const auto* prepare = std::get_if<paxos::Prepare>(&body)) {
    if (send.to == from && prepares_[{from, prepare->ballot}]++ == 0) {
      coverage_.count(Path::elections);
    }
  } else if (const auto* promise = std::get_if<paxos::Promise>(&body)) {
    if (!promise->accepted.empty()) coverage_.count(Path::promises_with_votes);
    if (!promise->last) coverage_.count(Path::long_promises);
  } else if (std::holds_alternative<paxos::Faulty>(body)) {
    coverage_.count(Path::promises_refused_for_rot);
  } else if (const auto* nack = std::get_if<paxos::Nack>(&body)) {
    coverage_.count(nack->no_space ? Path::votes_refused_for_space : Path::nacks);
    if (leaderships_.find(nack->ballot) != nullptr && nack->ballot < nack->promised) {
      coverage_.count(Path::preemptions);
    }
  } else if (std::holds_alternative<paxos::ChosenEnd>(body) &&
             leaderships_.last_ballot_won(send.to, q1_) >
                 leaderships_.last_ballot_won(from, q1_)) {  // Not a leader's hint.
    coverage_.count(Path::votes_below_chosen_end);
  } else if (const auto* chosen = std::get_if<paxos::Chosen>(&body)) {
    if (chosen->slot_begin + 1 < chosen->slot_end) coverage_.count(Path::repeated_chosen);
  } else if (std::holds_alternative<paxos::PreVote>(body)) {
    coverage_.count(Path::pre_votes);
  } else if (const auto* answer = std::get_if<paxos::PreVoteAnswer>(&body)) {
    if (!answer->leader_lost) coverage_.count(Path::pre_votes_denied);
  } else if (std::holds_alternative<paxos::TakeOver>(body)) {
    coverage_.count(Path::hand_overs);
  } else if (const auto* fetched = std::get_if<paxos::Fetched>(&body)) {
    coverage_.count(fetched->records.empty() ? Path::fetches_unserved : Path::catch_ups);
  }
}

}  // namespace stele::sim
