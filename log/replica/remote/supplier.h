// Serves other nodes with parts of snapshots, and with what runs of slots hold.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "log/store/store.h"
#include "net/loop/loop.h"
#include "paxos/message.h"

namespace stele::log {

/// Loop thread only. The store outlives it.
class Supplier {
 public:
  Supplier(Store& store, Epoch epoch, std::function<void(paxos::Send)> send)
      : store_(store), epoch_(epoch), send_(std::move(send)) {}

  /// Others are given that one, if they ask for the newest.
  void set_offered(const std::optional<SnapshotInfo>& offered) { offered_ = offered; }
  void on_fetch_snapshot(Time now, NodeId from, const paxos::FetchSnapshot& asked);
  void on_fetch_run(NodeId from, const paxos::FetchRun& asked);

  /// The snapshots that other nodes are fetching from here: they should stay.
  [[nodiscard]] std::set<Slot> fetched(Time now) const;

  /// A snapshot stays so long after it was asked for.
  static constexpr Duration kStaysFor = std::chrono::seconds(30);
  /// Questions of one node that are being answered; more are left to be asked again.
  static constexpr std::size_t kQuestionsMax = 16;

 private:
  using Question = std::tuple<NodeId, std::uint64_t, std::uint64_t>;
  [[nodiscard]] bool begin(const Question& question);

  Store& store_;
  Epoch epoch_;
  std::function<void(paxos::Send)> send_;
  std::optional<SnapshotInfo> offered_;
  struct Asked {
    Slot slot;
    Time at{};
  };
  std::map<NodeId, Asked> fetched_;  // What each node has asked for last.
  std::set<Question> answering_;
};

}  // namespace stele::log
