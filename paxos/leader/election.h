// When to campaign: hears leaders, asks others before raising a round.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/message.h"

namespace stele::paxos {

/// The times by which nodes notice each other's death. election_timeout ≥ 2 × heartbeat.
struct Timing {
  Duration heartbeat = std::chrono::milliseconds(50);
  /// The minimal time without a leader before a candidacy; the real one is drawn from
  /// [1, 1.5] × this.
  Duration election_timeout = std::chrono::milliseconds(400);
};

/// Decides when this node may campaign. A node that cannot hear the leader disturbs none that can:
/// it first asks whether a q1 quorum has lost the leader too (the pre-vote of Raft's thesis 9.6),
/// and waits until q2 nodes have answered at all: without them it could not lead.
/// Safety does not depend on anything here.
class Election {
 public:
  /// `seed` is all its randomness. After start a node counts as hearing for one minimal time-out.
  Election(NodeId self, Configuration configuration, Timing timing, std::uint64_t seed, Time now);

  /// A leader was heard: a message in a ballot not below the own promise.
  void on_heard(Time now);
  /// The leader cannot be reached any more: most likely its process has ended. Asks the others
  /// within half a heartbeat; a node that still hears it says so, and then nothing happens.
  void suspect(Time now);
  /// Whether suspect() was called and no leader was heard since.
  [[nodiscard]] bool suspects() const { return suspected_.has_value(); }
  void on_pre_vote(Time now, NodeId source, const PreVote& ask, bool leading, std::uint64_t round,
                   Slot chosen_end, std::vector<Send>& out) const;
  void on_pre_vote_answer(Time now, NodeId source, const PreVoteAnswer& answer, Slot chosen_end);

  /// True if the node should campaign now. Asks the others when the time-out has passed.
  [[nodiscard]] bool tick(Time now, Slot chosen_end, std::vector<Send>& out);

  /// A reluctant node waits a little longer, as one that lags does: others may come first.
  void set_reluctant(bool reluctant) { reluctant_ = reluctant; }

  /// Whether no leader was heard for one minimal time-out, or it is suspected.
  [[nodiscard]] bool leader_lost(Time now) const;

 private:
  void draw_timeout();
  /// How long others get to answer, or to come first where this node lags or is reluctant.
  [[nodiscard]] Duration patience() const {
    return suspected_ ? timing_.heartbeat : timing_.election_timeout / 2;
  }
  [[nodiscard]] bool quorum_agrees() const {
    return lost_.size() >= configuration_.q1() && answered_.size() >= configuration_.q2();
  }

  NodeId self_;
  Configuration configuration_;
  Timing timing_;
  std::mt19937_64 random_;
  Time heard_at_;
  Time ticked_at_;
  Duration timeout_{};             // Drawn anew for each silence.
  std::optional<Time> suspected_;  // When to ask the others about a leader that is suspected.

  bool asking_ = false;
  Time asked_at_{};
  std::uint64_t attempt_ = 0;
  NodeSet lost_;          // Nodes that have answered that they have lost the leader too.
  NodeSet answered_;      // Nodes that have answered at all.
  Time campaign_at_{};    // If granted_, when to campaign; later if this node lags.
  bool granted_ = false;  // The answers allow a candidacy.
  bool reluctant_ = false;
};

}  // namespace stele::paxos
