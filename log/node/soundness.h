// Whether this node, and each other one, may be believed (ADR 16).
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <stele/events.h>
#include "log/node/lineage.h"
#include "log/replica/replica.h"
#include "log/replica/state_comparison.h"
#include "log/store/store.h"
#include "net/loop/loop.h"
#include "net/wire/message.h"

namespace stele::log {

/// Joins the two judgements, on directories that have gone back (Lineage) and on states that differ
/// (StateComparison), says what this node may do after them, and keeps on the disk what they must
/// remember. Loop thread only.
class Soundness {
 public:
  /// `nodes`: of the cluster. All references outlive it.
  Soundness(NodeId self, std::size_t nodes, Lineage lineage, Store& store, net::Loop& loop,
            Events& events);

  // --- What others say of themselves ---------------------------------------------------

  /// As of Lineage::admit. An unborn node has nothing to lose: it forgets what it has heard of that
  /// node before, and need not keep anything before it listens.
  Result<bool> admit(const net::Hello& hello, bool born);
  /// As of Lineage.
  [[nodiscard]] Result<void> check(NodeId node, std::uint64_t start_id) const {
    return lineage_.check(node, start_id);
  }
  [[nodiscard]] std::optional<Sighting> seen(NodeId node) const { return lineage_.seen(node); }
  void told(NodeId node, std::uint64_t start_id, std::uint64_t commits) {
    lineage_.told(node, start_id, commits);
  }
  [[nodiscard]] const History& history() const { return lineage_.history(); }

  // --- Durable knowledge ---------------------------------------------------------------

  /// Makes what is known now durable, then calls `durable`.
  void keep(std::function<void()> durable);
  /// The same; then everything that was heard before the call counts as kept.
  void keep_all_heard(std::function<void()> durable);
  /// The same for one start of one node.
  void keep_heard(NodeId node, std::uint64_t start_id, std::function<void()> durable);
  /// Makes what is known durable if it has changed since the last time.
  void keep_changes();

  // --- Reports -------------------------------------------------------------------------

  /// What to tell the other nodes. `trail`: of this node's states; null while it has none.
  [[nodiscard]] net::Report report(const StateTrail* trail) const;
  /// The sightings of another node's report. True if somebody must not be listened to any more:
  /// check() tells.
  bool merge(NodeId from, const std::vector<Sighting>& sightings);
  /// The points of the same report.
  void compare(NodeId from, const std::vector<StatePoint>& points, const StateTrail& trail);
  /// A node that refuses this one has heard that of it. True if this node has learned that its
  /// directory has gone back.
  bool hear_of_self(const net::Report& report);
  /// Whether that node's state differs from that of a majority of which this node is one.
  [[nodiscard]] bool is_outvoted(NodeId node) const {
    return comparison_.outvoted().contains(node);
  }

  // --- The judgement -------------------------------------------------------------------

  /// If this node was unsure of its state when it last ran, it is so again.
  void remember_dispute();
  /// What follows from both judgements.
  struct Judgement {
    Replica::Takes takes;
    bool news;  ///< The others should hear of it now.
  };
  /// What this node may do from now on. Tells changes by events, once, and keeps them.
  Judgement judge(const StateTrail& trail);
  /// Why it neither votes nor serves, as a sentence; empty if it may.
  [[nodiscard]] const std::string& halted() const { return halted_; }
  /// The reason in one word for a status: gone_back or diverged. Requires halted().
  [[nodiscard]] std::string_view role() const;

 private:
  void keep_verdict(StateComparison::Verdict verdict);
  [[nodiscard]] std::string reason(StateComparison::Verdict verdict) const;
  bool tell_dispute();
  void tell_outvoted();
  void tell_halted();

  net::Loop& loop_;
  Events& events_;
  Store& store_;
  Lineage lineage_;
  StateComparison comparison_;
  std::string halted_;
  std::optional<StatePoint> disputed_;  // As it was told last.
  std::set<NodeId> outvoted_;           // As they were told last.
};

}  // namespace stele::log
