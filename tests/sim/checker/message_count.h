// What nodes say to each other, for coverage.
#pragma once

#include <cstddef>
#include <map>
#include <utility>

#include "paxos/message.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/checker/leaderships.h"

namespace stele::sim {

class MessageCount {
 public:
  /// All of them outlive it.
  MessageCount(const Leaderships& leaderships, std::size_t q1, Coverage& coverage)
      : leaderships_(leaderships), q1_(q1), coverage_(coverage) {}

  void on_send(NodeId from, const paxos::Send& send);

 private:
  const Leaderships& leaderships_;
  std::size_t q1_;
  Coverage& coverage_;
  std::map<std::pair<NodeId, Ballot>, int> prepares_;
};

}  // namespace stele::sim
