#include "net/loop/asio_loop.h"

#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <chrono>
#include <utility>

namespace stele::net {
namespace {

class AsioTimer final : public Timer {
 public:
  AsioTimer(AsioLoop& loop, Duration delay, std::function<void()> task)
      : state_(
            std::make_shared<State>(State{asio::steady_timer(loop.context()), std::move(task)})) {
    state_->timer.expires_after(delay);
    // A completion that is already queued when the timer is destroyed finds the task gone.
    state_->timer.async_wait(
        [state = std::weak_ptr<State>(state_), guard = loop.guard()](asio::error_code error) {
          const auto alive = state.lock();
          if (error || !alive || !alive->task) return;
          const auto due = std::exchange(alive->task, nullptr);
          guard->run(due);
        });
  }
  ~AsioTimer() override { state_->task = nullptr; }
  AsioTimer(const AsioTimer&) = delete;
  AsioTimer& operator=(const AsioTimer&) = delete;

 private:
  struct State {
    asio::steady_timer timer;
    std::function<void()> task;
  };
  std::shared_ptr<State> state_;
};

std::uint64_t entropy() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

AsioLoop::AsioLoop(asio::io_context& context,
                   const std::function<void(const std::string&)>& on_failed_check)
    : context_(context), random_(entropy()) {
  std::function<void(const std::string&)> told;
  if (on_failed_check) {
    told = [&context, on_failed_check, alive = std::weak_ptr(alive_)](const std::string& what) {
      asio::post(context, [on_failed_check, what, alive] {
        if (alive.lock()) on_failed_check(what);
      });
    };
  }
  guard_ = std::make_shared<Guard>(std::move(told));
}

Time AsioLoop::now() const { return std::chrono::steady_clock::now().time_since_epoch(); }

std::uint64_t AsioLoop::wall_us() const {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since_1970).count());
}

void AsioLoop::post(std::function<void()> task) {
  if (!guard_->catches()) return asio::post(context_, std::move(task));
  asio::post(context_, [guard = guard_, task = std::move(task)] { guard->run(task); });
}

std::unique_ptr<Timer> AsioLoop::after(Duration delay, std::function<void()> task) {
  return std::make_unique<AsioTimer>(*this, delay, std::move(task));
}

}  // namespace stele::net
