// Which node a directory belongs to, which nodes may talk to it, and the birth of a cluster.
#pragma once

#include <map>
#include <vector>

#include "log/format/record.h"
#include "net/wire/message.h"
#include "paxos/base/result.h"
#include "paxos/configuration.h"

namespace stele::log {

/// A directory is unborn until its node has heard all members of the cluster, each of them told the
/// same members and quorums, and each unborn, too, or born with a list that holds this directory's
/// incarnation. Then the list is fixed for ever: another incarnation under the same id (a wiped
/// directory) is refused, so no vote can be forgotten. Pure.
class Membership {
 public:
  /// `configuration`: the members and quorums that this start was told. Errors: foreign_directory
  /// (the directory is another node's, or another cluster's, or was born with other members).
  static Result<Membership> make(Identity identity, std::string cluster_name, NodeId self,
                                 paxos::Configuration configuration);

  /// Judges what another node says of itself. Errors: refused, with a sentence.
  Result<void> admit(const net::Hello& hello);
  /// True once, when everybody has been heard and identity() has become that of a born node.
  [[nodiscard]] bool take_birth();

  [[nodiscard]] bool born() const { return !identity_.members.empty(); }
  [[nodiscard]] const Identity& identity() const { return identity_; }
  /// What this node says of itself.
  [[nodiscard]] net::Hello hello() const;
  /// The members that were not heard yet, before birth.
  [[nodiscard]] std::vector<NodeId> missing() const;

 private:
  Membership(Identity identity, paxos::Configuration configuration)
      : identity_(std::move(identity)), configuration_(std::move(configuration)) {}
  Result<void> judge(const net::Hello& hello) const;

  Identity identity_;
  paxos::Configuration configuration_;
  std::map<NodeId, std::uint64_t> heard_;
  std::vector<Member> others_list_;  // Before birth: the list of the first born node heard.
};

/// A cluster's id, made of its members' incarnations.
[[nodiscard]] std::uint64_t make_cluster_id(const std::vector<Member>& members);

}  // namespace stele::log
