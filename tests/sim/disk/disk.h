// What a simulated node keeps: tables, of which a part may be in the page cache only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "log/store/store.h"

namespace stele::sim {

/// The tables of one store.
struct Image {
  std::optional<log::Identity> identity;
  log::History history;
  std::uint64_t commits = 0;
  Ballot promised;
  std::map<Slot, paxos::SlotRecord> slots;
  std::map<Lsn, log::IndexRow> index;
  std::map<std::uint64_t, log::RunRow> runs;
  std::map<std::pair<log::Table, std::vector<std::byte>>, std::vector<std::byte>> rows;
  log::StateNumbers numbers;
  log::Holding holding;
  std::set<Slot> rotten;  ///< Records that do not match their checksum.
  bool promise_rotten = false;
};

/// A snapshot that a node has taken, or got from another one.
struct Snapshot {
  log::SnapshotInfo info;
  log::SnapshotManifest manifest;
  std::vector<std::vector<std::byte>> pieces;
};

/// One transaction: all of it becomes visible, and durable, or nothing.
struct Txn {
  std::optional<log::Identity> identity;
  std::optional<log::History> history;
  std::vector<paxos::Acceptor::Write> votes;
  std::optional<log::StateWrite> state;
  std::optional<log::TrimWrite> trim;
  std::optional<log::InstallWrite> install;
  std::vector<log::CopyWrite> copies{};
  std::vector<log::Row> installed_rows{};     ///< With `install`: all there are.
  std::vector<log::RunRow> installed_runs{};  ///< With `install`: beside those that are there.

  std::vector<log::StateWrite> later;  ///< State after one of which a snapshot is taken.

  void apply(Image& image) const;
  void add_votes(std::vector<paxos::Acceptor::Write> writes);
  void add_state(log::StateWrite write);
  void add_trim(const log::TrimWrite& write);
  /// The state of that snapshot takes the place of the image's. `generation`: of its rows.
  void add_install(const Snapshot& snapshot, const log::Holding& holding, std::uint32_t generation);
  /// It is not added to any more; what is for the next one is there then.
  [[nodiscard]] Txn take();
};

/// Of what the image holds, said once more, as simply as possible.
[[nodiscard]] Snapshot snapshot_of(const Image& image);

/// Outlives the processes that write to it.
struct Disk {
  Image synced;               ///< Survives a power failure.
  Image cached;               ///< What a process sees: synced and then unsynced.
  std::vector<Txn> unsynced;  ///< Survives the process only.
  std::uint64_t free_bytes = UINT64_MAX;
  std::map<Slot, Snapshot> snapshots;  ///< The last two, and those of `stay`.
  std::set<Slot> stay;
  Snapshot received;                           ///< As far as it has come.
  std::map<Slot, Snapshot> asked_for;          ///< What those must be that are not taken yet.
  std::function<void(const Txn&)> on_durable;  ///< Told of each transaction, in order.
  std::function<void(const Snapshot&)> on_snapshot;

  void write(const Txn& txn);
  void add(Snapshot snapshot);
  /// Everything written so far becomes durable.
  void sync();
  /// Only the first `survive` of the unsynced transactions had reached the medium.
  void lose_power(std::size_t survive);
  void rot(Slot slot);
  void rot_promise();
};

}  // namespace stele::sim
