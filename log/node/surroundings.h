// What a process gives to what runs in it: nothing is global.
#pragma once

#include <functional>

#include <stele/events.h>
#include "net/link/link.h"
#include "net/loop/loop.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Everything in it outlives what it is given to.
struct Surroundings {
  net::Loop& loop;
  net::Dialer& dialer;
  Events& events;
  /// Called on the loop: the node came upon what it cannot live with, and must end. Errors:
  /// newer_format, if this program does not know what was chosen; corrupt, if a row of the state
  /// cannot be read. Without it that is a failed check.
  std::function<void(Error)> on_failure = {};
};

}  // namespace stele::log
