// What a node does so that its log can go on for years: retention, trims, snapshots.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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
  /// `others`: all members but this one.
  Upkeep(Store& store, Events& events, std::vector<NodeId> others,
         const SnapshotPace::Options& snapshots, Propose propose);

  /// Now and then. `leads`: and has applied all that was acknowledged before.
  void tick(Time now, const LogState& state, bool leads, bool space_low);
  /// Another node says that it has these slots durably: it needs none of them from others.
  void on_durable_end(NodeId node, Slot durable_end) { durable_ends_[node] = durable_end; }
  /// As of Trimmer.
  [[nodiscard]] std::uint64_t retained_bytes(const StateNumbers& numbers) const {
    return trimmer_.retained_bytes(numbers).value_or(0);
  }

 private:
  void propose(CommandKind kind, const std::vector<std::byte>& body);
  [[nodiscard]] Slot needed(Slot chosen_end) const;
  void tell_of_snapshots();

  Store& store_;
  Events& events_;
  std::vector<NodeId> others_;
  Propose propose_;
  Trimmer trimmer_;
  SnapshotPace snapshot_pace_;
  std::map<NodeId, Slot> durable_ends_;  // Of other nodes, as they have said.
  std::uint64_t snapshots_told_ = 0;     // Of those taken, and of those given up.
};

}  // namespace stele::log
