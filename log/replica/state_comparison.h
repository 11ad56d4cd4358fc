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
/// which. As the hash is over all that was applied, who agrees at a slot agrees below it. Pure.
class StateComparison {
 public:
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
  /// Points that are compared with what is known meanwhile.
  void compare_waiting(const StateTrail& own, Time now);
  /// What to report of the own state.
  [[nodiscard]] std::vector<StatePoint> points(const StateTrail& own) const;
  [[nodiscard]] Verdict verdict(Time now) const;
  /// Where this node differs from others, more nodes have its state than any other one: it is the
  /// likelier one, and those who lack that slot may learn from it.
  [[nodiscard]] bool leads() const;
  /// Who differs where, as a sentence; empty if nobody does.
  [[nodiscard]] std::string sentence() const;
  /// Those who differ from a majority, which this node is one of.
  [[nodiscard]] const std::set<NodeId>& outvoted() const { return outvoted_; }
  /// The own state where somebody differs.
  [[nodiscard]] std::optional<StatePoint> disputed() const;

  /// So long others get to say what they have at a slot that two differ at.
  static constexpr Duration kPatience = std::chrono::seconds(3);
  /// Nodes that do not stand at the same slot report one that they all come by.
  static constexpr std::uint64_t kCommonEvery = 64;

 private:
  struct Dispute {
    StatePoint own;
    Time since;
    bool remembered = false;                 // Somebody differs, and it is not known who.
    std::map<NodeId, std::uint64_t> hashes;  // Of the others at that slot.
  };

  void compare(NodeId node, const StatePoint& point, std::uint64_t own_hash, Time now);
  [[nodiscard]] std::size_t votes(std::uint64_t hash) const;
  void settle();

  NodeId self_;
  std::size_t nodes_;
  std::map<NodeId, Slot> compared_;       // Where this node had what another one reported.
  std::map<NodeId, StatePoint> waiting_;  // Of those who are ahead of this node.
  std::optional<Dispute> dispute_;        // The lowest slot that is known.
  std::optional<StatePoint> settled_;     // A majority was right there, this node among them:
  std::set<NodeId> outvoted_;             // these were not. What they report says nothing new.
};

}  // namespace stele::log
