#include "paxos/leader/election.h"

#include <utility>

namespace stele::paxos {

Election::Election(NodeId self, Configuration configuration, Timing timing, std::uint64_t seed,
                   Time now)
    : self_(self),
      configuration_(std::move(configuration)),
      timing_(timing),
      random_(seed),
      heard_at_(now),
      ticked_at_(now) {
  draw_timeout();
}

void Election::draw_timeout() {
  const auto most = static_cast<std::uint64_t>(timing_.election_timeout.count()) / 2;
  timeout_ =
      timing_.election_timeout + Duration(static_cast<Duration::rep>(random_() % (most + 1)));
}

void Election::on_heard(Time now) {
  heard_at_ = now;
  if (asking_ || granted_) draw_timeout();
  asking_ = false;
  granted_ = false;
  suspected_.reset();
}

void Election::suspect(Time now) {
  if (suspected_) return;
  // Not all in the same moment.
  const auto most = static_cast<std::uint64_t>(timing_.heartbeat.count()) / 2;
  suspected_ = now + Duration(static_cast<Duration::rep>(random_() % (most + 1)));
}

bool Election::leader_lost(Time now) const {
  return suspected_ || now - heard_at_ >= timing_.election_timeout;
}

void Election::on_pre_vote(Time now, NodeId source, const PreVote& ask, bool leading,
                           std::uint64_t round, Slot chosen_end, std::vector<Send>& out) const {
  out.push_back({source,
                 {configuration_.epoch(), PreVoteAnswer{.attempt = ask.attempt,
                                                        .leader_lost = !leading && leader_lost(now),
                                                        .round = round,
                                                        .chosen_end = chosen_end}}});
}

void Election::on_pre_vote_answer(Time now, NodeId source, const PreVoteAnswer& answer,
                                  Slot chosen_end) {
  if (!asking_ || answer.attempt != attempt_) return;
  answered_.insert(source);
  if (answer.leader_lost) lost_.insert(source);
  if (granted_ || !quorum_agrees()) return;
  granted_ = true;
  // Lag delays a candidacy, it never vetoes one: a node that knows more may come first.
  const bool lagging = answer.chosen_end > chosen_end;
  campaign_at_ = lagging || reluctant_ ? now + patience() : now;
}

bool Election::tick(Time now, Slot chosen_end, std::vector<Send>& out) {
  // A process that was paused has heard nothing because it did not listen.
  if (now - ticked_at_ >= timing_.election_timeout / 2) on_heard(now);
  ticked_at_ = now;

  if (granted_) {
    if (now < campaign_at_) return false;
    on_heard(now);  // The candidacy takes its own time before the next one.
    return true;
  }
  if (now < suspected_.value_or(heard_at_ + timeout_)) return false;
  if (asking_ && now - asked_at_ < patience()) return false;

  asking_ = true;
  asked_at_ = now;
  ++attempt_;
  lost_.clear();
  lost_.insert(self_);
  answered_ = lost_;
  for (NodeId node : configuration_.members()) {
    if (node == self_) continue;
    out.push_back({node, {configuration_.epoch(), PreVote{attempt_, chosen_end}}});
  }
  if (!quorum_agrees()) return false;
  on_heard(now);
  return true;
}

}  // namespace stele::paxos
