// Connections as their users see them. Those over TCP are in net/link/tcp.h; a simulator brings its
// own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <stele/address.h>
#include "net/wire/message.h"

namespace stele::net {

class LinkHandler;

/// The reason of on_closed when the other side simply went.
inline constexpr const char* kClosedByPeer = "the other side closed the connection";

/// One connection that carries messages both ways, in order, until it closes. Loop thread only.
/// Destroying it closes it.
class Link {
 public:
  virtual ~Link() = default;
  /// Begins to deliver to `handler`; called again, goes on with another one. A dialled link is
  /// started already.
  virtual void start(LinkHandler& handler) = 0;
  /// Queues a message. False, and nothing queued, if the connection is closed or its queue is full.
  virtual bool send(const Message& message) = 0;
  /// Hands what is queued to the socket now, as far as that takes it, not at the end of the turn:
  /// the other side begins with it while this one has more to do.
  virtual void flush() {}
  /// Bytes queued and not yet taken by the socket.
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  /// Bytes that the socket has taken, and the peer's system has not acknowledged yet.
  [[nodiscard]] virtual std::size_t unacknowledged_bytes() const { return 0; }
  /// Bytes that the socket has taken so far.
  [[nodiscard]] virtual std::uint64_t left_bytes() const = 0;
  /// Bytes that have come so far of a large message that is not complete; 0: none is coming.
  [[nodiscard]] virtual std::size_t receiving_bytes() const { return 0; }
  /// Sends what is queued, then closes; the handler's on_closed is not called.
  virtual void close_gently() = 0;
  /// What the other side may say (Speaker), and the most bytes that a frame from there may have.
  /// Until then it is a stranger, within kHelloBytesMax.
  virtual void expect(Speaker speaker, std::size_t frame_bytes_max) = 0;
  /// The peer is known, and one of few: what it sends does not count for the bound on what all
  /// connections receive.
  virtual void leave_receive_bound() {}
  /// The other side, for people.
  [[nodiscard]] virtual std::string peer_name() const = 0;
};

/// What uses a Link. Outlives it, or destroys it first. A handler may destroy its Link.
class LinkHandler {
 public:
  virtual ~LinkHandler() = default;
  virtual void on_message(Message message) = 0;
  /// The link is dead: `reason` is a sentence. Called at most once, never from within send().
  virtual void on_closed(const std::string& reason) = 0;
  /// The queue has drained below half of its bound, after a send was refused.
  virtual void on_writable() {}
};

/// Opens connections to other processes. Loop thread only.
class Dialer {
 public:
  virtual ~Dialer() = default;
  /// Opens a connection; messages may be sent at once and leave when it is established. A failure
  /// is told by on_closed.
  [[nodiscard]] virtual std::unique_ptr<Link> dial(const Address& address,
                                                   LinkHandler& handler) = 0;
};

}  // namespace stele::net
