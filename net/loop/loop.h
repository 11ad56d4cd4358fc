// What everything in a process sees of the world: time and deferred work. The Asio version is in
// net/loop/asio_loop.h; a simulator brings its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "paxos/base/ids.h"

namespace stele::net {

/// A pending callback; destroying it cancels it. Loop thread only.
class Timer {
 public:
  virtual ~Timer() = default;
};

/// One thread that runs everything posted to it, in order.
class Loop {
 public:
  virtual ~Loop() = default;
  /// Monotonic.
  [[nodiscard]] virtual Time now() const = 0;
  /// Microseconds since 1970, by the wall clock; may jump.
  [[nodiscard]] virtual std::uint64_t wall_us() const = 0;
  /// Runs `task` on the loop, later. Any thread.
  virtual void post(std::function<void()> task) = 0;
  /// Runs `task` on the loop once `delay` has passed, unless the timer is destroyed before.
  [[nodiscard]] virtual std::unique_ptr<Timer> after(Duration delay,
                                                     std::function<void()> task) = 0;
  /// Runs `task` at once: should a check fail in it, it ends what runs on this loop, as everything
  /// that is posted does. For threads that work for it. Nothing runs once a check has failed. Any
  /// thread.
  virtual void guard(const std::function<void()>& task) { task(); }
  /// A check has failed: nothing more is to be done for what runs on this loop. Any thread.
  [[nodiscard]] virtual bool ended() const { return false; }
  /// Random bits, for jitter, nonces and incarnations.
  [[nodiscard]] virtual std::uint64_t random() = 0;
};

}  // namespace stele::net
