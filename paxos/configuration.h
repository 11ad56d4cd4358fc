// The members of an epoch, and its quorums. The one place for quorum sizes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::paxos {

/// The members of one epoch and its quorums (Flexible Paxos: q1 + q2 > n). A value.
class Configuration {
 public:
  /// `q1` and `q2` of 0 mean a majority. Errors: invalid_argument (no member or more than
  /// kMembersMax, an id twice or out of range, quorums that need not intersect).
  static Result<Configuration> make(std::vector<NodeId> members, std::size_t q1 = 0,
                                    std::size_t q2 = 0, Epoch epoch = {1}, Slot slot_begin = {1});

  [[nodiscard]] Epoch epoch() const { return epoch_; }
  /// The first slot of this epoch.
  [[nodiscard]] Slot slot_begin() const { return slot_begin_; }
  /// In ascending order.
  [[nodiscard]] const std::vector<NodeId>& members() const { return members_; }
  [[nodiscard]] bool contains(NodeId node) const {
    return std::binary_search(members_.begin(), members_.end(), node);
  }
  /// How many promises end phase 1.
  [[nodiscard]] std::size_t q1() const { return q1_; }
  /// How many votes choose a value.
  [[nodiscard]] std::size_t q2() const { return q2_; }

 private:
  Configuration() = default;

  Epoch epoch_;
  Slot slot_begin_;
  std::vector<NodeId> members_;
  std::size_t q1_ = 0;
  std::size_t q2_ = 0;
};

}  // namespace stele::paxos
