// Who this directory belongs to, who may talk to it, and the birth of a cluster.
#pragma once

#include <map>
#include <vector>

#include "log/record.h"
#include "net/message.h"
#include "paxos/result.h"

namespace stele::log {

/// A directory is unborn until its node has heard all members of the cluster, each unborn, too, or
/// born with a list that holds this directory's incarnation. Then the list is fixed for ever:
/// another incarnation under the same id (a wiped directory) is refused, so no vote can be
/// forgotten. Pure.
class Membership {
 public:
  /// `nodes`: the configured members. Errors: foreign_directory (the directory is another node's,
  /// or another cluster's, or was born with other members).
  static Result<Membership> make(Identity identity, std::string cluster_name, NodeId self,
                                 std::vector<NodeId> nodes);

  /// Judges what another node says of itself. Errors: refused, with a sentence.
  Result<void> admit(const net::Hello& hello);
  /// True once, when everybody has been heard and identity() has become that of a born node.
  [[nodiscard]] bool take_birth();

  [[nodiscard]] bool born() const { return !identity_.members.empty(); }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  /// What this node says of itself.
  [[nodiscard]] net::Hello hello() const;
  /// Those not heard yet, before birth.
  [[nodiscard]] std::vector<NodeId> missing() const;

 private:
  Membership() = default;
  Identity identity_;
  std::vector<NodeId> nodes_;  // Ascending.
  std::map<NodeId, std::uint64_t> heard_;
  std::vector<net::Member> others_list_;  // Before birth: the list of the first born node heard.
};

/// A cluster's id, made of its members' incarnations.
[[nodiscard]] std::uint64_t make_cluster_id(const std::vector<net::Member>& members);

}  // namespace stele::log
