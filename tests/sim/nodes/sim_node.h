// One node of the simulated cluster: the real log::Host in a process over a disk, through its
// crashes.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "log/node/host.h"
#include "tests/sim/checker/checker.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/disk/disk.h"
#include "tests/sim/disk/disk_sim_store.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/process.h"
#include "tests/sim/world/plan.h"

namespace stele::sim {

class SimNode final : log::SendObserver {
 public:
  struct Surroundings {
    const Plan& plan;
    Scheduler& scheduler;
    Network& network;
    Checker& checker;
    Coverage& coverage;
    Trace& trace;
    std::map<NodeId, Address> cluster;
    std::function<void(NodeId)> leader_began;
    std::string directory;  ///< For real files.
  };

  SimNode(Surroundings world, NodeId id, Random random);
  ~SimNode() override;
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  void start();
  /// The process ends between two instructions; what it gave to the system stays in the cache.
  void kill();
  /// The machine stops; what had not reached the disk is lost.
  void lose_power();
  /// Asks the node to stop, and ends the process when it says so.
  void stop(std::function<void()> ended);
  /// For real files: ends the process and reads back what it left.
  void check_files();
  void pause();
  void resume();
  [[nodiscard]] bool running() const { return process_ != nullptr; }

  /// Nothing on its disk is rotten.
  [[nodiscard]] bool sound() const {
    return disk_.synced.rotten.empty() && !disk_.synced.promise_rotten;
  }
  /// Commits take no longer than a cluster with these time-outs can live with.
  void be_kind() {
    kind_ = true;
    stalled_until_ = {};
  }
  void slow_disk(Time until, std::uint64_t times) {
    slow_until_ = until;
    slow_times_ = times;
  }
  [[nodiscard]] bool disk_is_slow() const { return world_.scheduler.now() < slow_until_; }
  void stall_disk(Time until) { stalled_until_ = std::max(stalled_until_, until); }
  void within_next_commit(std::function<void()> act) { within_commit_ = std::move(act); }
  void fail_next_commit() { fail_next_commit_ = running(); }
  void set_free_bytes(std::uint64_t bytes) { disk_.free_bytes = bytes; }
  void rot_vote(Random& random);
  void rot_chosen(Random& random);
  void rot_promise() { disk_.rot_promise(); }
  /// The directory is emptied; the node must be down.
  void wipe();
  void copy_directory() { copy_ = disk_.synced; }
  /// What the last copy lacks, and some other node must know of by now.
  [[nodiscard]] bool knows_more(NodeId of, const Image& copy) const;
  [[nodiscard]] const std::optional<Image>& copy() const { return copy_; }
  /// The copy takes the directory's place; the node must be down.
  void roll_back();
  /// Its state is wrong from here on; the node must be down.
  void differ();
  void set_clock_rate(std::uint64_t permille);
  void jump_clock(Duration ahead);
  void jump_wall_clock(std::int64_t us);

  [[nodiscard]] NodeId id() const { return id_; }
  [[nodiscard]] Host host() const { return id_.value; }
  [[nodiscard]] bool leads() const;
  /// It knows the cluster's members for good.
  [[nodiscard]] bool born() const {
    return disk_.synced.identity && !disk_.synced.identity->members.empty();
  }
  /// It has lost what the others know of it, or differs from them: it must take no part.
  [[nodiscard]] bool outcast() const { return outcast_; }
  [[nodiscard]] Slot chosen_end() const { return disk_.synced.numbers.chosen_end; }
  [[nodiscard]] const log::Host* node() const { return node_.get(); }

 private:
  class NodeEvents;

  void on_send(const paxos::Send& send) override { world_.checker.on_send(id_, send); }
  std::unique_ptr<SimStore> open_store();
  void end_process();
  void on_commit_wanted();
  void begin_commit();
  void finish_commit();
  void check_state() const;
  void on_store_failed(const std::string& reason);
  void event(EventLevel level, std::string_view name, std::initializer_list<EventField> fields);
  /// Runs later, unless the process has ended by then.
  void later(Duration delay, std::function<void()> act);

  Surroundings world_;
  NodeId id_;
  Random random_;
  Process::Clock clock_;
  Disk disk_;
  LmdbFiles files_;  // If the store is a real one.
  bool outcast_ = false;
  std::optional<Image> copy_;

  std::unique_ptr<NodeEvents> events_;
  std::shared_ptr<Process> process_;  // Null while the node is down.
  std::unique_ptr<net::Dialer> dialer_;
  SimStore* store_ = nullptr;
  std::unique_ptr<log::Host> node_;
  bool commit_scheduled_ = false;
  bool finish_due_ = false;  // A commit would be done, but the process is paused.
  struct Commit {
    std::size_t bytes;
    Time due;
  };
  std::deque<Commit> commits_;  // Under way.
  Time disk_free_at_{};         // When the disk has written what is.
  bool fail_next_commit_ = false;
  std::function<void()> within_commit_;  // May end the process.
  bool kind_ = false;
  Time stalled_until_{};
  Time slow_until_{};
  std::uint64_t slow_times_ = 1;
};

}  // namespace stele::sim
