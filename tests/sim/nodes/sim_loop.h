// Virtual time: a loop whose clock moves only when the test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "net/loop/loop.h"

namespace stele::sim {

class SimLoop final : public net::Loop {
 public:
  explicit SimLoop(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] Time now() const override { return now_; }
  [[nodiscard]] std::uint64_t wall_us() const override {
    return 1'700'000'000'000'000 +
           static_cast<std::uint64_t>(
               std::chrono::duration_cast<std::chrono::microseconds>(now_).count());
  }
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  [[nodiscard]] std::unique_ptr<net::Timer> after(Duration delay,
                                                  std::function<void()> task) override {
    const auto at =
        timers_.emplace(now_ + delay, std::make_shared<std::function<void()>>(std::move(task)));
    return std::make_unique<SimTimer>(at->second);
  }
  [[nodiscard]] std::uint64_t random() override { return random_(); }

  /// Runs what is posted, until nothing is; no time passes.
  void run() {
    while (!tasks_.empty()) {
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }
  /// Lets time pass, timer by timer.
  void advance(Duration passed) {
    const Time until = now_ + passed;
    run();
    while (!timers_.empty() && timers_.begin()->first <= until) {
      const auto due = timers_.extract(timers_.begin());
      now_ = std::max(now_, due.key());
      // A timer that was destroyed has dropped its task.
      if (const auto task = std::exchange(*due.mapped(), nullptr)) task();
      run();
    }
    now_ = until;
  }

  /// Timers that are still to fire.
  [[nodiscard]] std::size_t timers() const {
    return static_cast<std::size_t>(
        std::count_if(timers_.begin(), timers_.end(),
                      [](const auto& timer) { return *timer.second != nullptr; }));
  }

 private:
  struct SimTimer final : net::Timer {
    explicit SimTimer(std::shared_ptr<std::function<void()>> t) : task(std::move(t)) {}
    ~SimTimer() override { *task = nullptr; }
    SimTimer(const SimTimer&) = delete;
    SimTimer& operator=(const SimTimer&) = delete;
    std::shared_ptr<std::function<void()>> task;
  };

  Time now_{std::chrono::seconds(1)};
  std::mt19937_64 random_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<Time, std::shared_ptr<std::function<void()>>> timers_;
};

}  // namespace stele::sim
