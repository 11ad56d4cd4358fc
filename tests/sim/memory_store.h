// A store at the level of records: what is written is durable only after sync().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "log/store.h"
#include "net/loop.h"

namespace stele::sim {

/// What survives a crash.
struct Disk {
  std::optional<log::Identity> identity;
  Ballot promised;
  std::map<Slot, paxos::Record> slots;
  std::map<Lsn, log::IndexRow> index;
  std::map<SessionId, std::vector<std::byte>> sessions;
  log::StateNumbers numbers;
  std::set<Slot> rotten;  ///< Records that do not match their checksum.
  bool promise_rotten = false;
  std::uint64_t free_bytes = UINT64_MAX;
};

/// Keeps the contract of log::Store; the disk outlives it.
class MemoryStore final : public log::Store {
 public:
  MemoryStore(net::Loop& loop, Disk& disk) : loop_(loop), disk_(disk) {}
  ~MemoryStore() override { *alive_ = false; }

  /// Commits everything queued, in order.
  void sync();
  [[nodiscard]] bool dirty() const { return !queue_.empty(); }

  [[nodiscard]] const std::optional<log::Identity>& identity() const override {
    return disk_.identity;
  }
  void write_identity(const log::Identity& identity, std::function<void()> durable) override;
  [[nodiscard]] Result<log::StoreContent> load() override;
  void write_votes(std::vector<paxos::Acceptor::Write> writes,
                   std::function<void()> durable) override;
  void write_state(log::StateWrite write) override;
  void flush() override {}
  void read_votes(Slot slot_begin, Slot slot_end, std::size_t bytes_max,
                  std::function<void(log::SlotsRead)> done) override;
  void read_chosen(Slot slot_begin, std::size_t bytes_max,
                   std::function<void(log::SlotsRead)> done) override;
  void read_entries(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                    std::function<void(log::EntriesRead)> done) override;
  [[nodiscard]] Lsn durable_lsn() const override { return disk_.numbers.next_lsn; }
  [[nodiscard]] std::size_t backlog_bytes() const override { return 0; }
  [[nodiscard]] log::Space space() const override { return {0, disk_.free_bytes}; }
  void measure_space() override {}

 private:
  void post(std::function<void()> task);
  void put(const paxos::Record& record);
  [[nodiscard]] log::SlotsRead read(Slot begin, Slot end, std::size_t bytes_max) const;

  net::Loop& loop_;
  Disk& disk_;
  std::vector<std::function<void()>> queue_;  // What sync() does, in order.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::sim
