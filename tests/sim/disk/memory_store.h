// A store at the level of records: what is written is durable only after a commit, which takes as
// long as the test says.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "net/loop/loop.h"
#include "tests/sim/disk/sim_store.h"

namespace stele::sim {

/// Keeps the contract of log::Store, as log::LmdbStore does: what piles up during one commit is the
/// next one. Opening it syncs the disk.
class MemoryStore final : public SimStore {
 public:
  struct Hooks {
    /// Somebody waits for a commit.
    std::function<void()> commit_wanted;
    /// Runs a read beside the writes, some time later; if empty, in the next turn of the loop.
    std::function<void(std::function<void()>)> read_later;
    std::function<void(Error)> failed;  ///< As of LmdbStore::open.
    /// Told of reads that only some paths need.
    enum class Reading : std::uint8_t { own_votes, latest_votes, old_entries };
    std::function<void(Reading)> reads;
  };

  MemoryStore(net::Loop& loop, Disk& disk, Hooks hooks = {});
  ~MemoryStore() override {
    if (syncs_at_end_) MemoryStore::sync();
    *alive_ = false;
  }

  std::optional<std::size_t> begin_commit() override;
  std::size_t finish_commit() override;
  void fail_commit(const std::string& reason) override;
  void sync() override {
    while (!committing_.empty() || begin_commit()) finish_commit();
  }
  void crash(bool power, Random& random, Coverage& coverage) override;
  [[nodiscard]] bool dirty() const {
    return waiting_.urgent || waiting_.txn.state || waiting_.txn.trim || waiting_.txn.install ||
           !waiting_.txn.copies.empty();
  }

  [[nodiscard]] const std::optional<log::Identity>& identity() const override { return identity_; }
  void write_identity(const log::Identity& identity, std::function<void()> durable) override;
  [[nodiscard]] const log::History& history() const override { return history_; }
  void write_history(const log::History& history, std::function<void()> durable) override;
  [[nodiscard]] std::uint64_t commits_found() const override { return commits_found_; }
  [[nodiscard]] std::uint64_t commits() const override { return commits_; }
  [[nodiscard]] Result<log::StoreContent> load() override;
  void write_votes(std::vector<paxos::Acceptor::Write> writes,
                   std::function<void()> durable) override;
  void write_state(log::StateWrite write) override;
  void write_trim(const log::TrimWrite& write) override { waiting_.txn.add_trim(write); }
  void flush() override;
  void read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(log::SlotsRead)> done) override;
  void peek_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(log::SlotsRead)> done) override;
  void read_chosen(Slot slot_begin, std::size_t bytes_max,
                   std::function<void(log::SlotsRead)> done) override;
  void read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                    std::function<void(log::EntriesRead)> done) override;
  void read_rows(std::vector<log::RowKey> keys,
                 std::function<void(std::vector<log::Row>)> done) override;
  void find_run(std::function<bool(const log::RunRow&)> reached,
                std::function<void(std::optional<log::RunRow>)> done) override;
  [[nodiscard]] const log::StateNumbers& readable() const override { return readable_; }
  [[nodiscard]] const log::Holding& holding() const override { return holding_; }
  [[nodiscard]] const log::SnapshotReport& snapshots() const override { return snapshots_; }
  bool keep_snapshots(const std::set<Slot>& slots) override;
  void read_snapshot(Slot slot, std::uint64_t digest, std::size_t part,
                     std::function<void(std::vector<std::byte>)> done) override;
  void begin_fetch(log::SnapshotManifest manifest,
                   std::function<void(Result<std::size_t>)> done) override;
  void add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done) override;
  void install(Slot slot, log::CheckState check, std::function<void(Result<void>)> done) override;
  void read_run(std::uint64_t run, Slot slot_end, std::function<void(log::RunRead)> done) override;
  void write_copy(log::CopyWrite write) override {
    waiting_.txn.copies.push_back(std::move(write));
  }
  [[nodiscard]] std::size_t backlog_bytes() const override { return backlog_; }
  [[nodiscard]] log::Space space() const override { return {0, disk_.free_bytes}; }
  void measure_space() override {}

 private:
  struct VoteRead {
    Slot begin;
    Slot end;
    std::size_t bytes_max;
    std::function<void(log::SlotsRead)> done;
  };
  struct Batch {
    Txn txn;
    std::vector<VoteRead> reads;
    std::vector<std::function<void()>> durable;
    std::size_t bytes = 0;
    bool urgent = false;
  };

  void post(std::function<void()> task);
  void read_later(std::function<void()> task);
  void tell(Hooks::Reading reading) const {
    if (hooks_.reads) hooks_.reads(reading);
  }
  void want_commit();
  void take_snapshot();
  void report_snapshots();
  [[nodiscard]] log::SlotsRead read(Slot begin, Slot end, std::size_t bytes_max) const;

  net::Loop& loop_;
  Disk& disk_;
  Hooks hooks_;
  std::optional<log::Identity> identity_;
  log::History history_;
  std::uint64_t commits_found_ = 0;
  std::uint64_t commits_ = 0;
  Batch waiting_;
  std::deque<Batch> committing_;
  std::size_t backlog_ = 0;
  log::StateNumbers readable_;
  log::Holding holding_;
  log::SnapshotReport snapshots_;
  bool taking_snapshot_ = false;
  bool failed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::sim
