// The sessions of clients, which make appending exactly once: duplicates are recognised, gaps are
// void, refusals consume (docs/protocol.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log/state/section.h"
#include "log/state/session.h"

namespace stele::log {

/// Every command of a session passes here first, whatever section it is for.
class Sessions final : public Section {
 public:
  /// What is remembered of clients. Equal on all nodes and for ever; others are for tests.
  struct Bounds {
    std::size_t sessions = 16384;
    /// A full table lets go of a session that is idle for so long in log time, the longest first.
    std::uint64_t idle_us = 60'000'000;
    /// So many runs of equal outcomes of each session are remembered in any case.
    std::size_t runs_each = 16;
    /// So many runs of all sessions together are remembered; above that a session that adds one
    /// forgets its own oldest.
    std::size_t runs = std::size_t{1} << 18;
  };

  Sessions() = default;
  explicit Sessions(const Bounds& bounds) : bounds_(bounds) {}

  /// What is to be done of a command.
  struct Admission {
    Outcome outcome = Outcome::ok;  ///< Else session_expired or resend: nothing is consumed.
    Sequence next;                  ///< The first one that is not consumed; {}: no such session.
    std::uint32_t fresh = 0;        ///< So many sequences from there on; 0: only duplicates.

   private:
    friend class Sessions;
    Session* session = nullptr;
  };
  /// Judges a command of a session and renews it. Adds to `results` what became of the sequences
  /// that were consumed before, but for a slot that asks for very many.
  [[nodiscard]] Admission admit(const Command& command, const Applying& at,
                                std::vector<CommandResult>& results);
  /// Consumes the fresh sequences, with that effect (its LSN is that of the first one), and forgets
  /// what the client knows. Follows every admission whose outcome is ok.
  void settle(const Admission& admission, const Command& command, const Effect& effect);

  /// The session's next sequence, or {} if there is no such session.
  [[nodiscard]] Sequence next_sequence(SessionId id) const;
  /// The answer to a command all of whose sequences were consumed long ago; empty if some were not.
  [[nodiscard]] std::vector<CommandResult> recall(const Command& command) const;
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  /// Whether a new session is refused now: the table is full, and all are in use.
  [[nodiscard]] bool refuses(const StateNumbers& now) const;
  [[nodiscard]] const Bounds& bounds() const { return bounds_; }

  // As of Section.
  [[nodiscard]] Result<void> check_command(const Command& command) const override;
  Effect apply(const Command& command, const Applying& at) override;
  void advance(std::uint64_t before_us, const Applying& at) override;
  void take_changed(std::vector<Row>& rows) override;
  Result<void> load(const Row& row) override;
  [[nodiscard]] std::uint64_t fingerprint() const override { return sessions_.size(); }
  [[nodiscard]] std::string check() const override;

  static constexpr std::uint32_t kWindowMax = 65536;
  static constexpr std::uint64_t kTtlMaxUs = 3600ULL * 1000000;

 private:
  Outcome open(const Command& command, const Applying& at);
  Outcome close(const Command& command, const Applying& at);
  Session* find(SessionId id, std::uint64_t log_time_us);
  void drop(SessionId id);
  void make_room(std::uint64_t log_time_us);
  void drop_expired(std::uint64_t log_time_us);
  [[nodiscard]] bool is_idle(const Session& session, std::uint64_t log_time_us) const;
  void mark_changed(SessionId id, Session& session);

  Bounds bounds_;
  std::unordered_map<SessionId, Session> sessions_;
  std::vector<SessionId> changed_;         // Each once.
  std::size_t runs_ = 0;                   // How many runs all sessions remember.
  Slot opened_in_;                         // The last slot that opened one, or was to.
  mutable std::pair<Slot, bool> refuses_;  // What refuses() has said at a chosen_end.
};

/// The sessions as a section of the state.
[[nodiscard]] SectionType sessions_section(const Sessions::Bounds& bounds);

}  // namespace stele::log
