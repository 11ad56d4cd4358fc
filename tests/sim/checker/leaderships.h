// What each candidate and leader has been told and has proposed.
#pragma once

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "paxos/message.h"

namespace stele::sim {

/// Identity of values is identity of bytes; their digest stands for them.
[[nodiscard]] inline bool same(const paxos::Value& a, const paxos::Value& b) {
  return a.kind() == b.kind() && a.size() == b.size() && a.digest() == b.digest();
}

/// One ballot.
struct Leadership {
  /// A piece of a promise that has reached the candidate.
  struct Told {
    Slot begin;
    Slot end;
    Slot chosen_end;
    std::map<Slot, paxos::SlotRecord> accepted;
  };

  bool began = false;
  Slot begin;
  Slot next;
  std::map<NodeId, std::vector<Told>> promised;

  /// What each acceptor that has told of `slot` voted for there; null: nothing.
  [[nodiscard]] std::vector<const paxos::SlotRecord*> told(Slot slot) const;
  /// How many of those speak for `value` (PMMC 2.4), and how many they are: the vote of the highest
  /// ballot is proposed again; a value of one's own only if none was told of.
  [[nodiscard]] std::pair<std::size_t, std::size_t> agree(Slot slot,
                                                          const paxos::Value& value) const;
};

class Leaderships {
 public:
  Leadership& of(Ballot ballot) { return all_[ballot]; }
  [[nodiscard]] const Leadership* find(Ballot ballot) const {
    const auto found = all_.find(ballot);
    return found == all_.end() ? nullptr : &found->second;
  }
  /// A message has reached another node.
  void on_receive(NodeId from, NodeId to, const paxos::Message& message);
  /// The highest ballot for which `q1` nodes have sent promises to this node.
  [[nodiscard]] Ballot last_ballot_won(NodeId node, std::size_t q1) const;

 private:
  std::map<Ballot, Leadership> all_;
};

}  // namespace stele::sim
