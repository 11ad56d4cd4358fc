// A leader's beats, and the linearizable reads that they confirm (Raft thesis 6.4, for Paxos:
// docs/protocol.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "paxos/base/ids.h"

namespace stele::paxos {

/// A read is served by a beat that starts after it came, once q2 acceptors have answered that beat
/// with this ballot as their promise, and all slots that were proposed before the beat are applied.
/// Reads that come during a beat share the next one. Pure.
class ReadConfirmation {
 public:
  /// A read that is confirmed.
  struct Ready {
    std::uint64_t read;
    Slot barrier;  ///< Serve once all slots below are applied.

    bool operator==(const Ready&) const = default;
  };

  /// A new ballot: nobody has answered in it.
  void reset() { answered_.clear(); }
  /// Takes a read. True if a beat is to start for it now.
  [[nodiscard]] bool add(std::uint64_t read);
  /// Starts a beat: the reads that wait for one are of it. `barrier`: the next slot.
  std::uint64_t start_beat(Time now, Slot barrier);
  /// `node`, which has promised this ballot, has answered `beat`. False if `beat` is 0, or older
  /// than one that it has answered before.
  [[nodiscard]] bool on_answer(NodeId node, std::uint64_t beat);
  /// `node` has refused the ballot meanwhile: its answers do not count.
  void forget(NodeId node) { answered_.erase(node); }
  /// Moves the reads that `q2` acceptors have confirmed to `ready`. True if a beat is to start for
  /// those that are left.
  [[nodiscard]] bool confirm(std::size_t q2, std::vector<Ready>& ready);
  /// The leadership has ended: adds the reads that wait to `refused`.
  void refuse_all(std::vector<std::uint64_t>& refused);

  /// The last beat; 0: none yet. Rises over all ballots.
  [[nodiscard]] std::uint64_t beat() const { return beat_; }
  /// When the last one started. Requires that there is one.
  [[nodiscard]] Time started_at() const { return started_at_.back(); }
  /// When `beat` started; nothing if that was too long ago.
  [[nodiscard]] std::optional<Time> started_at(std::uint64_t beat) const;
  /// How many acceptors have answered in this ballot with it as their promise.
  [[nodiscard]] std::size_t followers() const { return answered_.size(); }

 private:
  /// A read that is not confirmed yet.
  struct Waiting {
    std::uint64_t read;
    std::uint64_t beat;  // 0: the beat that it waits for has not started.
    Slot barrier;
  };
  [[nodiscard]] bool beat_under_way() const;

  std::uint64_t beat_ = 0;
  std::deque<Time> started_at_;               // Of the last beats, the newest at the back.
  std::map<NodeId, std::uint64_t> answered_;  // The last beat of each, never 0.
  std::vector<Waiting> waiting_;
};

}  // namespace stele::paxos
