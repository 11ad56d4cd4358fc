// The durable side of a node, as the actors see it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "log/format/entries.h"
#include "log/format/record.h"
#include "log/format/rows.h"
#include "log/format/run_list.h"
#include "log/format/snapshot.h"
#include "paxos/acceptor.h"
#include "paxos/message.h"

namespace stele::log {

/// What the learner wants written. It can be derived again from the slots, so nobody waits for it.
struct StateWrite {
  StateNumbers numbers;
  std::vector<paxos::SlotRecord> learned;  ///< Chosen records that are not the own votes.
  std::vector<IndexRow> index;
  std::vector<RunRow> runs;
  std::vector<Row> rows;  ///< Of the sections; of several changes of one the last counts.
  /// A snapshot is taken of the state that this one leaves: no later one is written with it.
  bool snapshot = false;
};

/// Slots whose entries are trimmed go for good: a run, or several.
struct TrimWrite {
  Slot slot_end;    ///< A run's begin, not above the durable chosen_end.
  Lsn lsn_end;      ///< The next LSN when that run began.
  Slot snapshot{};  ///< Who lacks them is given that one; {}: nobody lacks them.
};

/// Records read back, ascending. `faulty` is the first slot whose record failed its checksum, if
/// the reading came upon one; records end before it.
struct SlotsRead {
  Slot chosen_end;  ///< Durable at the moment of reading.
  Slot first_slot;  ///< Slots below are trimmed, or are not known to be what was chosen.
  std::vector<paxos::SlotRecord> records;
  bool last = false;  ///< There is no record after the ones read.
  std::optional<Slot> faulty;
};

/// The state of a snapshot takes the place of the store's own, all at once: its rows lie in the
/// tables already, under a generation of their own.
struct InstallWrite {
  StateNumbers numbers;
  Holding holding;  ///< Its first slot is as before: slots below go as trimmed ones do.
};

/// What a store has of a run of slots.
struct RunRead {
  std::vector<SlotSummary> slots;  ///< Those whose records are there, ascending.
  bool known = false;              ///< They are all of them, and known to be what was chosen.
};

/// Chosen slots from other nodes, below those of the snapshot that was installed; they are not
/// applied.
struct CopyWrite {
  std::vector<paxos::SlotRecord> records;
  std::vector<IndexRow> index;
  /// From there on all slots are known to be what was chosen, and their entries are here: a run's
  /// begin, and its next LSN; if it was so from `known_begin` on (Holding::slots_begin) until now.
  /// All {}: as before.
  Slot slots_begin;
  Lsn entries_begin;
  Slot known_begin;
};

/// A snapshot that a store holds.
struct SnapshotInfo {
  Slot slot;                      ///< All slots below are applied in it.
  std::uint64_t digest = 0;       ///< The same on all nodes.
  std::uint64_t bytes = 0;        ///< Of its file.
  std::uint64_t taken_at_us = 0;  ///< By the wall clock, since 1970.

  bool operator==(const SnapshotInfo&) const = default;
};

/// What has become of the snapshots that were asked for.
struct SnapshotReport {
  std::vector<SnapshotInfo> kept;  ///< Those that are durable, ascending.
  std::uint64_t taken = 0;         ///< Since the start.
  std::uint64_t given_up = 0;      ///< Since the start.
  std::uint64_t in_a_row = 0;      ///< So many have failed since the last one that was taken.
  std::string why_given_up;        ///< The last one, as a sentence; empty if it was taken.

  [[nodiscard]] std::optional<SnapshotInfo> newest() const {
    return kept.empty() ? std::nullopt : std::optional(kept.back());
  }
};

/// The rows of a state: those of the sections that keep theirs in memory, by table and key.
using CheckState = std::function<Result<void>(const StateNumbers&, const std::vector<Row>&)>;

/// What a store holds when it is opened.
struct StoreContent {
  paxos::Acceptor::State acceptor;
  StateNumbers numbers;
  std::vector<Row> rows;  ///< Of the sections that keep theirs in memory, by table and key.
};

/// The room on the disk.
struct Space {
  std::uint64_t used_bytes = 0;      ///< Of the store.
  std::uint64_t free_bytes = 0;      ///< Up to the nearer of the bounds of store and disk.
  std::uint64_t kept_bytes = 0;      ///< Kept beside that for a full disk (DiskReserve).
  std::uint64_t kept_bytes_max = 0;  ///< How many are to be kept.
  std::uint64_t measured = 0;        ///< How often it was measured.
};

/// Writes are queued and committed in the order of the calls; what piled up during one commit is
/// the next one. All functions return at once; callbacks run on the loop, in order. All functions
/// are for the loop's thread. A commit that fails is never retried, but for what found no space and
/// was not synced: the store reports it once through the failure handler it was opened with, and
/// calls no callback any more.
class Store {
 public:
  virtual ~Store() = default;

  /// What the directory is; nothing if it is new.
  [[nodiscard]] virtual const std::optional<Identity>& identity() const = 0;
  virtual void write_identity(const Identity& identity, std::function<void()> durable) = 0;
  /// Empty if it is new.
  [[nodiscard]] virtual const History& history() const = 0;
  virtual void write_history(const History& history, std::function<void()> durable) = 0;
  /// The last commit that was there when the store was opened. Commits are numbered over all
  /// starts, but for those of the history alone.
  [[nodiscard]] virtual std::uint64_t commits_found() const = 0;
  /// The last commit that is durable. Never goes back but with the directory.
  [[nodiscard]] virtual std::uint64_t commits() const = 0;
  /// Everything needed to start. Called before any write but those of identity and history. Errors:
  /// corrupt.
  [[nodiscard]] virtual Result<StoreContent> load() = 0;

  /// Queues an acceptor's writes; a vote raises the durable promise to its ballot in the same
  /// transaction. `durable` runs once these and all earlier votes are durable; without writes, once
  /// all earlier ones are.
  virtual void write_votes(std::vector<paxos::Acceptor::Write> writes,
                           std::function<void()> durable) = 0;
  /// Queues the learner's writes. They ride in the next commit.
  virtual void write_state(StateWrite write) = 0;
  /// Gives up slots, and the entries in them. Rides in the next commit, like the state. Requires
  /// that `write.slot_end` is not above readable().
  virtual void write_trim(const TrimWrite& write) = 0;
  /// Sees to it that there is a commit for what write_state() has queued.
  virtual void flush() = 0;

  /// Sees to it that what is durable is readable, and what was given up is the disk's again,
  /// although nothing more is written. Commits wait for it.
  virtual void settle() {}

  /// Whether the loop itself may wait for the disk, for as long as a small commit takes, which
  /// spares two wake-ups. Not on a node that others wait for while its disk stalls. At first it may
  /// not.
  virtual void let_loop_commit(bool) {}

  /// Whether what is written now will be read soon, by a node that is away or by this one: it is
  /// better kept where reading it needs no disk. At first it will not.
  virtual void keep_cached(bool) {}

  /// Reads votes: records at or above `slot_begin` and the durable chosen_end, below `slot_end`.
  /// They are read in their place among the writes: everything queued before is durable and
  /// visible. At most `bytes_max` bytes, but at least one record.
  virtual void read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                          std::function<void(SlotsRead)> done) = 0;
  /// As read_votes(), but beside the writes, which do not wait: a vote that was queued lately may
  /// be missing, or an older one be in its place.
  virtual void peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                          std::function<void(SlotsRead)> done) = 0;
  /// Reads chosen records, below the durable chosen_end, beside the writes.
  virtual void read_chosen(Slot slot_begin, std::size_t bytes_max,
                           std::function<void(SlotsRead)> done) = 0;
  /// Reads entries of [lsn_begin, lsn_end), as far as they are durably applied; at most `bytes_max`
  /// bytes, but at least one entry.
  virtual void read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                            std::function<void(EntriesRead)> done) = 0;

  /// Reads rows of sections, in the order of the keys; one that is not there comes without bytes.
  /// They are as of readable() or later: the caller knows that they have not changed since.
  virtual void read_rows(std::vector<RowKey> keys, std::function<void(std::vector<Row>)> done) = 0;

  /// Finds the last run of slots for which `reached(row)` holds, which holds for all before it,
  /// too; nothing if it holds for none. As of readable() or later. `reached` may run on another
  /// thread.
  virtual void find_run(std::function<bool(const RunRow&)> reached,
                        std::function<void(std::optional<RunRow>)> done) = 0;

  /// The state up to which everything is durable, and read back at once; what is above may have to
  /// be made readable.
  [[nodiscard]] virtual const StateNumbers& readable() const = 0;
  /// What the store holds, as of the last commit that is durable.
  [[nodiscard]] virtual const Holding& holding() const = 0;
  /// The snapshots that it has taken. One is given up if the one before is still being written, or
  /// for want of space; nothing else waits for it.
  [[nodiscard]] virtual const SnapshotReport& snapshots() const = 0;
  /// Those stay, although there are newer ones, and no others that had to. False, and nothing has
  /// changed, if one of them is not there any more.
  virtual bool keep_snapshots(const std::set<Slot>& slots) = 0;
  /// Reads a part of a snapshot that this store holds, for another node: 0 is what it consists of
  /// (the head and the tail), `n` its `n`th piece. No bytes if it is not here, or cannot be read.
  virtual void read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                             std::function<void(std::vector<std::byte>)> done) = 0;
  /// Begins to keep another node's snapshot, or goes on with it: tells how many of its pieces, from
  /// the first one on, are here. What was kept of another one before is gone. Errors of these:
  /// no_space, io, corrupt; nothing but what was fetched of it is lost then.
  virtual void begin_fetch(SnapshotManifest manifest,
                           std::function<void(Result<std::size_t>)> done) = 0;
  /// The next piece. After the last one the snapshot is one that this store holds.
  virtual void add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) = 0;
  /// Puts the state of a snapshot that this store holds in the place of its own, if `check` finds
  /// nothing wrong with it. Requires that all state that was given to write_state() is durable, and
  /// that the snapshot's slot is above the durable chosen_end; no state is given to write_state()
  /// until it is done. Promise and votes stay. A crash leaves the one or the other. Errors: as
  /// above; newer_format; those of `check`. A snapshot that is corrupt is there no more.
  virtual void install(Slot slot, CheckState check, std::function<void(Result<void>)> done) = 0;
  /// Reads what the slots of a run below `slot_end` hold, without their values. As of readable() or
  /// later.
  virtual void read_run(std::uint64_t run, Slot slot_end, std::function<void(RunRead)> done) = 0;
  /// Queues them. They ride in the next commit, like the state.
  virtual void write_copy(CopyWrite write) = 0;
  /// Bytes queued for commits or under way to the disk.
  [[nodiscard]] virtual std::size_t backlog_bytes() const = 0;
  /// As of the last commit or measurement.
  [[nodiscard]] virtual Space space() const = 0;
  /// Measures again, a little later: others may have freed or filled the disk.
  virtual void measure_space() = 0;
};

}  // namespace stele::log
