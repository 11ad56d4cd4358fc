// A leader that lets another one lead: asked to, or because its own disk is slow.
#pragma once

#include <optional>

#include "paxos/base/ids.h"
#include "paxos/leader/acceptors.h"
#include "paxos/leader/disk_watch.h"

namespace stele::paxos {

/// Pure; safety does not depend on anything here: a hand-over is an ordinary change of leaders.
class HandOver {
 public:
  /// How late the own disk has answered of late, and the slowest of q2 others that are quicker.
  struct SlowDisk {
    Duration own;
    Duration others;
  };

  /// `timeout`: of the election; `slow_after`: so long the own disk is slower than others.
  HandOver(Duration timeout, Duration slow_after) : timeout_(timeout), disks_(slow_after) {}

  /// A new leadership.
  void begin_leading() { disks_.begin(); }
  void cancel() { since_.reset(); }
  /// Asked to. Under way from now on.
  void begin(Time now);
  /// Looks at the disks; begins if one of the others had better lead, and `may`.
  void watch(Time now, const Acceptors& acceptors, std::size_t q2, bool may);

  [[nodiscard]] bool under_way() const { return since_.has_value(); }
  /// It has taken so long that it waits for nothing any more.
  [[nodiscard]] bool late(Time now) const { return since_ && now - *since_ >= timeout_; }
  /// Why, if it is for the disk.
  [[nodiscard]] const std::optional<SlowDisk>& slow_disk() const { return slow_disk_; }
  /// The one to ask, if there is one.
  [[nodiscard]] std::optional<NodeId> target(Time now, const Acceptors& acceptors) const {
    return acceptors.best_to_lead(now, slow_disk_.has_value());
  }
  /// It was asked.
  void on_asked(Time now) {
    if (slow_disk_) disks_.done(now);
  }
  /// There is none to ask: goes on leading.
  void give_up(Time now);
  /// It was done about its disk so short a time ago that it had better not lead.
  [[nodiscard]] bool is_reluctant(Time now) const { return disks_.reluctant(now); }

 private:
  Duration timeout_;
  DiskWatch disks_;
  std::optional<Time> since_;  // Under way.
  std::optional<SlowDisk> slow_disk_;
};

}  // namespace stele::paxos
