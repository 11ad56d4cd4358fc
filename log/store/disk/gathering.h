// Whether a commit waits for more to ride with it.
#pragma once

#include <cstddef>
#include <optional>

#include "paxos/base/ids.h"

namespace stele::log {

/// Where a sync by itself is slow and commits do not overlap, those that one commit answers get a
/// part of its time to come again, so that all share the next one; otherwise two groups of them
/// would take turns. Where nobody comes again, commits soon do without. Pure.
class Gathering {
 public:
  /// A commit of so many bytes was told of, whose sync took so long.
  void on_committed(Time now, Duration sync_cost, std::size_t bytes);
  /// Until when a commit of so many bytes waits now; nothing if it does not.
  [[nodiscard]] std::optional<Time> begin(Time now, std::size_t bytes);
  /// Almost all that may come has come, with so many bytes now. After begin().
  [[nodiscard]] bool complete(std::size_t bytes) const;
  /// The commit has waited for so long and has so many bytes now. After begin().
  void end(Duration waited, Duration sync_cost, std::size_t bytes);

  /// A wait that takes longer than it saves: so many commits do not wait.
  static constexpr int kWithout = 16;
  static constexpr Duration kMax = std::chrono::milliseconds(25);

 private:
  Time until_{};
  std::size_t committed_bytes_ = 0;  // By the last commit.
  std::size_t begun_bytes_ = 0;      // Of the commit that waits.
  int without_ = 0;                  // So many more commits do not wait.
};

}  // namespace stele::log
