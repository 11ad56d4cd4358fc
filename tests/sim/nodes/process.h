// One process of the simulated world: a loop with a clock of its own.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "net/loop/loop.h"
#include "tests/sim/world/random.h"
#include "tests/sim/world/scheduler.h"

namespace stele::sim {

/// Runs what is posted in turns; between two turns a moment passes, in which more piles up. Time
/// runs at its own rate and may jump. Owned by a shared_ptr; events find it gone after a crash.
class Process final : public net::Loop, public std::enable_shared_from_this<Process> {
 public:
  struct Clock {
    std::uint64_t rate_permille = 1000;  ///< Of the monotonic clock.
    Duration ahead{0};                   ///< Of the monotonic clock.
    std::int64_t wall_ahead_us = 0;
  };

  Process(Scheduler& scheduler, Random random, Clock clock, Duration turn_max)
      : scheduler_(scheduler),
        random_(random),
        rate_permille_(clock.rate_permille),
        wall_ahead_us_(clock.wall_ahead_us),
        turn_max_(turn_max),
        base_world_(scheduler.now()),
        base_local_(scheduler.now() + clock.ahead) {}

  [[nodiscard]] Time now() const override;
  [[nodiscard]] std::uint64_t wall_us() const override;
  void post(std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<net::Timer> after(Duration delay,
                                                  std::function<void()> task) override;
  [[nodiscard]] std::uint64_t random() override { return random_.bits(); }

  /// Nothing runs until resume(), but time goes on.
  void pause() { paused_ = true; }
  void resume();
  [[nodiscard]] bool paused() const { return paused_; }
  /// Nothing runs any more, not even the rest of this turn.
  void halt() { halted_ = true; }
  /// Destroys what would still have run; not from within a turn.
  void clear();

  void set_rate(std::uint64_t permille);
  void jump(Duration ahead);
  void jump_wall(std::int64_t us) { wall_ahead_us_ += us; }

 private:
  struct PendingTimer final : net::Timer {
    explicit PendingTimer(std::shared_ptr<std::function<void()>> t) : task(std::move(t)) {}
    ~PendingTimer() override { *task = nullptr; }
    PendingTimer(const PendingTimer&) = delete;
    PendingTimer& operator=(const PendingTimer&) = delete;
    std::shared_ptr<std::function<void()>> task;
  };

  void schedule_turn();
  void schedule_timers();
  void turn();
  void rebase();

  Scheduler& scheduler_;
  Random random_;
  std::uint64_t rate_permille_;
  std::int64_t wall_ahead_us_;
  Duration turn_max_;
  Time base_world_;  // now() is base_local_ plus what has passed since base_world_, at the rate.
  Time base_local_;

  std::deque<std::function<void()>> tasks_;
  std::multimap<Time, std::shared_ptr<std::function<void()>>> timers_;
  std::uint64_t wake_ = 0;  // Of the event for the earliest timer; older ones are void.
  Time wake_at_{Time::max()};
  bool turn_scheduled_ = false;
  bool paused_ = false;
  bool halted_ = false;
};

}  // namespace stele::sim
