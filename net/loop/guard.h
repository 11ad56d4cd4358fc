// What holds a failed check to the node, or client, in which it has failed.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "paxos/base/check.h"

namespace stele::net {

/// All that one node does runs through its guard, on whichever thread. Any thread.
class Guard {
 public:
  /// `on_failed_check` is called once, with a sentence, on the thread of the check. Without it a
  /// failed check ends the process.
  explicit Guard(std::function<void(const std::string&)> on_failed_check)
      : on_failed_check_(std::move(on_failed_check)) {}

  /// Runs `task`, unless a check has failed before. One run may be within another one.
  template <class Task>
  void run(Task&& task) {
    const CheckScope scope(catches());
    if (!catches() || running_ == this) return std::forward<Task>(task)();
    if (ended()) return;
    const Guard* const outer = std::exchange(running_, this);
    try {
      std::forward<Task>(task)();
    } catch (const CheckFailed& failed) {
      if (!ended_.exchange(true)) on_failed_check_(failed.what());
    }
    running_ = outer;
  }
  /// Whether a failed check ends what it guards alone.
  [[nodiscard]] bool catches() const { return on_failed_check_ != nullptr; }
  /// A check has failed: nothing runs any more.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  const std::function<void(const std::string&)> on_failed_check_;
  std::atomic<bool> ended_{false};
  static inline thread_local const Guard* running_ = nullptr;  // What runs on this thread.
};

}  // namespace stele::net
