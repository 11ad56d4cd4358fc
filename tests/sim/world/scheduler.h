// The world's clock and what happens when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "paxos/base/ids.h"

namespace stele::sim {

/// Events in the order of their times; those of one time in the order of their making.
class Scheduler {
 public:
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }

  void at(Time time, std::function<void()> act) {
    heap_.push_back({std::max(time, now_), ++made_, std::move(act)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Duration delay, std::function<void()> act) { at(now_ + delay, std::move(act)); }

  /// Runs the next event, if it is due by `until`; false if it is not.
  bool step(Time until) {
    if (heap_.empty() || heap_.front().time > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Event event = std::move(heap_.back());
    heap_.pop_back();
    now_ = event.time;
    ++events_;
    event.act();
    return true;
  }

 private:
  struct Event {
    Time time;
    std::uint64_t made;
    std::function<void()> act;
  };
  static bool later(const Event& a, const Event& b) {
    return std::pair(a.time, a.made) > std::pair(b.time, b.made);
  }

  Time now_{std::chrono::seconds(1)};
  std::vector<Event> heap_;
  std::uint64_t made_ = 0;
  std::uint64_t events_ = 0;
};

}  // namespace stele::sim
