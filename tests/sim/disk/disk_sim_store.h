// The real store over real files, in a simulated node: what LMDB leaves after a crash.
#pragma once

#include <memory>
#include <string>

#include "log/store/disk/disk_store.h"
#include "tests/sim/disk/file_layer.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/disk/sim_store.h"

namespace stele::sim {

/// The files of one node; outlive its processes, as a Disk does.
struct LmdbFiles {
  std::string directory;
  /// Larger transactions go to the value log. With many pages records in the journal can tear.
  std::size_t small_bytes_max = 1500;
  /// LMDB takes over so much at once.
  std::uint64_t lacking_bytes_max = 100 << 10;
  WatchedFiles watched{};
  std::vector<Txn> uncertain;  ///< Were being committed when the process died.
};

/// Forwards to log::LmdbStore and keeps the Disk as a model of what must be in the files: after a
/// crash they hold exactly the state before the transactions under way, or after some of them,
/// from the first one on.
class LmdbSimStore final : public SimStore {
 public:
  ~LmdbSimStore() override {
    if (syncs_at_end_) LmdbSimStore::sync();
  }
  LmdbSimStore(const LmdbSimStore&) = delete;
  LmdbSimStore& operator=(const LmdbSimStore&) = delete;
  /// Throws a Violation if the files hold anything else than what they may.
  static std::unique_ptr<LmdbSimStore> open(net::Loop& loop, Disk& disk, LmdbFiles& files,
                                            MemoryStore::Hooks hooks, Random& random);

  /// Nobody has the files open: they hold the disk's state, or the one after some of the
  /// transactions that were under way, which the disk then has as well. Throws a Violation if not.
  static void check_files(Disk& disk, LmdbFiles& files, Random& random);

  std::optional<std::size_t> begin_commit() override;
  std::size_t finish_commit() override;
  void fail_commit(const std::string&) override {}
  void sync() override;
  void crash(bool power, Random& random, Coverage& coverage) override;

  [[nodiscard]] const std::optional<log::Identity>& identity() const override {
    return real_->identity();
  }
  void write_identity(const log::Identity& identity, std::function<void()> durable) override;
  [[nodiscard]] const log::History& history() const override { return real_->history(); }
  void write_history(const log::History& history, std::function<void()> durable) override;
  [[nodiscard]] std::uint64_t commits_found() const override { return real_->commits_found(); }
  [[nodiscard]] std::uint64_t commits() const override { return real_->commits(); }
  [[nodiscard]] Result<log::StoreContent> load() override { return real_->load(); }
  void write_votes(std::vector<paxos::Acceptor::Write> writes,
                   std::function<void()> durable) override;
  void write_state(log::StateWrite write) override;
  void write_trim(const log::TrimWrite& write) override;
  void flush() override { real_->flush(); }
  void settle() override { real_->settle(); }
  void keep_cached(bool keep) override;
  void read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(log::SlotsRead)> done) override {
    real_->read_votes(slot_begin, slot_end, bytes_max, std::move(done));
  }
  void peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(log::SlotsRead)> done) override {
    real_->peek_votes(slot_begin, slot_end, bytes_max, std::move(done));
  }
  void read_chosen(Slot slot_begin, std::size_t bytes_max,
                   std::function<void(log::SlotsRead)> done) override {
    real_->read_chosen(slot_begin, bytes_max, std::move(done));
  }
  void read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                    std::function<void(log::EntriesRead)> done) override {
    real_->read_entries(lsn_begin, lsn_end, bytes_max, std::move(done));
  }
  void read_rows(std::vector<log::RowKey> keys,
                 std::function<void(std::vector<log::Row>)> done) override {
    real_->read_rows(std::move(keys), std::move(done));
  }
  void find_run(std::function<bool(const log::RunRow&)> reached,
                std::function<void(std::optional<log::RunRow>)> done) override {
    real_->find_run(std::move(reached), std::move(done));
  }
  [[nodiscard]] const log::StateNumbers& readable() const override { return real_->readable(); }
  [[nodiscard]] const log::Holding& holding() const override { return real_->holding(); }
  [[nodiscard]] const log::SnapshotReport& snapshots() const override { return real_->snapshots(); }
  bool keep_snapshots(const std::set<Slot>& slots) override {
    const bool there = real_->keep_snapshots(slots);
    if (there) disk_.stay = slots;
    return there;
  }
  void read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                     std::function<void(std::vector<std::byte>)> done) override {
    real_->read_snapshot(slot, digest, part, std::move(done));
  }
  void begin_fetch(log::SnapshotManifest manifest,
                   std::function<void(Result<std::size_t>)> done) override;
  void add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) override;
  void install(Slot slot, log::CheckState check, std::function<void(Result<void>)> done) override;
  void read_run(std::uint64_t run, Slot slot_end, std::function<void(log::RunRead)> done) override {
    real_->read_run(run, slot_end, std::move(done));
  }
  void write_copy(log::CopyWrite write) override;
  [[nodiscard]] std::size_t backlog_bytes() const override { return real_->backlog_bytes(); }
  /// Whatever the machine's disk says: a run must not depend on it.
  [[nodiscard]] log::Space space() const override { return {0, UINT64_MAX}; }
  void measure_space() override {}

 private:
  LmdbSimStore(net::Loop& loop, Disk& disk, LmdbFiles& files, MemoryStore::Hooks hooks,
               Random random)
      : loop_(loop), disk_(disk), files_(files), hooks_(std::move(hooks)), random_(random) {}
  void sync_out_of_order(Random& random);
  void compare_snapshots();
  [[nodiscard]] std::optional<Snapshot> read_file(Slot slot) const;

  net::Loop& loop_;
  Disk& disk_;
  LmdbFiles& files_;
  MemoryStore::Hooks hooks_;
  Random random_;
  std::unique_ptr<log::LmdbStore> real_;
  Txn waiting_;
  std::vector<Txn> under_way_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool always_cached_ = false;  // Whatever the node asks for: the result must be the same.
};

}  // namespace stele::sim
