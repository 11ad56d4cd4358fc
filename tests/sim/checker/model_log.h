// What the chosen slots mean, said a second time and as simply as possible: the checker's own view
// of sessions, LSNs and log time. It shares the format of a batch with the product, nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "log/format/command.h"
#include "log/format/retention.h"
#include "paxos/base/ids.h"
#include "paxos/base/outcome.h"
#include "paxos/base/value.h"

namespace stele::sim {

class ModelLog {
 public:
  struct Numbers {
    Lsn next_lsn{1};
    Lsn first_lsn{1};
    std::uint64_t log_time_us = 0;
    std::uint64_t stamp_us = 0;
    std::uint64_t log_bytes = 0;  // Of all slots.

    bool operator==(const Numbers&) const = default;
  };
  /// What became of one sequence.
  struct Fate {
    Outcome outcome;
    Lsn lsn;
    Slot slot;
  };
  /// What is kept, and what holds it back.
  struct Kept {
    std::uint64_t bytes = 0;
    std::uint64_t age_us = 0;
    Slot set_by;
    std::map<std::string, std::pair<Lsn, std::uint64_t>> holds;  // LSN and deadline.

    /// The lowest LSN that is held at or above `first`.
    [[nodiscard]] Lsn held(Lsn first) const;
  };

  /// The table has room for `most` sessions; when it is full, one that is idle for `idle_us` goes.
  void set_sessions(std::size_t most, std::uint64_t idle_us) {
    sessions_max_ = most;
    idle_us_ = idle_us;
  }
  [[nodiscard]] std::uint64_t let_go() const { return let_go_; }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  /// The next slot's chosen value.
  void apply(const paxos::Value& value);

  /// One past the last slot applied.
  [[nodiscard]] Slot slot_end() const { return {after_.size() + 1}; }
  /// After all slots below `slot_end`.
  [[nodiscard]] const Numbers& after(Slot slot_end) const;
  [[nodiscard]] const Numbers& last() const { return numbers_; }
  [[nodiscard]] const Kept& kept() const { return kept_; }
  /// How often the trim point has moved: by clients, by leaders, and past a hold.
  struct Trims {
    std::uint64_t by_clients = 0;
    std::uint64_t by_leaders = 0;
    std::uint64_t past_holds = 0;
    std::uint64_t held_back = 0;
  };
  [[nodiscard]] const Trims& trims() const { return trims_; }
  /// All entries, the first one at LSN 1.
  [[nodiscard]] const std::vector<std::string>& entries() const { return entries_; }
  /// The slot of each entry.
  [[nodiscard]] const std::vector<Slot>& slots() const { return slots_; }
  /// What became of a sequence; null if it has not been consumed.
  [[nodiscard]] const Fate* fate(SessionId session, Sequence sequence) const;
  [[nodiscard]] bool closed(SessionId session) const {
    const auto found = sessions_.find(session);
    return found == sessions_.end() || found->second.closed;
  }

 private:
  struct Session {
    std::uint64_t ttl_us = 0;
    std::uint64_t active_at_us = 0;
    bool open = true;
    bool closed = false;      // Not only expired: closed, or let go.
    std::vector<Fate> fates;  // Of sequences 1, 2, 3 …
  };
  Session* live(SessionId id);
  bool has_room();
  void open(const log::Command& command, Slot slot);
  void append(const log::Command& command, Session& session, Slot slot);
  Fate keep(const log::Command& command, Slot slot);
  Fate trim(const log::TrimCommand& command);
  void retain(const log::RetainCommand& command);

  std::vector<Numbers> after_;
  Numbers numbers_;
  Kept kept_;
  Trims trims_;
  Slot opened_in_;  // The slot that has opened a session, or was to.
  std::vector<std::string> entries_;
  std::vector<Slot> slots_;
  std::map<SessionId, Session> sessions_;
  std::size_t sessions_max_ = 16384;
  std::uint64_t idle_us_ = 60'000'000;
  std::uint64_t let_go_ = 0;
  std::uint64_t refused_ = 0;
};

}  // namespace stele::sim
