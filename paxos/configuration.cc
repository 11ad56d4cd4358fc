#include "paxos/configuration.h"

#include <string>
#include <utility>

namespace stele::paxos {

Result<Configuration> Configuration::make(std::vector<NodeId> members, std::size_t q1,
                                          std::size_t q2, Epoch epoch, Slot slot_begin) {
  const std::size_t count = members.size();
  if (count == 0 || count > kMembersMax) {
    return fail(Errc::invalid_argument, "a cluster has 1 to " + std::to_string(kMembersMax) +
                                            " members, not " + std::to_string(count));
  }
  std::sort(members.begin(), members.end());
  if (std::adjacent_find(members.begin(), members.end()) != members.end()) {
    return fail(Errc::invalid_argument, "a node id stands twice in the cluster");
  }
  if (members.front().value == 0 || members.back().value > kNodeIdMax) {
    return fail(Errc::invalid_argument, "node ids range from 1 to " + std::to_string(kNodeIdMax));
  }
  if (q1 == 0) q1 = count / 2 + 1;
  if (q2 == 0) q2 = count / 2 + 1;
  if (q1 > count || q2 > count || q1 + q2 <= count) {
    return fail(Errc::invalid_argument, "quorums must intersect: q1 + q2 > n, each at most n");
  }

  Configuration made;
  made.epoch_ = epoch;
  made.slot_begin_ = slot_begin;
  made.members_ = std::move(members);
  made.q1_ = q1;
  made.q2_ = q2;
  return made;
}

}  // namespace stele::paxos
