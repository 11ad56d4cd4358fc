// Whether a leader's own disk is so much slower than others that one of those had better lead.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "paxos/base/ids.h"

namespace stele::paxos {

/// A slot needs q2 votes, and gets them without the leader's if enough others are quicker; but what
/// a slow disk keeps waiting on the leader (its log, its reads, its memory) follows the slot. Slow
/// means kTimes as late as each of q2 others, and kMore later, all the time for `patience`: disks
/// that are alike, or a stall, are no reason. Pure; safety does not depend on anything here.
class DiskWatch {
 public:
  explicit DiskWatch(Duration patience) : patience_(patience) {}

  /// A new leadership: nothing has been seen.
  void begin() { since_.reset(); }
  /// How late the disks answer: the own one, and those of the others that answer.
  void look(Time now, Duration own, std::vector<Duration> others, std::size_t q2);
  /// One of the others had better lead.
  [[nodiscard]] bool slow(Time now) const {
    return since_ && now - *since_ >= patience_ * (1 << done_);
  }
  /// Another one was asked to lead. The next time it takes twice as long, should what makes this
  /// disk slow come with the lead.
  void done(Time now);
  /// There was no better node to ask: slow() takes the whole patience again.
  void put_off(Time now) { since_ = now; }
  /// This node has handed over for its disk a short while ago, and had better not lead.
  [[nodiscard]] bool reluctant(Time now) const { return done_at_ && now - *done_at_ < kReluctant; }
  /// Whether a disk that answers so late is worth going to from one as late as `own`.
  [[nodiscard]] static bool quicker(Duration other, Duration own) {
    return kTimes * other <= own && own - other >= kMore;
  }

  static constexpr int kTimes = 4;
  static constexpr Duration kMore = std::chrono::milliseconds(20);
  /// So long after a hand-over for its disk a node had better not lead.
  static constexpr Duration kReluctant = std::chrono::seconds(60);
  /// The patience doubles so often at most.
  static constexpr int kDoneMax = 6;
  /// If nothing was done about it for so long, the patience is the first one again.
  static constexpr Duration kForgotten = std::chrono::minutes(10);

 private:
  Duration patience_;
  std::optional<Time> since_;
  std::optional<Time> done_at_;
  int done_ = 0;
};

}  // namespace stele::paxos
