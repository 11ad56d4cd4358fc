// What the roles say to each other. Plain values; net/wire/codec turns them into bytes and back.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/value.h"

namespace stele::paxos {

/// A vote, as an acceptor keeps it: `value` accepted for `slot` in `ballot`. Below chosen_end it is
/// the chosen value.
struct SlotRecord {
  Slot slot;
  Epoch epoch;
  Ballot ballot;
  Value value;

  bool operator==(const SlotRecord&) const = default;
};

/// Phase 1a: asks to promise `ballot`, and for what was accepted from `slot_begin` on. A proposer
/// sends it again, with a later `slot_begin`, for the next piece of a long answer.
struct Prepare {
  Ballot ballot;
  Slot slot_begin;

  bool operator==(const Prepare&) const = default;
};

/// Phase 1b, one piece: promises `ballot` and tells every vote in [slot_begin, slot_end), where
/// slots below `chosen_end` count as told. `last`: nothing was accepted at or beyond slot_end.
struct Promise {
  Ballot ballot;
  Slot slot_begin;
  Slot slot_end;
  bool last = false;
  Slot chosen_end;
  std::vector<SlotRecord> accepted;  // In ascending order of slots, within [slot_begin, slot_end).

  bool operator==(const Promise&) const = default;
};

/// Instead of a Promise: `slot`, at or above chosen_end, cannot be read back. It is unknown what
/// was voted there, which is not the same as nothing (Protocol-Aware Recovery).
struct Faulty {
  Ballot ballot;
  Slot slot;

  bool operator==(const Faulty&) const = default;
};

/// Phase 2a.
struct Accept {
  Ballot ballot;
  Slot slot;
  Value value;
  /// Not a new value: phase 1 has found it, or it was in flight when the disks were full. There are
  /// few of these.
  bool recovers = false;

  bool operator==(const Accept&) const = default;
};

/// Phase 2b: durably accepted exactly the slots [slot_begin, slot_end) in `ballot`.
struct Accepted {
  Ballot ballot;
  Slot slot_begin;
  Slot slot_end;

  bool operator==(const Accepted&) const = default;
};

/// A refusal: `ballot` is below `promised`, or (no_space) the disk has no room for a batch.
struct Nack {
  Ballot ballot;
  Ballot promised;
  bool no_space = false;

  bool operator==(const Nack&) const = default;
};

/// All slots below `chosen_end` are chosen at the sender. A hint to fetch values; it marks nothing.
struct ChosenEnd {
  Slot chosen_end;

  bool operator==(const ChosenEnd&) const = default;
};

/// A q2 quorum accepted each of [slot_begin, slot_end) in exactly `ballot`. Only its leader says
/// so.
struct Chosen {
  Ballot ballot;
  Slot slot_begin;
  Slot slot_end;

  bool operator==(const Chosen&) const = default;
};

/// The leader lives; also a beat of confirmation for linearizable reads.
struct Heartbeat {
  Ballot ballot;
  std::uint64_t beat = 0;

  bool operator==(const Heartbeat&) const = default;
};

/// An acceptor's answer. `promised` equals `ballot` if it still follows this leader. `no_space`:
/// its disk is low (Acceptor::set_space). `no_upkeep`: nor is there room for what makes room.
struct HeartbeatAck {
  Ballot ballot;
  std::uint64_t beat = 0;
  Ballot promised;
  Slot chosen_end;
  bool no_space = false;
  bool no_upkeep = false;

  bool operator==(const HeartbeatAck&) const = default;
};

/// A heartbeat (or a prepare: beat 0) of `ballot` has come. It says nothing of promises or votes,
/// and so waits for no disk: it shows that the sender lives, and how long the way there and back
/// is.
struct Heard {
  Ballot ballot;
  std::uint64_t beat = 0;

  bool operator==(const Heard&) const = default;
};

/// Asks, before any round is raised, whether the other has lost the leader too (Raft thesis 9.6).
struct PreVote {
  std::uint64_t attempt = 0;
  Slot chosen_end;

  bool operator==(const PreVote&) const = default;
};

/// An answer to a PreVote. `leader_lost`: the sender has lost the leader too.
struct PreVoteAnswer {
  std::uint64_t attempt = 0;
  bool leader_lost = false;
  std::uint64_t round = 0;  // The highest one that the sender has seen.
  Slot chosen_end;

  bool operator==(const PreVoteAnswer&) const = default;
};

/// The leader of `ballot` gives up in favour of the receiver, which may campaign at once.
struct TakeOver {
  Ballot ballot;

  bool operator==(const TakeOver&) const = default;
};

/// Asks for chosen values from `slot_begin` on.
struct Fetch {
  Slot slot_begin;
  bool copies = false;  ///< For slots that the asker has in a snapshot, and will not apply.

  bool operator==(const Fetch&) const = default;
};

/// Chosen values, dense from `slot_begin`; empty if the sender cannot serve that slot.
struct Fetched {
  Slot slot_begin;
  Slot chosen_end;
  std::vector<SlotRecord> records;
  Slot first_slot = {};  ///< The sender serves no slot below.
  bool copies = false;   ///< As was asked.

  bool operator==(const Fetched&) const = default;
};

/// Asks for a part of a snapshot: 0 is what it consists of, `n` its `n`th piece
/// (log/format/snapshot.h). Slot {}: of the newest one.
struct FetchSnapshot {
  Slot slot;
  std::uint64_t digest = 0;
  std::uint64_t part = 0;

  bool operator==(const FetchSnapshot&) const = default;
};

/// A part of a snapshot; a noop if the sender does not have it. Slot {}: it has none.
struct SnapshotPart {
  Slot slot;
  std::uint64_t digest = 0;
  std::uint64_t part = 0;
  Value bytes;

  bool operator==(const SnapshotPart&) const = default;
};

/// Asks what the slots of a run hold, below `slot_end` (log/format/run_list.h).
struct FetchRun {
  std::uint64_t run = 0;
  Slot slot_end;

  bool operator==(const FetchRun&) const = default;
};

/// What they hold; a noop if the sender does not have all of them.
struct RunSlots {
  std::uint64_t run = 0;
  Slot slot_end;
  Value bytes;

  bool operator==(const RunSlots&) const = default;
};

using Body = std::variant<Prepare, Promise, Faulty, Accept, Accepted, Nack, ChosenEnd, Chosen,
                          Heartbeat, HeartbeatAck, Heard, PreVote, PreVoteAnswer, TakeOver, Fetch,
                          Fetched, FetchSnapshot, SnapshotPart, FetchRun, RunSlots>;

/// One message between roles. A receiver in another epoch drops it.
struct Message {
  Epoch epoch;
  Body body;
  /// The number of the last durable commit of the sender's store. By it other nodes know a
  /// directory that has gone back (log/node/lineage.h). The roles do not look at it.
  std::uint64_t commits = 0;

  bool operator==(const Message&) const = default;
};

/// A message on its way out.
struct Send {
  NodeId to;
  Message message;

  bool operator==(const Send&) const = default;
};

/// How far what carries values has come on its way to a node, in bytes since this process began:
/// `arrived` of those that were `sent` are not on their way: the other system has acknowledged
/// them, or they were lost with a connection.
struct Progress {
  std::uint64_t sent = 0;
  std::uint64_t arrived = 0;
};

enum class Role : std::uint8_t { acceptor, proposer, learner };

/// Which role a message is for. Both sides of the wire route by this.
[[nodiscard]] Role role_of(const Body& body);

/// The name of the message's kind, for traces and logs.
[[nodiscard]] std::string_view name_of(const Body& body);

/// Whether it carries values, or tells of values that were sent before it: such messages keep their
/// order among each other. All others are small, and need not wait until those have left.
[[nodiscard]] bool is_bulk(const Body& body);

/// A bound on the bytes of a piece of a Promise or of a Fetched; one record may exceed it.
inline constexpr std::size_t kPieceBytesMax = 512 << 10;

}  // namespace stele::paxos
