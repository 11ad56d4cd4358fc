// What a simulated node needs of its store beside log::Store: commits when the world says so, and
// crashes.
#pragma once

#include <functional>
#include <optional>

#include "log/store/store.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/world/random.h"

namespace stele::sim {

class SimStore : public log::Store {
 public:
  /// What waits is written: from here on nothing joins this transaction. Nothing if none waits, or
  /// if it must wait for those under way; else what it takes on the disk.
  virtual std::optional<std::size_t> begin_commit() = 0;
  /// The first one under way is durable, and perhaps some after it: so many are told of.
  virtual std::size_t finish_commit() = 0;
  /// It failed: what is on the disk is unknown, and the store does nothing any more.
  virtual void fail_commit(const std::string& reason) = 0;
  /// Commits all that waits.
  virtual void sync() = 0;
  /// Its process ends in good order: what waits when the store is destroyed is committed then, and
  /// with it what the node writes last.
  void sync_at_end() { syncs_at_end_ = true; }
  /// The process ends, or the power fails, perhaps in the midst of a commit. The store must be
  /// destroyed next.
  virtual void crash(bool power, Random& random, Coverage& coverage) = 0;

 protected:
  bool syncs_at_end_ = false;
};

}  // namespace stele::sim
