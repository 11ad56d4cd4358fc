#include "tests/sim/nodes/process.h"

#include <utility>

namespace stele::sim {
namespace {

constexpr std::int64_t kWallStartUs = 1'700'000'000'000'000;

}  // namespace

Time Process::now() const {
  const auto passed = (scheduler_.now() - base_world_).count();
  return base_local_ + Duration(passed * static_cast<Duration::rep>(rate_permille_) / 1000);
}

std::uint64_t Process::wall_us() const {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now()).count();
  return static_cast<std::uint64_t>(kWallStartUs + us + wall_ahead_us_);
}

void Process::post(std::function<void()> task) {
  tasks_.push_back(std::move(task));
  schedule_turn();
}

std::unique_ptr<net::Timer> Process::after(Duration delay, std::function<void()> task) {
  auto shared = std::make_shared<std::function<void()>>(std::move(task));
  timers_.emplace(now() + delay, shared);
  schedule_timers();
  return std::make_unique<PendingTimer>(std::move(shared));
}

void Process::schedule_turn() {
  if (turn_scheduled_ || paused_ || halted_) return;
  turn_scheduled_ = true;
  scheduler_.after(random_.between(Duration(0), turn_max_), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->turn();
  });
}

void Process::schedule_timers() {
  if (timers_.empty()) return;
  const auto left = std::max<Duration::rep>((timers_.begin()->first - now()).count(), 0);
  const auto rate = static_cast<Duration::rep>(rate_permille_);
  const Time at = scheduler_.now() + Duration((left * 1000 + rate - 1) / rate);
  if (at >= wake_at_) return;
  wake_at_ = at;
  scheduler_.at(at, [weak = weak_from_this(), wake = ++wake_] {
    const auto self = weak.lock();
    if (!self || self->wake_ != wake) return;
    self->wake_at_ = Time::max();
    self->schedule_turn();
  });
}

void Process::turn() {
  turn_scheduled_ = false;
  if (paused_ || halted_) return;
  const Time local = now();
  while (!timers_.empty() && timers_.begin()->first <= local) {
    const auto due = timers_.extract(timers_.begin());
    // A timer that was destroyed has dropped its task; it may still be destroyed before its turn.
    if (*due.mapped()) {
      tasks_.push_back([task = due.mapped()] {
        if (const auto run = std::exchange(*task, nullptr)) run();
      });
    }
  }
  for (std::size_t left = tasks_.size(); left != 0 && !halted_; --left) {
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  if (!tasks_.empty()) schedule_turn();
  schedule_timers();
}

void Process::clear() {
  halted_ = true;
  while (!tasks_.empty()) tasks_.pop_front();  // One may post another when it is destroyed.
  timers_.clear();
}

void Process::resume() {
  paused_ = false;
  schedule_turn();
}

void Process::rebase() {
  base_local_ = now();
  base_world_ = scheduler_.now();
}

void Process::set_rate(std::uint64_t permille) {
  rebase();
  rate_permille_ = permille;
  wake_at_ = Time::max();
  schedule_timers();
}

void Process::jump(Duration ahead) {
  rebase();
  base_local_ += ahead;
  wake_at_ = Time::max();
  schedule_timers();
}

}  // namespace stele::sim
