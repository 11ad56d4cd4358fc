#include "log/node/birth.h"

#include <algorithm>
#include <utility>

#include "net/wire/digest.h"
#include "paxos/base/bytes.h"

namespace stele::log {
namespace {

std::string name_of(NodeId node) { return "node " + std::to_string(node.value); }

const Member* find(const std::vector<Member>& members, NodeId node) {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const Member& member) { return member.node == node; });
  return found == members.end() ? nullptr : &*found;
}

bool lists(const std::vector<Member>& members, NodeId node, std::uint64_t incarnation) {
  const Member* member = find(members, node);
  return member != nullptr && member->incarnation == incarnation;
}

std::string list_of(const std::vector<NodeId>& nodes) {
  std::string list;
  for (NodeId node : nodes) list += (list.empty() ? "" : ",") + std::to_string(node.value);
  return list.empty() ? "(none)" : list;
}

std::string quorums(std::size_t q1, std::size_t q2) {
  return "q1 = " + std::to_string(q1) + ", q2 = " + std::to_string(q2);
}

}  // namespace

std::uint64_t make_cluster_id(const std::vector<Member>& members) {
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  for (const Member& member : members) {
    writer.put(member.node.value);
    writer.put(member.incarnation);
  }
  return std::max<std::uint64_t>(net::digest(bytes, 0), 1);
}

Result<Membership> Membership::make(Identity identity, std::string cluster_name, NodeId self,
                                    paxos::Configuration configuration) {
  if (identity.node != self) {
    return fail(Errc::foreign_directory, "the data directory belongs to " + name_of(identity.node) +
                                             ", this is " + name_of(self));
  }
  if (identity.cluster_name != cluster_name) {
    return fail(Errc::foreign_directory, "the data directory belongs to the cluster '" +
                                             identity.cluster_name + "', not to '" + cluster_name +
                                             "'");
  }
  if (!identity.members.empty()) {
    std::vector<NodeId> born;
    for (const Member& member : identity.members) born.push_back(member.node);
    if (born != configuration.members()) {
      return fail(
          Errc::foreign_directory,
          "the data directory was born in a cluster with other node ids than this start was told");
    }
    // What was chosen with the one would not be found with the other.
    if (identity.q1 != configuration.q1() || identity.q2 != configuration.q2()) {
      return fail(Errc::foreign_directory, "the data directory was born with the quorums " +
                                               quorums(identity.q1, identity.q2) +
                                               ", this start was told " +
                                               quorums(configuration.q1(), configuration.q2()));
    }
  }
  Membership membership(std::move(identity), std::move(configuration));
  membership.heard_[self] = membership.identity_.incarnation;
  return membership;
}

/// Judges all that does not depend, before birth, on which nodes were heard already.
Result<void> Membership::judge(const net::Hello& hello) const {
  const std::vector<NodeId>& nodes = configuration_.members();
  if (hello.protocol_version != net::kProtocolVersion) {
    return fail(Errc::refused, name_of(hello.node) + " speaks protocol version " +
                                   std::to_string(hello.protocol_version) + ", this node version " +
                                   std::to_string(net::kProtocolVersion));
  }
  if (hello.cluster_name != identity_.cluster_name) {
    return fail(Errc::refused, name_of(hello.node) + " belongs to the cluster '" +
                                   hello.cluster_name + "', this node to '" +
                                   identity_.cluster_name + "'");
  }
  if (hello.configured != nodes) {
    return fail(Errc::refused,
                name_of(hello.node) + " was told the members " + list_of(hello.configured) + ", " +
                    name_of(identity_.node) + " the members " + list_of(nodes) +
                    ": correct the members where they are wrong, and start that node again");
  }
  if (hello.q1 != configuration_.q1() || hello.q2 != configuration_.q2()) {
    return fail(Errc::refused,
                name_of(hello.node) + " was told the quorums " + quorums(hello.q1, hello.q2) +
                    ", " + name_of(identity_.node) + " the quorums " +
                    quorums(configuration_.q1(), configuration_.q2()) +
                    ": correct them where they are wrong, and start that node again");
  }
  if (hello.node == identity_.node || !configuration_.contains(hello.node)) {
    return fail(Errc::refused, name_of(hello.node) + " is not another member of this cluster");
  }
  const auto same_id = [](const Member& member, NodeId node) { return member.node == node; };
  if (!hello.members.empty() && !std::equal(hello.members.begin(), hello.members.end(),
                                            nodes.begin(), nodes.end(), same_id)) {
    return fail(
        Errc::refused,
        name_of(hello.node) + " was born in a cluster with other node ids than this node was told");
  }
  if (!hello.members.empty() && !lists(hello.members, identity_.node, identity_.incarnation)) {
    return fail(Errc::refused, name_of(hello.node) + " was born in a cluster in which " +
                                   name_of(identity_.node) +
                                   " has another data directory than this one");
  }
  if (born()) {
    if (!lists(identity_.members, hello.node, hello.incarnation)) {
      return fail(
          Errc::refused,
          name_of(hello.node) +
              " has another data directory than the one this cluster was born with: a wiped "
              "or replaced directory may have forgotten its votes");
    }
    if (!hello.members.empty() && hello.cluster_id != identity_.cluster_id) {
      return fail(Errc::refused, name_of(hello.node) + " belongs to another cluster");
    }
  }
  return {};
}

Result<void> Membership::admit(const net::Hello& hello) {
  if (auto judged = judge(hello); !judged) {
    // What it said before counts no more: it may have been started again with another list.
    if (!born() && hello.node != identity_.node) heard_.erase(hello.node);
    return judged;
  }
  if (born()) return {};
  // Before birth: a list that others were born with is the one to be born with.
  if (others_list_.empty() && !hello.members.empty()) {
    others_list_ = hello.members;
    std::erase_if(
        heard_, [&](const auto& heard) { return !lists(others_list_, heard.first, heard.second); });
  }
  const bool fits =
      others_list_.empty() || (lists(others_list_, hello.node, hello.incarnation) &&
                               (hello.members.empty() || hello.members == others_list_));
  if (!fits) {
    return fail(
        Errc::refused,
        name_of(hello.node) + " has another data directory than the one its cluster was born with");
  }
  heard_[hello.node] = hello.incarnation;
  return {};
}

bool Membership::take_birth() {
  if (born() || heard_.size() != configuration_.members().size()) return false;
  for (const auto& [node, incarnation] : heard_) identity_.members.push_back({node, incarnation});
  identity_.cluster_id = make_cluster_id(identity_.members);
  identity_.q1 = static_cast<std::uint8_t>(configuration_.q1());
  identity_.q2 = static_cast<std::uint8_t>(configuration_.q2());
  return true;
}

net::Hello Membership::hello() const {
  net::Hello hello;
  hello.kind = net::Hello::Kind::peer;
  hello.cluster_name = identity_.cluster_name;
  hello.cluster_id = identity_.cluster_id;
  hello.node = identity_.node;
  hello.incarnation = identity_.incarnation;
  hello.members = identity_.members;
  hello.configured = configuration_.members();
  hello.q1 = static_cast<std::uint8_t>(configuration_.q1());
  hello.q2 = static_cast<std::uint8_t>(configuration_.q2());
  return hello;
}

std::vector<NodeId> Membership::missing() const {
  std::vector<NodeId> missing;
  for (NodeId node : configuration_.members()) {
    if (!heard_.contains(node)) missing.push_back(node);
  }
  return missing;
}

}  // namespace stele::log
