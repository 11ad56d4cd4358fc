// Copies what is kept below a snapshot that was installed, and reads there meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <stele/events.h>
#include "log/format/entries.h"
#include "log/replica/remote/remote_slots.h"
#include "log/store/store.h"

namespace stele::log {

/// Run by run, the newest first: each is compared with its digest, which the snapshot holds, and so
/// is each value. What the store has of it already stays, if it is that. Nothing is applied. Loop
/// thread only. Store and slots outlive it.
class Copier {
 public:
  Copier(Store& store, RemoteSlots& remote, Events& events, std::uint64_t bytes_per_second)
      : store_(store), remote_(remote), events_(events), bytes_per_second_(bytes_per_second) {}

  /// Now and then. `paused`: the disk does not take more just now.
  void tick(Time now, const StateNumbers& numbers, bool paused);
  /// Another snapshot was installed: what is being copied is not what is lacking now.
  void begin_anew();
  /// Entries from `lsn_begin` on that are not here: a few of them, from another node. With
  /// `elsewhere` set if no node has them just now.
  void read(Time now, Slot chosen_end, Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
            std::function<void(EntriesRead)> done);

  /// Where nothing could be copied, it is tried again after so long.
  static constexpr Duration kRest = std::chrono::seconds(1);
  /// So many pieces are asked for at once: one by one they would be as slow as the way to the other
  /// node, its disk and back.
  static constexpr std::size_t kAtOnce = 2;
  /// So many questions to others are left for copying, however many read.
  static constexpr std::size_t kKeptForCopies = kAtOnce;
  /// Runs that were found out for reads, and may be read from again.
  static constexpr std::size_t kRunsKept = 4;

 private:
  /// What must be known of a run before another node is asked for it.
  struct Bounds {
    std::uint64_t run = 0;
    Slot slot_end;
    std::uint64_t digest = 0;  ///< Of the slots below slot_end.
    Lsn lsn_begin;             ///< The next LSN when it began.
    Slot known_begin;          ///< From where on all slots were known to be what was chosen.
  };
  using OnBounds = std::function<void(std::optional<Bounds>)>;

  void find_bounds(std::uint64_t run, OnBounds done);
  void copy(const Bounds& bounds);
  void compare(const Bounds& bounds, const RemoteSlots::Known& known);
  /// The values of a run that are missing, in parts that are copied at once.
  struct Values {
    Bounds bounds;
    RemoteSlots::Known known;
    std::vector<std::vector<Slot>> missing;  ///< Each ascending.
  };
  void copy_values(const std::shared_ptr<Values>& values, std::size_t part);
  void take_values(const std::shared_ptr<Values>& values, std::size_t part,
                   std::vector<paxos::SlotRecord> records);
  void finish(const Bounds& bounds, const KnownRun& known);
  void rest();
  void stop();
  void read_from(const RemoteSlots::Known& known, Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                 const std::function<void(EntriesRead)>& done);

  Store& store_;
  RemoteSlots& remote_;
  Events& events_;
  std::uint64_t bytes_per_second_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<bool> copies_ = std::make_shared<bool>(true);  // Another one: stop().
  Time now_{};
  bool copying_ = false;
  bool busy_ = false;  // A run is being copied.
  bool paused_ = false;
  Slot asked_begin_;  // The store has been told that slots from there on are here; {}: not.
  Time rests_until_{};
  Time copied_until_{};  // When what has been copied would have come at the allowed pace.
  std::vector<std::function<void()>> go_on_;           // Once they may.
  std::map<std::uint64_t, RemoteSlots::Known> known_;  // For reads.
};

}  // namespace stele::log
