// How much may be in flight: what the slower of the needed lines and disks drains in a short time.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "paxos/base/ids.h"

namespace stele::paxos {

/// Bounds the bytes that a leader has proposed and that are not chosen yet. Nothing is configured:
/// the bound follows how long slots take until they are chosen, as TCP Vegas and BBR do. A slot
/// that was alone in flight shows what lines and disks take for little (`base`); when slots take
/// longer, they wait for each other. The bound keeps that waiting to kQueueTime on lines, and to
/// kPerFixedCost times what a commit takes for itself, so that disks with slow syncs write much
/// with each. Pure; safety does not depend on anything here.
class Flow {
 public:
  explicit Flow(std::size_t bytes_max = SIZE_MAX);

  /// A new leadership: nothing is known.
  void begin(Time now);
  /// `slot` is proposed. `alone`: nothing else is in flight.
  void on_proposed(Time now, Slot slot, bool alone);
  /// Something waits that bytes_max() does not let go.
  void on_held_back() { held_back_ = true; }
  /// How a slot was proposed.
  struct Proposed {
    Time at;
    std::size_t bytes;
    std::size_t in_flight_bytes;  ///< Itself and all before it that were not chosen.
  };
  /// A quorum has voted for `slot`.
  void on_chosen(Time now, Slot slot, const Proposed& proposed);
  /// A message of some bytes has been to another node and back, and waited for no disk.
  void on_round_trip(Duration round_trip);

  /// So many bytes may be in flight; a slot of any size may be there alone.
  [[nodiscard]] std::size_t bytes_max() const { return bytes_; }
  /// The next slot should wait until it is alone, to show what it takes then.
  [[nodiscard]] bool measures() const {
    return alones_seen_ == 0 || now_ - alone_at_ >= kMeasureEvery;
  }
  /// A good size of a batch: several are in flight, so that lines and disks always have work.
  [[nodiscard]] std::size_t batch_bytes() const;
  /// How long slots may take until they are chosen, waiting included.
  [[nodiscard]] Duration target() const;

  static constexpr Duration kQueueTime = std::chrono::milliseconds(50);
  static constexpr int kPerFixedCost = 10;
  static constexpr Duration kTargetMax = std::chrono::seconds(1);
  static constexpr std::size_t kBytesAtFirst = 32 << 10;
  static constexpr std::size_t kBytesMin = 8 << 10;
  static constexpr std::size_t kBatchBytesMin = 4 << 10;
  /// Slots that are larger tell nothing of the fixed cost while the rate is unknown.
  static constexpr std::size_t kSmallBytes = 16 << 10;
  /// If none was alone for so long, the next one waits until it is; so does the first one.
  static constexpr Duration kMeasureEvery = std::chrono::seconds(10);

 private:
  void end_round(Time now);
  [[nodiscard]] Duration base() const;

  std::size_t limit_;
  std::size_t bytes_;
  Time now_{};
  Slot next_;   // The slot that is proposed next.
  Slot alone_;  // The one that is alone in flight, or {}.

  // The round under way: until a slot is chosen that was proposed after it began.
  Slot round_end_;
  Time round_began_{};
  Duration round_sum_{};  // How long its slots took, added up.
  std::size_t round_slots_ = 0;
  std::size_t round_bytes_ = 0;
  std::size_t round_in_flight_ = 0;  // What was in flight when they were proposed, added up.
  bool held_back_ = false;
  bool at_first_ = true;         // No round has taken as long as it may.
  double bytes_per_second_ = 0;  // The best of late, of rounds whose slots waited for each other.

  /// A slot that was alone in flight.
  struct Alone {
    Duration took;
    std::size_t bytes;
  };
  std::array<std::optional<Alone>, 3> alones_;  // The last ones.
  std::size_t alones_seen_ = 0;
  Time alone_at_{};
  std::optional<Duration> round_trip_;  // The shortest of late.
};

}  // namespace stele::paxos
