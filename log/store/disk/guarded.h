// A value that is reached only under its lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace stele::log {

/// Any thread.
template <class T>
class Guarded {
 public:
  /// Holds the lock while it lives, but for its waits and without().
  class Access {
   public:
    explicit Access(Guarded& guarded) : lock_(guarded.mutex_), value_(guarded.value_) {}

    [[nodiscard]] T* operator->() { return &value_; }
    [[nodiscard]] T& operator*() { return value_; }

    /// Runs `act` without the lock; others may change the value meanwhile.
    template <class Act>
    decltype(auto) without(Act act) {
      const Unlocked unlocked(lock_);
      return act();
    }
    void wait(std::condition_variable& changed) { changed.wait(lock_); }
    template <class When>
    void wait_until(std::condition_variable& changed, When when) {
      changed.wait_until(lock_, when);
    }
    template <class When, class Done>
    void wait_until(std::condition_variable& changed, When when, Done done) {
      changed.wait_until(lock_, when, std::move(done));
    }

   private:
    struct Unlocked {
      explicit Unlocked(std::unique_lock<std::mutex>& l) : lock(l) { lock.unlock(); }
      ~Unlocked() { lock.lock(); }
      Unlocked(const Unlocked&) = delete;
      Unlocked& operator=(const Unlocked&) = delete;
      std::unique_lock<std::mutex>& lock;
    };

    std::unique_lock<std::mutex> lock_;
    T& value_;
  };

  [[nodiscard]] Access lock() { return Access(*this); }

 private:
  std::mutex mutex_;
  T value_;
};

}  // namespace stele::log
