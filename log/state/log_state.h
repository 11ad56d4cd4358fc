// The replicated state: what applying the chosen slots in order makes of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "log/format/batch.h"
#include "log/state/session.h"
#include "net/wire/message.h"
#include "paxos/base/ids.h"
#include "paxos/base/value.h"

namespace stele::log {

/// The numbers of the state; one durable record.
struct StateNumbers {
  Slot chosen_end{1};  ///< All slots below are applied.
  Lsn next_lsn{1};
  Lsn first_lsn{1};               ///< The trim point: entries below are gone.
  std::uint64_t log_time_us = 0;  ///< Advances only by the leaders' elapsed time.
  std::uint64_t stamp_us = 0;     ///< The last time stamp; never goes back.
  std::uint64_t hash = 0;         ///< Over all slots applied and what became of them.

  bool operator==(const StateNumbers&) const = default;
};

/// The entries of one slot that got an LSN: all of its batch, but for the first `entries` of some
/// commands (duplicates, voids, refusals).
struct IndexRow {
  struct Skipped {
    std::uint32_t command;
    std::uint32_t entries;

    bool operator==(const Skipped&) const = default;
  };

  Lsn first_lsn;
  Slot slot;
  std::uint32_t count = 0;
  std::vector<Skipped> skipped;  ///< In ascending order of commands.

  bool operator==(const IndexRow&) const = default;
};

/// A session as it must be stored; without bytes it is gone.
struct SessionImage {
  SessionId id;
  std::vector<std::byte> bytes;
};

/// Applying depends only on the state before and on the slot's bytes.
class LogState {
 public:
  /// What is remembered of clients. Equal on all nodes and for ever; others are for tests.
  struct Bounds {
    std::size_t sessions = 16384;
    /// A full table lets go of who has been idle for so long in log time, the longest first.
    std::uint64_t idle_us = 60'000'000;
    /// Runs of equal outcomes: so many of each session in any case, and of all together so many.
    /// Whoever adds to more forgets its own oldest.
    std::size_t runs_each = 16;
    std::size_t runs = std::size_t{1} << 18;
  };

  struct Applied {
    IndexRow row;                            ///< count 0: no entries.
    std::vector<net::AppendResult> results;  ///< What to tell the clients of appends and skips.
    std::vector<net::SessionOpened> opened;
  };

  LogState() = default;
  LogState(const StateNumbers& numbers, std::unordered_map<SessionId, Session> sessions,
           Bounds bounds);
  LogState(const StateNumbers& numbers, std::unordered_map<SessionId, Session> sessions)
      : LogState(numbers, std::move(sessions), Bounds()) {}

  /// Applies the next slot. Requires slot == numbers().chosen_end. Errors: newer_format, as a
  /// sentence: this program does not know what the slot says. Nothing has changed then, and nothing
  /// may be applied any more: what is unknown is not nothing.
  Result<Applied> apply(Slot slot, const paxos::Value& value);

  [[nodiscard]] const StateNumbers& numbers() const { return numbers_; }
  /// The session's next sequence, or {} if there is no such session.
  [[nodiscard]] Sequence next_sequence(SessionId id) const;
  /// The answer to a command all of whose sequences were consumed long ago; empty if some were not.
  [[nodiscard]] std::vector<net::AppendResult> recall(const Command& command) const;
  [[nodiscard]] std::size_t sessions() const { return sessions_.size(); }
  /// Whether who opens a session now is refused: the table is full, and all are in use.
  [[nodiscard]] bool refuses_sessions() const;
  [[nodiscard]] const Bounds& bounds() const { return bounds_; }

  /// The sessions changed since the last call.
  [[nodiscard]] std::vector<SessionImage> take_changed_sessions();

  static constexpr std::uint32_t kWindowMax = 65536;
  static constexpr std::uint64_t kTtlMaxUs = 3600ULL * 1000000;

 private:
  void apply_batch(Slot slot, const Batch& batch, Applied& out);
  void on_append(const Command& command, std::uint32_t index, Applied& out);
  void on_open(const Command& command, Slot slot, bool first, Applied& out);
  void on_close(const Command& command, Applied& out);
  Session* find(SessionId id);
  void drop(SessionId id);
  void make_room();
  [[nodiscard]] bool is_idle(const Session& session) const;
  void mark_changed(SessionId id, Session& session);
  void drop_expired();

  Bounds bounds_;
  StateNumbers numbers_;
  std::unordered_map<SessionId, Session> sessions_;
  std::vector<SessionId> changed_;         // Each once.
  mutable std::pair<Slot, bool> refuses_;  // As of that slot.
  std::size_t runs_ = 0;                   // That all sessions remember.
  std::uint16_t format_ = kLogFormat;      // Of the batch that is being applied.
};

}  // namespace stele::log
