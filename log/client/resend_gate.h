// Keeps a client from sending again what may still be on its way.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "paxos/base/ids.h"

namespace stele::log {

/// What was sent again and has not left may be what is missed: over a slow line each answer to what
/// came before it would send all of it once more. On a shared connection how much has left is known
/// only roughly. Loop thread only.
class ResendGate {
 public:
  /// `timeout`: after so long without anything that leaves, it comes no more.
  explicit ResendGate(Duration timeout) : timeout_(timeout) {}

  /// From `sequence` on something is missed; `left_bytes` have left on the connection. Where to
  /// send again from, or nothing: it is remembered.
  [[nodiscard]] std::optional<Sequence> miss(Sequence sequence, std::uint64_t left_bytes, Time now);
  /// Those below `end` were sent before: sent once more, they are sent again.
  void on_resend(Sequence end) { sent_until_ = std::max(sent_until_, end); }
  /// A command that begins at `sequence` has been queued; the connection has got all of it once
  /// `end_bytes()` have left.
  template <class Bytes>
  void on_sent(Sequence sequence, Bytes end_bytes) {
    if (sequence < sent_until_) end_bytes_ = end_bytes();
  }
  /// Something is missed that was not sent again.
  [[nodiscard]] bool misses() const { return later_.has_value(); }
  /// What was remembered, if it is to be sent again now. Those below `first` have come.
  [[nodiscard]] std::optional<Sequence> due(Sequence first, std::uint64_t left_bytes, Time now);
  /// The connection counts from the beginning, or what is on its way is of no use any more.
  void forget_bytes() { end_bytes_ = 0; }
  /// Another node: what was asked for again is none of its.
  void forget_misses() {
    later_.reset();
    end_bytes_ = 0;
  }
  /// Another session: nothing of it was sent.
  void forget() {
    forget_misses();
    sent_until_ = {};
  }

 private:
  Duration timeout_;
  Sequence sent_until_;            // Those before it were sent before.
  std::uint64_t end_bytes_ = 0;    // What was sent again has left once so much has.
  std::optional<Sequence> later_;  // Asked for, and not sent again yet.
  Sequence last_;                  // The highest of several that were.
  Time at_{};                      // Then it is sent again in any case.
  std::uint64_t left_bytes_ = 0;   // What had left at the last look.
};

}  // namespace stele::log
