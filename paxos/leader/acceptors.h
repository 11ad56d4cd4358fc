// What a candidate or leader knows of the acceptors, its own among them, in its ballot.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "paxos/configuration.h"
#include "paxos/message.h"

namespace stele::paxos {

/// Who lives, whose disk answers how late and has room, and what each one has got. Reset with each
/// ballot. Pure.
class Acceptors {
 public:
  /// Whether the disks have room for a batch. `enough`: q2 acceptors that answer have. `none`: so
  /// many have said of late that they have none that q2 cannot have any. `unknown`: neither.
  enum class Room : std::uint8_t { enough, unknown, none };

  Acceptors(NodeId self, Configuration configuration, Duration election_timeout)
      : self_(self), configuration_(std::move(configuration)), timeout_(election_timeout) {}

  /// A new ballot: nothing is known.
  void reset();
  /// Phase 1 is won: all of them count as having answered now.
  void begin_leading(Time now);
  /// None before the first ballot.
  [[nodiscard]] bool contains(NodeId node) const { return known_.contains(node); }

  // --- What comes ----------------------------------------------------------------------

  /// Anything in this ballot: it lives.
  void on_heard(Time now, NodeId node) { known_[node].heard_at = now; }
  /// An answer that had waited for its disk.
  void on_disk_answer(Time now, NodeId node) { known_[node].heard_at = known_[node].disk_at = now; }
  /// `sent_at`: when the beat that it answers was sent, if that is known.
  void on_ack(Time now, NodeId node, const HeartbeatAck& ack, std::optional<Time> sent_at);
  void on_full(Time now, NodeId node);
  /// It has refused this ballot; how many have.
  [[nodiscard]] std::size_t on_refused(NodeId node);
  /// It follows another ballot: it counts no more until it is heard again.
  void forget(Time now, NodeId node) { known_[node].heard_at = now - 2 * timeout_; }
  /// The connection has been made (again): what was sent before may be lost.
  void on_connected(Time now, NodeId node);

  // --- Phase 1 -------------------------------------------------------------------------

  /// Whether a Prepare may be sent: none was for a quarter of a time-out, or it was answered.
  [[nodiscard]] bool may_prepare(Time now, NodeId node) const;
  void on_prepared(Time now, NodeId node) { known_[node].prepared_at = now; }
  /// The next piece may be asked for at once.
  void on_promise(NodeId node) { known_[node].prepared_at = {}; }

  // --- Who lives -----------------------------------------------------------------------

  /// It was heard in this ballot within so long.
  [[nodiscard]] bool heard_within(Time now, NodeId node, Duration within) const {
    return now - known_.at(node).heard_at < within;
  }
  /// q2 of them answer. `slots_take`: so long slots may take as they are filled now.
  [[nodiscard]] bool hears_quorum(Time now, Duration slots_take) const;
  /// The own one has answered nothing for longer than it usually takes, and a quorum of the others
  /// has meanwhile: they do better without this leader. If all disks are slow, none does.
  [[nodiscard]] bool own_disk_stalls(Time now, Duration slots_take) const;

  // --- Disks ---------------------------------------------------------------------------

  [[nodiscard]] Room room(Time now, Duration slots_take) const;
  /// The same for what makes room (ValueKind::upkeep).
  [[nodiscard]] Room room_for_upkeep(Time now, Duration slots_take) const;
  [[nodiscard]] bool anybody_full() const;
  /// q2 acceptors other than the own one have room, and answer.
  [[nodiscard]] bool others_have_space(Time now) const;
  /// How late the own disk answers, and those of the others that answer and have room.
  [[nodiscard]] Duration own_delay() const { return known_.at(self_).delay; }
  [[nodiscard]] std::vector<Duration> other_delays(Time now) const;

  // --- What they have got --------------------------------------------------------------

  /// One that answers has said that it knows of chosen slots at or above `chosen_end`.
  [[nodiscard]] bool any_above(Time now, Slot chosen_end) const;
  /// The one that could lead best, and at once: its disk answers, has room, and it has applied
  /// most. `quicker`: only one whose disk is quicker than the own one.
  [[nodiscard]] std::optional<NodeId> best_to_lead(Time now, bool quicker) const;
  /// An accept is sent to it.
  void on_sent(NodeId node) { known_[node].sent_more = true; }
  /// How far what was sent to it has come.
  void set_progress(NodeId node, Progress progress);
  /// `owed` is the first slot in flight that it has not voted for; `next` the slot after all of
  /// those. True if all that it owes is to be sent again: it has everything that is on its way, and
  /// does not get on.
  [[nodiscard]] bool is_to_be_sent_again(Time now, NodeId node, std::optional<Slot> owed,
                                         Slot next);

 private:
  struct Acceptor {
    Time prepared_at{};          // When it was last sent a Prepare in this ballot.
    Time heard_at{};             // When anything came from it in this ballot.
    Time disk_at{};              // When an answer came that had waited for its disk.
    Time delay_at{};             // When `delay` was looked at last.
    Duration delay{};            // How late its answers after the disk are, the longest of late.
    Slot owed;                   // The first one in flight that it has not voted for.
    Time owed_since{};           // Since when it owes that, or was last sent it again.
    int resent = 0;              // How often it was sent that again.
    bool sent_more = false;      // Accepts, since the progress was told last.
    std::uint64_t sent_end = 0;  // Where its last accept ends, among what was sent to it.
    bool on_the_way = false;     // That accept has not arrived.
    Slot chosen_end;             // As it has said.
    bool no_space = false;       // As it has said last.
    bool no_upkeep = false;      // The same.
    Time space_told_at{};        // When it has said whether it has room; {}: never.
    bool nacked = false;         // It has refused this ballot.
  };

  [[nodiscard]] Duration patience(const Acceptor& acceptor) const;
  [[nodiscard]] bool answers(Time now, NodeId node, Duration slots_take) const;
  [[nodiscard]] Room room(Time now, Duration slots_take, bool Acceptor::*lacks) const;
  [[nodiscard]] std::size_t with_space(Time now, bool others_only, Duration slots_take,
                                       bool Acceptor::*lacks) const;

  NodeId self_;
  Configuration configuration_;
  Duration timeout_;
  std::map<NodeId, Acceptor> known_;
};

}  // namespace stele::paxos
