// What a store does with snapshots, beside its commits.
#pragma once

#include <asio/post.hpp>
#include <asio/thread_pool.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "log/store/disk/snapshots.h"
#include "log/store/files/lmdb.h"
#include "log/store/files/snapshot_install.h"
#include "log/store/store.h"
#include "net/loop/loop.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Has a thread of its own, or does all at once. All functions are for the loop's thread, unless
/// something else is said; what they call back runs on the loop.
class SnapshotKeeper final : public std::enable_shared_from_this<SnapshotKeeper> {
 public:
  /// The first ones are as of Snapshots. `lmdb` outlives stop(), the loop what is posted to it.
  /// `has_room`: for a snapshot of its own; any thread. `on_failure`: the tables cannot be written.
  SnapshotKeeper(const std::string& directory, const std::vector<SectionTable>& sections,
                 bool paced, Slot stays, Lmdb& lmdb, net::Loop& loop, HasRoom has_room,
                 std::function<void(Error)> on_failure);

  void start_threads() {
    thread_.emplace(1);
    reads_.emplace(1);
  }
  /// What is under way is given up. Nothing is called any more.
  void stop();

  /// Takes a snapshot of what it sees, unless one is being taken. Any thread, until stop().
  void take(Result<Lmdb::Txn> txn);
  /// As of Store.
  [[nodiscard]] const SnapshotReport& report() const { return report_; }
  /// As of Store.
  bool keep(const std::set<Slot>& slots) { return snapshots_.set_kept(slots); }
  /// As of Store.
  void read(Slot slot, std::uint64_t digest, std::size_t part,
            std::function<void(std::vector<std::byte>)> done);
  /// As of Store.
  void begin_fetch(SnapshotManifest manifest, std::function<void(Result<std::size_t>)> done);
  /// As of Store.
  void add_piece(std::vector<std::byte> piece, std::function<void(Result<void>)> done);
  /// As of stage_rows(), and Store::install().
  void stage(Slot slot, CheckState check, std::function<void(Result<InstallWrite>)> done);
  /// As of erase_other_generations().
  void erase_what_is_replaced();
  /// Of the files. Any thread.
  [[nodiscard]] std::uint64_t bytes() const { return snapshots_.bytes(); }

 private:
  /// Runs `act` in its place among the others of `thread`; then `done` with what it gives.
  template <class Act, class Done>
  void run(std::optional<asio::thread_pool>& thread, Act act, Done done) {
    const auto both = [self = shared_from_this(), act = std::move(act), done = std::move(done)] {
      auto result = std::make_shared<decltype(act())>(act());
      self->loop_.post([self, result, done] {
        if (!self->stopped_) done(std::move(*result));
      });
    };
    if (!thread) return both();
    asio::post(*thread, [self = shared_from_this(), both] { self->loop_.guard(both); });
  }
  Result<void> erase_rows();
  Result<StagedState> stage_now(Slot slot);
  void tell(const Result<SnapshotInfo>& taken, const std::vector<SnapshotInfo>& kept);

  Snapshots snapshots_;
  Lmdb& lmdb_;
  net::Loop& loop_;
  HasRoom has_room_;
  std::function<void(Error)> on_failure_;
  SnapshotReport report_;
  bool stopped_ = false;
  std::optional<asio::thread_pool> thread_;
  std::optional<asio::thread_pool> reads_;  // For other nodes: a snapshot takes long to be taken.
};

}  // namespace stele::log
