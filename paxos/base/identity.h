// What a node is known by: its directory, the starts of it, and what others have heard of both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "paxos/base/ids.h"

namespace stele {

/// A member of a cluster, and the data directory that it was born with.
struct Member {
  NodeId node;
  std::uint64_t incarnation = 0;

  bool operator==(const Member&) const = default;
};

/// One start of a process over a node's directory: a number drawn at random, and the store's last
/// commit that it found there.
struct Start {
  std::uint64_t id = 0;
  std::uint64_t commits_found = 0;

  bool operator==(const Start&) const = default;
};

/// So many starts are told, and kept, at most.
inline constexpr std::size_t kRecentStartsMax = 256;

/// What a node was last heard to have: log/node/lineage.h.
struct Sighting {
  NodeId node;
  std::uint64_t starts = 0;
  std::vector<Start> recent;  ///< The newest first: the one that was heard.
  std::uint64_t commits = 0;  ///< Its store's last commit that it has told as durable.
  bool forked = false;        ///< Two directories have spoken as this node.

  bool operator==(const Sighting&) const = default;
};

/// The hash of the state with all slots below `chosen_end` applied.
struct StatePoint {
  Slot chosen_end;
  std::uint64_t hash = 0;

  bool operator==(const StatePoint&) const = default;
};

/// So many points are in a report at most.
inline constexpr std::size_t kStatePointsMax = 16;

}  // namespace stele
