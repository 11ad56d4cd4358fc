// What the actors of the three roles have in common: letters, and the replica that they are parts
// of.
#pragma once

#include "paxos/message.h"

namespace stele::log {

/// A message and who sent it.
struct Letter {
  NodeId from;
  paxos::Message message;
};

/// Called when an actor handles what has come, and from within its tick().
class RoleListener {
 public:
  virtual ~RoleListener() = default;
  virtual void send(paxos::Send message) = 0;
  /// As of net::Transport.
  [[nodiscard]] virtual paxos::Progress progress(NodeId node) const = 0;
};

}  // namespace stele::log
