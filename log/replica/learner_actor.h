// The learner on its loop: applies chosen slots to the state and hands out what came of them.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "log/replica/recent_log.h"
#include "log/replica/role_listener.h"
#include "log/replica/state_comparison.h"
#include "log/state/log_state.h"
#include "log/store/store.h"
#include "net/loop/actor.h"
#include "paxos/learner.h"

namespace stele::log {

/// What the learner tells, and asks of, the replica that it is a part of. Outlives it.
class LearnerListener : public virtual RoleListener {
 public:
  /// This program cannot apply what was chosen: the node must end. Nothing is said afterwards.
  virtual void on_cannot_go_on(const Error& error) = 0;
  /// One slot, in order.
  virtual void on_applied(const LogState::Applied& applied) = 0;
  /// After everything that one turn applied.
  virtual void on_chosen_end(Slot chosen_end) = 0;
  /// No node that can be reached serves the slot chosen_end. `gone`: one of them has given it up.
  virtual void on_fetch_failed(bool gone) = 0;
  /// The state stays what it was.
  virtual void on_not_installed(Slot slot, const Error& why) = 0;
  /// The state is that of a snapshot from here on.
  virtual void on_installed(Slot chosen_end) = 0;
  /// The record of `slot` cannot be read.
  virtual void on_faulty_slot(Slot slot) = 0;
  /// Its record is on its way to the disk again.
  virtual void on_repaired_slot(Slot slot) = 0;
};

/// Applies in the order of slots, and serves what others lack. Loop thread only.
class LearnerActor final : public net::Actor<Letter> {
 public:
  /// `sections`: of the state.
  LearnerActor(net::Loop& loop, Store& store, paxos::Learner learner, LogState state,
               Sections sections, Epoch epoch, std::size_t piece_bytes_max,
               LearnerListener& listener);
  /// The store is given what waits: after a clean end it has everything that was applied.
  ~LearnerActor() override;
  LearnerActor(const LearnerActor&) = delete;
  LearnerActor& operator=(const LearnerActor&) = delete;

  /// The own acceptor has queued a vote.
  void on_voted(const paxos::SlotRecord& record);
  void tick();
  /// While the disk is full, nothing is fetched.
  void set_space_full(bool full) { space_full_ = full; }
  [[nodiscard]] bool space_full() const { return space_full_; }

  /// Asks for the record of a faulty slot once more.
  void repair(Slot slot) {
    learner_.repair(loop().now(), slot, effects_);
    wake();
  }
  /// Puts the state of a snapshot, which the store holds, in the place of the own one, once all
  /// that was applied is durable; unless that is as far. Told by on_installed().
  void install(Slot slot);
  [[nodiscard]] bool installing() const { return installing_ != Slot{}; }
  /// Entries from `lsn_begin` on, below `lsn_end`, as far as applied: from memory at once, or from
  /// the store a little later.
  void read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
            std::function<void(EntriesRead)> done);

  [[nodiscard]] const LogState& state() const { return state_; }
  [[nodiscard]] const StateTrail& trail() const { return trail_; }
  [[nodiscard]] const paxos::Learner& role() const { return learner_; }

  static constexpr std::size_t kLettersMax = 65536;
  /// A node is served so many pieces at once that it copies: it knows what it asks for. Of what it
  /// applies it is one.
  static constexpr std::size_t kCopiesAtOnce = 2;
  /// Above this much waiting for the disk, nothing more is fetched from others.
  static constexpr std::size_t kBacklogBytesMax = 8 << 20;
  /// So much of the own votes is read back at once.
  static constexpr std::size_t kVotesReadBytesMax = 2 << 20;
  /// With so much applied that is in memory because it cannot be read from the store yet, no more
  /// votes are read back.
  static constexpr std::size_t kUnreadableBytesMax = 8 << 20;
  /// If that takes longer, nothing else makes the store readable: it is told to be.
  static constexpr Duration kSettleAfter = std::chrono::milliseconds(100);
  /// Of the newest entries, so many pieces stay in memory.
  static constexpr std::size_t kRecentPiecesMax = 8;
  /// The state is written so often while slots are applied: what changes again and again meanwhile,
  /// as the sessions of many clients do, is written once. It costs a restart so many slots more.
  static constexpr Duration kWriteStateEvery = std::chrono::milliseconds(25);
  /// It is also written after so many bytes of values, beside which it is little.
  static constexpr std::size_t kWriteStateBytes = 1 << 20;

 private:
  void handle(Letter& letter) override;
  void flush() override;
  [[nodiscard]] bool has_room_for_votes();
  void read_votes_later();
  void read_votes(const paxos::Learner::ReadVotes& asked);
  void apply_waiting();
  void go_on_installing();
  void install_from_store();
  void on_installed(Slot slot, LogState state);
  void read_rows(std::vector<RowKey> keys);
  [[nodiscard]] bool apply(const paxos::Learner::Delivery& applied);
  void end(Error error);
  void serve(const paxos::Learner::Serve& serve);
  void set_paused();
  void on_faulty(Slot slot);
  void write_state();
  [[nodiscard]] bool write_is_due() { return loop().now() - written_at_ >= kWriteStateEvery; }

  Store& store_;
  paxos::Learner learner_;
  LogState state_;
  StateTrail trail_;
  Sections sections_;
  Epoch epoch_;
  std::size_t piece_bytes_max_;
  LearnerListener& listener_;
  paxos::Learner::Effects effects_;
  std::optional<paxos::Learner::ReadVotes> reads_later_;  // Once there is room in memory.
  Time reads_later_since_{};  // Or since the store was asked to make room.
  RecentLog recent_;
  StateWrite write_;
  std::deque<paxos::Learner::Delivery> waiting_;  // To be applied; what one turn has handed on.
  bool reading_rows_ = false;  // The rows that the first of waiting_ needs are being read.
  bool space_full_ = false;
  Slot written_end_;                 // The store has been given the state up to there.
  std::size_t unwritten_bytes_ = 0;  // Bytes of values applied since, and one for each slot.
  Time written_at_{};
  Slot installing_;             // The slot of the snapshot that is being installed; {}: none is.
  bool asked_install_ = false;  // The store does it.
  bool ended_ = false;          // It came upon what it cannot apply.
  bool dirty_ = false;          // The store has been given state that no flush has covered.
  /// An answer to a fetch of a node.
  struct Served {
    Slot slot_begin;
    bool reading = true;         // It is not sent yet.
    std::uint64_t sent_end = 0;  // Where it ends, in bytes sent to that node.
  };
  [[nodiscard]] Served* begin_serving(const paxos::Learner::Serve& asked);
  /// What each node was served last, of what it applies and of what it copies.
  std::map<std::pair<NodeId, bool>, std::vector<Served>> served_;
};

}  // namespace stele::log
