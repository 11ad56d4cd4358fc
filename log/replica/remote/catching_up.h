// A node that lacks slots which nobody serves any more, and the nodes that help it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include <stele/events.h>
#include "log/replica/remote/copier.h"
#include "log/replica/remote/remote_slots.h"
#include "log/replica/remote/snapshot_fetch.h"
#include "log/replica/remote/supplier.h"
#include "log/store/store.h"
#include "paxos/message.h"

namespace stele::log {

/// Joins what a node does with the snapshots and the slots of others, and they with its own. Loop
/// thread only. The store outlives it.
class CatchingUp {
 public:
  /// A value.
  struct Options {
    std::vector<NodeId> others;  ///< All members but this one.
    Epoch epoch;
    Duration timeout;  ///< For another node's answer.
    std::uint64_t bytes_per_second = 0;
  };
  /// `install`: a snapshot of that slot is in the store, and newer than the state.
  CatchingUp(const Options& options, Store& store, Events& events,
             const std::function<void(paxos::Send)>& send, std::function<void(Slot)> install)
      : store_(store),
        supplier_(store, options.epoch, send),
        remote_({options.others, options.epoch, options.timeout}, events, send),
        snapshot_({options.others, options.epoch, options.timeout, options.bytes_per_second}, store,
                  events, send, std::move(install)),
        copier_(store, remote_, events, options.bytes_per_second) {}

  /// False, and nothing done, if it is about none of this.
  [[nodiscard]] bool deliver(Time now, NodeId from, const paxos::Body& body);
  /// Now and then. `paused`: the disk does not take more just now.
  void tick(Time now, const StateNumbers& numbers, bool paused, std::optional<NodeId> leader);
  /// Others are given that snapshot.
  void set_offered(const std::optional<SnapshotInfo>& offered) { supplier_.set_offered(offered); }
  /// As of Supplier.
  [[nodiscard]] std::set<Slot> fetched(Time now) const { return supplier_.fetched(now); }
  /// Nobody serves the slot `chosen_end`, and some have given it up.
  void want_snapshot(Time now, Slot chosen_end);
  [[nodiscard]] bool fetches_snapshot() const {
    return snapshot_.under_way() && !snapshot_.found_none();
  }
  /// It was wanted, and nobody has one.
  [[nodiscard]] bool found_none() const { return snapshot_.found_none(); }
  /// A snapshot was installed.
  void on_installed() { copier_.begin_anew(); }
  /// Kept slots below those of a snapshot are not all here.
  [[nodiscard]] bool copying(const StateNumbers& numbers) const {
    const Holding& holding = store_.holding();
    return holding.slots_begin > holding.first_slot && holding.entries_begin > numbers.first_lsn;
  }

  /// Whether the entry is in slots that are not here.
  [[nodiscard]] bool is_elsewhere(Lsn lsn) const { return lsn < store_.holding().entries_begin; }
  /// As of Copier.
  void read(Time now, Slot chosen_end, Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
            std::function<void(EntriesRead)> done) {
    copier_.read(now, chosen_end, lsn_begin, lsn_end, bytes_max, std::move(done));
  }

 private:
  Store& store_;
  Supplier supplier_;
  RemoteSlots remote_;
  SnapshotFetch snapshot_;
  Copier copier_;
  Slot wanted_at_;  // The chosen_end for which a snapshot was wanted.
};

}  // namespace stele::log
