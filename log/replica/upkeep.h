// What a node does so that its log can go on for years: retention, trims, snapshots.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <stele/events.h>
#include "log/replica/snapshot_pace.h"
#include "log/replica/trimmer.h"
#include "log/state/log_state.h"
#include "log/store/store.h"
#include "paxos/base/value.h"

namespace stele::log {

/// Loop thread only. The store outlives it.
class Upkeep {
 public:
  /// Proposes a leader's command; should it be dropped, it comes again.
  using Propose = std::function<void(CommandKind kind, Slice command)>;
  /// A value.
  struct Options {
    std::vector<NodeId> others;  ///< All members but this one.
    /// Of so many members, this one too, each quorum has one.
    std::size_t in_each_quorum = 1;
    SnapshotPace::Options snapshots = {};
    /// Trimmed slots that other members lack stay, up to so many bytes.
    std::uint64_t keep_for_members_bytes = 1 << 30;
  };
  Upkeep(Store& store, Events& events, Options options, Propose propose);

  /// How things stand.
  struct Situation {
    bool leads = false;  ///< And has applied all that was acknowledged before.
    bool space_low = false;
    bool whole = false;      ///< This node has all slots that are kept.
    std::set<Slot> fetched;  ///< Other nodes fetch the snapshots at those slots.
  };
  /// Now and then.
  void tick(Time now, const LogState& state, const Situation& situation);
  /// The newest snapshot that others may be given: of each quorum one has all slots below it as
  /// chosen ones. Who installs it would not vote for them again, so that the votes of others would
  /// not be enough to find out what was chosen there.
  [[nodiscard]] const std::optional<SnapshotInfo>& offered() const { return offered_; }
  /// Another node says that it has these slots durably: it needs none of them from others.
  void on_durable_end(NodeId node, Slot durable_end) { durable_ends_[node] = durable_end; }
  /// As of Trimmer.
  [[nodiscard]] std::uint64_t retained_bytes(const StateNumbers& numbers) const {
    return trimmer_.retained_bytes(numbers).value_or(0);
  }

 private:
  void propose(CommandKind kind, const std::vector<std::byte>& body);
  [[nodiscard]] Slot needed(Slot chosen_end) const;
  void look_what_is_offered(const Situation& situation);
  void tell_of_snapshots();

  Store& store_;
  Events& events_;
  Options options_;
  Propose propose_;
  Trimmer trimmer_;
  SnapshotPace snapshot_pace_;
  std::map<NodeId, Slot> durable_ends_;  // Of other nodes, as they have said.
  std::optional<SnapshotInfo> offered_;
  std::set<Slot> stay_;               // Of the snapshots, although there may be newer ones.
  std::uint64_t snapshots_told_ = 0;  // Of those taken, and of those given up.
};

}  // namespace stele::log
