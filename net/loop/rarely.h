// For lines of a log that anybody can cause.
#pragma once

#include "paxos/base/ids.h"

namespace stele::net {

/// Whether it is time to say something again: what is asked for again and again must not fill the
/// disk with lines.
class Rarely {
 public:
  explicit Rarely(Duration every) : every_(every) {}

  /// True at most once in `every`, and the first time.
  [[nodiscard]] bool due(Time now) {
    if (told_at_ != Time{} && now - told_at_ < every_) return false;
    told_at_ = now;
    return true;
  }

 private:
  Duration every_;
  Time told_at_{};
};

}  // namespace stele::net
