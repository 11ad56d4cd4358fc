// What a node says of itself.
#pragma once

#include <stele/address.h>
#include <stele/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace stele {

/// A member of the cluster and where others reach it.
struct MemberAddress {
  NodeId node;          ///< Its id.
  std::string address;  ///< "host:port".

  bool operator==(const MemberAddress&) const = default;
};

/// What a node says of itself, as of the moment at which it was asked.
struct NodeReport {
  std::uint64_t cluster_id = 0;  ///< 0: the cluster is not born yet.
  std::string cluster_name;      ///< As the node was told.
  NodeId node;                   ///< Its id.
  /// "leader", "follower", "candidate"; "unborn" before the cluster is born; "diverged" or
  /// "gone_back", if it takes no part any more; in its own process "stopped" or "failed", too.
  std::string role;
  Ballot ballot;                       ///< The highest that it has promised.
  NodeId leader;                       ///< {}: none known.
  Slot chosen_end;                     ///< It has applied all slots below.
  Lsn applied_lsn;                     ///< The last entry that it has applied; {} if none.
  Lsn first_lsn;                       ///< The first entry that is not trimmed.
  std::uint64_t disk_bytes = 0;        ///< Bytes that its store takes.
  std::uint64_t retained_bytes = 0;    ///< Of the slots that it keeps: values, and 64 bytes each.
  Slot snapshot_slot;                  ///< Of its newest snapshot; {}: it has none.
  std::uint64_t snapshot_digest = 0;   ///< Equal on all nodes at equal snapshot_slot.
  std::uint64_t snapshot_bytes = 0;    ///< Of its file.
  std::uint64_t snapshot_age_s = 0;    ///< Seconds since it was taken, by the wall clock.
  std::uint64_t uptime_s = 0;          ///< Seconds since it was started.
  std::uint64_t state_hash = 0;        ///< Equal on all nodes at equal chosen_end.
  std::string version;                 ///< The version of the program.
  std::string fault;                   ///< What is wrong with it, as sentences; empty: nothing.
  std::vector<MemberAddress> members;  ///< All members of the cluster, this node too.

  bool operator==(const NodeReport&) const = default;
};

/// What a client has heard of a node.
struct NodeStatus {
  Address address;         ///< As the client knows it.
  bool reachable = false;  ///< Whether it has answered.
  std::string detail;      ///< Why it is not reachable, as a sentence.
  NodeReport answer;       ///< Of a reachable node; of others only `node`, if it is known.
};

}  // namespace stele
