// The store over files: threads that commit, checkpoint and read; one commit for all that waits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "log/store/disk/data_directory.h"
#include "log/store/files/store_files.h"
#include "log/store/store.h"
#include "net/loop/loop.h"

namespace stele::log {

/// A Store over a data directory: journal, value log and LMDB (StoreFiles). Loop thread only.
class LmdbStore final : public Store {
 public:
  struct Options {
    StoreFiles::Options files = {};
    /// If set, the store has no threads: it calls this when a commit is wanted, and its owner
    /// calls begin_commit() and finish_commit(); reads are done at once. For simulations.
    std::function<void()> commit_wanted = {};
    /// With less free space than that no snapshot is taken.
    std::uint64_t snapshot_free_bytes_min = 0;
  };

  /// Takes over a locked directory and syncs it. `on_failure` runs on the loop, once, when a commit
  /// has failed: the node must end. Errors: those of StoreFiles::open, and corrupt.
  static Result<std::unique_ptr<LmdbStore>> open(DataDirectory directory, const Options& options,
                                                 net::Loop& loop,
                                                 std::function<void(Error)> on_failure);
  /// Commits what is queued, then stops the threads; without threads, drops what is queued.
  ~LmdbStore() override;

  [[nodiscard]] const std::optional<Identity>& identity() const override;
  void write_identity(const Identity& identity, std::function<void()> durable) override;
  [[nodiscard]] const History& history() const override;
  void write_history(const History& history, std::function<void()> durable) override;
  [[nodiscard]] std::uint64_t commits_found() const override;
  [[nodiscard]] std::uint64_t commits() const override;
  [[nodiscard]] Result<StoreContent> load() override;
  void write_votes(std::vector<paxos::Acceptor::Write> writes,
                   std::function<void()> durable) override;
  void write_state(StateWrite write) override;
  void write_trim(const TrimWrite& write) override;
  void flush() override;
  void settle() override;
  void let_loop_commit(bool may) override;
  void keep_cached(bool keep) override;
  void read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(SlotsRead)> done) override;
  void peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(SlotsRead)> done) override;
  void read_chosen(Slot slot_begin, std::size_t bytes_max,
                   std::function<void(SlotsRead)> done) override;
  void read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                    std::function<void(EntriesRead)> done) override;
  void read_rows(std::vector<RowKey> keys, std::function<void(std::vector<Row>)> done) override;
  void find_run(std::function<bool(const RunRow&)> reached,
                std::function<void(std::optional<RunRow>)> done) override;
  void read_run(std::uint64_t run, Slot slot_end, std::function<void(RunRead)> done) override;
  void write_copy(CopyWrite write) override;
  [[nodiscard]] const StateNumbers& readable() const override;
  [[nodiscard]] const Holding& holding() const override;
  [[nodiscard]] const SnapshotReport& snapshots() const override;
  bool keep_snapshots(const std::set<Slot>& slots) override;
  void read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                     std::function<void(std::vector<std::byte>)> done) override;
  void begin_fetch(SnapshotManifest manifest,
                   std::function<void(Result<std::size_t>)> done) override;
  void add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) override;
  void install(Slot slot, CheckState check, std::function<void(Result<void>)> done) override;
  [[nodiscard]] std::size_t backlog_bytes() const override;
  [[nodiscard]] Space space() const override;
  void measure_space() override;

  /// Only for stores without threads: writes what is queued, as the next commit under way. False if
  /// nothing is, or if it must wait for those.
  bool begin_commit();
  /// Only for stores without threads: syncs the `index`th commit under way, 0 for the first one.
  void sync_commit(std::size_t index);
  /// Only for stores without threads: syncs the first commit under way and tells of it, and of
  /// those after it that are synced. Returns how many they are.
  std::size_t finish_commit();
  /// Between those: as of StoreFiles.
  [[nodiscard]] std::string check() const;

 private:
  struct Impl;
  explicit LmdbStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace stele::log
