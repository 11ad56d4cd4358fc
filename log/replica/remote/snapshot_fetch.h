// Fetches another node's snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <stele/events.h>
#include "log/format/snapshot.h"
#include "log/store/store.h"
#include "paxos/message.h"

namespace stele::log {

/// From one node at a time, a few pieces at once; what has come stays over a restart. A snapshot is
/// known by its digest, so any node that has it may go on. Loop thread only. The store outlives it.
class SnapshotFetch {
 public:
  struct Options {
    std::vector<NodeId> others;
    Epoch epoch;
    Duration timeout;  ///< For an answer.
    std::uint64_t bytes_per_second = 0;
  };
  /// `complete`: a snapshot of that slot is in the store.
  SnapshotFetch(Options options, Store& store, Events& events,
                std::function<void(paxos::Send)> send, std::function<void(Slot)> complete);

  /// Slots from `chosen_end` on are gone everywhere: fetches a snapshot above it, if there is one.
  void want(Time now, Slot chosen_end);
  /// It is not needed any more.
  void stop();
  void on_part(Time now, NodeId from, const paxos::SnapshotPart& part);
  void tick(Time now);
  [[nodiscard]] bool under_way() const { return state_ != State::idle; }
  /// All others were asked, and none has one.
  [[nodiscard]] bool found_none() const { return found_none_; }

  /// The patience for an answer is so many times the first one at most.
  static constexpr int kPatienceMax = 8;
  /// So many pieces are asked for ahead.
  static constexpr std::size_t kAhead = 4;

 private:
  enum class State : std::uint8_t { idle, asking, beginning, fetching, resting };

  void ask_newest(Time now);
  void on_manifest(Time now, const paxos::SnapshotPart& part);
  void ask_for_pieces(Time now);
  void ask_for(std::size_t piece);
  void add_next();
  void on_added(const Result<void>& added);
  void complete();
  void next_node(Time now);
  void rest(Time now);
  [[nodiscard]] NodeId node() const { return options_.others[turn_ % options_.others.size()]; }

  Options options_;
  Store& store_;
  Events& events_;
  std::function<void(paxos::Send)> send_;
  std::function<void(Slot)> complete_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  State state_ = State::idle;
  Slot chosen_end_;
  std::size_t turn_ = 0;     // Which node is asked.
  std::size_t refused_ = 0;  // So many in a row do not have it.
  bool found_none_ = false;
  Duration patience_;  // For an answer: longer after one that was late.
  Time asked_at_{};    // Or when something came last.
  Time now_{};
  Time fetched_until_{};  // When what has been fetched would have come at the allowed pace.
  SnapshotManifest manifest_;
  std::uint64_t digest_ = 0;
  std::size_t added_ = 0;  // Pieces that the store has.
  bool adding_ = false;    // It is given another one.
  std::size_t asked_end_ = 0;
  std::map<std::size_t, std::vector<std::byte>> here_;  // Pieces that have come.
};

}  // namespace stele::log
