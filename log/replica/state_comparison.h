// Finds a node whose state is not that of the others: one hash at one slot, on all nodes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/wire/message.h"
#include "paxos/base/ids.h"

namespace stele::log {

/// The state's hash after each of the last slots. Bounded.
class StateTrail {
 public:
  void add(StatePoint point) {
    newest_ = point;
    points_[point.chosen_end.value % kPoints] = point;
  }
  [[nodiscard]] const StatePoint& newest() const { return newest_; }
  [[nodiscard]] std::optional<std::uint64_t> at(Slot chosen_end) const {
    const StatePoint& point = points_[chosen_end.value % kPoints];
    if (point.chosen_end != chosen_end || chosen_end == Slot{}) return std::nullopt;
    return point.hash;
  }

  static constexpr std::size_t kPoints = 4096;

 private:
  StatePoint newest_;
  std::array<StatePoint, kPoints> points_{};
};

/// Equal slots give equal states. Where they did not, a node that differs from a majority must
/// stop, and if there is no majority, all that differ: one of them is wrong, and nobody knows
/// which. As the hash is over all that was applied, a node that agrees at a slot agrees below it.
/// Pure.
class StateComparison {
 public:
  /// What is known of the own state.
  enum class Verdict : std::uint8_t {
    agrees,
    unsure,    ///< Differs from some, and no majority has said which is right.
    diverged,  ///< Differs from a majority: for good.
  };

  StateComparison(NodeId self, std::size_t nodes) : self_(self), nodes_(nodes) {}

  /// Before a restart this node was unsure there, and so it is until a majority has spoken.
  void remember(const StatePoint& own, Time now);
  /// `node` reports a point of its state; `own` is this node's.
  void reported(NodeId node, const StatePoint& point, const StateTrail& own, Time now);
  /// Compares points that were reported before this node had come so far.
  void compare_waiting(const StateTrail& own, Time now);
  /// What to report of the own state.
  [[nodiscard]] std::vector<StatePoint> points(const StateTrail& own) const;
  [[nodiscard]] Verdict verdict(Time now) const;
  /// Where this node differs from others, more nodes have its state than any other one: it is the
  /// likelier one, and those who lack that slot may learn from it.
  [[nodiscard]] bool leads() const;
  /// Which nodes differ where, as a sentence; empty if none does.
  [[nodiscard]] std::string sentence() const;
  /// The nodes that differ from a majority of which this node is one.
  [[nodiscard]] const std::set<NodeId>& outvoted() const { return outvoted_; }
  /// The own state where somebody differs.
  [[nodiscard]] std::optional<StatePoint> disputed() const;

  /// So long others get to say what they have at a slot that two differ at.
  static constexpr Duration kPatience = std::chrono::seconds(3);
  /// Nodes that do not stand at the same slot report one that they all come by.
  static constexpr std::uint64_t kCommonEvery = 64;

 private:
  /// A slot at which states differ.
  struct Dispute {
    StatePoint own;
    Time since;
    bool remembered = false;                 // It was remembered over a restart.
    std::map<NodeId, std::uint64_t> hashes;  // Those of other nodes at that slot.
  };

  void compare(NodeId node, const StatePoint& point, std::uint64_t own_hash, Time now);
  [[nodiscard]] std::size_t votes(std::uint64_t hash) const;
  void settle();

  NodeId self_;
  std::size_t nodes_;
  std::map<NodeId, Slot> compared_;       // Where this node had what another one reported.
  std::map<NodeId, StatePoint> waiting_;  // Points of nodes that are ahead of this one.
  std::optional<Dispute> dispute_;        // The lowest slot at which states are known to differ.
  std::optional<StatePoint> settled_;     // Where a majority was right, this node among it.
  std::set<NodeId> outvoted_;             // Nodes that a majority has shown to be wrong.
};

}  // namespace stele::log
