// Moves the trim point by the retention, on the leader, and gives up the slots below it, on every
// node.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "log/state/log_state.h"
#include "log/store/store.h"
#include "net/loop/loop.h"

namespace stele::log {

/// A little at a time: a commit gives up a few runs of slots, and the next one follows when it is
/// durable. Loop thread only. The store outlives it.
class Trimmer {
 public:
  /// `propose` takes a leader's command; what it drops comes again.
  Trimmer(Store& store, std::function<void(const RetainCommand&)> propose)
      : store_(store), propose_(std::move(propose)) {
    if (store_.holding().first_slot == Slot{1}) counted_from_ = Slot{1};
  }

  /// What stays although it is trimmed.
  struct Bounds {
    Slot needed;  ///< Other members lack slots from there on.
    /// So many bytes of those stay, up to the trim point.
    std::uint64_t needed_bytes = UINT64_MAX;
    Slot snapshot;   ///< No snapshot is there of the state after slots from there on.
    Slot offered{};  ///< Others are given that one, and may be for ever; {}: none.
  };
  /// Now and then.
  void tick(Time now, const LogState& state, bool leads, const Bounds& bounds);
  /// More slots could be given up if there were a newer snapshot.
  [[nodiscard]] bool waits_for_snapshot() const { return waits_for_snapshot_; }

  /// Of the slots that the store keeps, as slot_bytes() counts: as it was last found out, which may
  /// be some runs too many. Nothing as long as it was never found out.
  [[nodiscard]] std::optional<std::uint64_t> retained_bytes(const StateNumbers& numbers) const {
    if (!counted_from_) return std::nullopt;
    return numbers.log_bytes - bytes_before_;
  }

  /// So many runs go with one commit.
  static constexpr std::uint64_t kRunsPerCommit = 4;
  /// A store that commits less often than so many times in kSettleAfter does not get far by itself.
  static constexpr std::uint64_t kQuietCommits = 64;
  static constexpr Duration kSettleAfter = std::chrono::seconds(1);
  /// Where nothing was to be done, it is looked again after so long.
  static constexpr Duration kLookAgain = std::chrono::milliseconds(250);

 private:
  void retain(Time now, const LogState& state);
  void look_for_slots(Time now, const Bounds& bounds);
  void give_up_gap(const RunRow& trimmed, const std::function<bool(const RunRow&)>& may_go,
                   Slot offered);
  void give_up(const RunRow& begin, Slot offered);
  void count();
  void settle(Time now, const LogState& state);

  Store& store_;
  std::function<void(const RetainCommand&)> propose_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool finding_target_ = false;
  Time target_looked_at_{};
  bool finding_slots_ = false;
  Time slots_looked_at_{};
  bool waits_for_snapshot_ = false;
  bool gave_up_ = false;  // Since it was looked whether all is settled.
  Slot asked_end_;        // The store has been asked to give up the slots below.
  std::optional<Slot> counted_from_;
  std::uint64_t bytes_before_ = 0;  // Of all slots below counted_from_.
  bool counting_ = false;
  std::optional<Time> unsettled_since_;
  std::uint64_t commits_then_ = 0;  // When it was found that something is not settled.
};

}  // namespace stele::log
