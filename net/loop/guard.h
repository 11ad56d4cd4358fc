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

  /// Runs `task`, unless a check has failed before. One run may be within another one, of this
  /// guard or of others: a failed check leaves all runs of its guard, and ends those in between.
  template <class Task>
  void run(Task&& task) {
    const CheckScope scope(catches());
    if (!catches() || (innermost_ != nullptr && innermost_->guard == this))
      return std::forward<Task>(task)();
    if (ended()) return;
    const Run run(*this);
    try {
      std::forward<Task>(task)();
    } catch (const CheckFailed& failed) {
      if (!ended_.exchange(true)) on_failed_check_(failed.what());
      if (run.within_ended()) throw;
    }
  }
  /// Whether a failed check ends what it guards alone.
  [[nodiscard]] bool catches() const { return on_failed_check_ != nullptr; }
  /// A check has failed: nothing runs any more.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  /// As long as one lives, its guard runs something on this thread.
  class Run {
   public:
    explicit Run(const Guard& of) : guard(&of), outer_(std::exchange(innermost_, this)) {}
    ~Run() { innermost_ = outer_; }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    /// What is around it must not go on.
    [[nodiscard]] bool within_ended() const {
      for (const Run* run = outer_; run != nullptr; run = run->outer_) {
        if (run->guard->ended()) return true;
      }
      return false;
    }

    const Guard* const guard;

   private:
    const Run* const outer_;
  };

  const std::function<void(const std::string&)> on_failed_check_;
  std::atomic<bool> ended_{false};
  static inline thread_local const Run* innermost_ = nullptr;  // Of those on this thread.
};

}  // namespace stele::net
