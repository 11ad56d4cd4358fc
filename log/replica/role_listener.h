// What the actors of the three roles have in common: letters, and the replica that they are parts
// of.
#pragma once

#include "paxos/message.h"

namespace stele::log {

/// A message and its sender.
struct Letter {
  NodeId from;
  paxos::Message message;
};

/// Called on the loop: when an actor handles what has come, in its tick(), and when the store calls
/// it back.
class RoleListener {
 public:
  virtual ~RoleListener() = default;
  virtual void send(paxos::Send message) = 0;
  /// As of net::Transport.
  [[nodiscard]] virtual paxos::Progress progress(NodeId node) const = 0;
};

}  // namespace stele::log
