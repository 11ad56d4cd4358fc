// When the next commit may begin: what the disk does with several at once, measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "log/store/disk/sync_cost.h"
#include "paxos/base/ids.h"

namespace stele::log {

/// Where a sync by itself takes long, the next commit begins before the last one is durable, if the
/// disk does them beside each other (ADR 19). One that does them one after the other, or is quick,
/// gets one at a time: then all that waits shares the next one. Which it is shows in commits that
/// overlap: does one take as long as if it were alone, or also as long as those before it? Times
/// never go back. One thread at a time.
class CommitPace {
 public:
  /// The next commit begins to write; so many bytes.
  void on_begun(Time now, std::size_t bytes);
  /// The `index`th of those under way, 0 for the first one, has been synced.
  void on_synced(Time now, std::size_t index);
  /// The first `count` under way have been told of; all of them are synced.
  void drop(std::size_t count);

  /// Whether a commit of so many bytes may begin at `now`, with those that are under way.
  [[nodiscard]] bool may_begin(Time now, std::size_t bytes) const;
  /// When the next commit may begin at the earliest, if others are under way.
  [[nodiscard]] Time next_begin() const { return begun_at_ + cost() / kSeveral; }
  /// The next one goes like those that overlap, also if it happens to be alone.
  [[nodiscard]] bool several(Time now, std::size_t bytes) const {
    return cost() >= kSlowSync && (!one_after_the_other_ || looks(now, bytes));
  }
  /// What a commit takes for itself; 0 as long as it is not known.
  [[nodiscard]] Duration cost() const { return cost_.get(); }

  /// At most so many at a time.
  static constexpr std::size_t kSeveral = 8;
  /// A sync by itself that takes so long is slow.
  static constexpr Duration kSlowSync = std::chrono::milliseconds(2);
  /// Every so often one is alone, to show what it takes then, or some overlap, to show whether the
  /// disk does them beside each other.
  static constexpr Duration kLookAgain = std::chrono::seconds(1);
  /// Not before so many times what a commit takes for itself, if that is longer than kLookAgain.
  static constexpr int kLookAgainCosts = 40;
  /// A commit is not kept alone to look if its bytes take longer than so many times what it takes
  /// for itself: all that comes next would wait for them.
  static constexpr int kLookBytesCosts = 2;

 private:
  /// A commit that was begun.
  struct Commit {
    Time begun;
    std::size_t bytes;
    std::size_t ahead_bytes = 0;  // Of those that were under way when it began.
    bool alone = true;
    bool synced = false;
    Time synced_at{};
  };
  void add(const Commit& commit);
  [[nodiscard]] bool looks(Time now, std::size_t bytes) const;

  SyncCost cost_;
  std::deque<Commit> commits_;  // Under way, and those that wait for one before.
  Time begun_at_{};             // When the last one began.
  Time ended_at_{};             // When the last one of those that were dropped was synced.
  Time looked_at_{};            // When one was alone, or some overlapped, if that is rare.
  bool one_after_the_other_ = false;
  double overlap_s_ = 0;  // How long the last commits overlapped; older ones count less.
  double waited_s_ = 0;   // How much of overlap_s_ came one after the other.
  int tried_ = 0;         // How many have overlapped so far to show whether they do now.
};

}  // namespace stele::log
