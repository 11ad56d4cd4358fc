// Links over TCP: dialled and accepted.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "net/link/link.h"
#include "net/link/receive_memory.h"
#include "net/link/resolver.h"
#include "net/loop/asio_loop.h"
#include "net/loop/loop.h"
#include "paxos/base/result.h"

namespace stele::net {

/// Bounds and time-outs of connections; a value.
struct TcpOptions {
  /// Bytes queued for one peer at most; a single larger frame passes if the queue is empty. Must
  /// have room for all accepts in flight: what does not fit is lost, and sent again much later.
  std::size_t queue_bytes_max = 12 << 20;
  /// A peer that acknowledges nothing for that long is dead. The side that has dialled asks, every
  /// second after half as long a silence.
  Duration unacknowledged_timeout = std::chrono::seconds(4);
  Duration connect_timeout = std::chrono::seconds(3);
  /// How many connections of a listener may be open at once, those that end gently, too. Others
  /// wait with the system.
  std::size_t accepted_max = SIZE_MAX;
  /// Bounds what all these links hold for frames that have begun to arrive; null: nothing does.
  std::shared_ptr<ReceiveMemory> receive_memory = {};
  /// A peer that holds some of it and sends nothing more for that long is dead.
  Duration frame_timeout = std::chrono::seconds(10);
};

/// Dials over TCP, by name or number. Loop thread only.
class TcpDialer final : public Dialer {
 public:
  /// `look_up`: as of Resolver.
  TcpDialer(AsioLoop& loop, TcpOptions options, Resolver::LookUp look_up = {})
      : loop_(loop), options_(std::move(options)), resolver_(loop.context(), std::move(look_up)) {}
  [[nodiscard]] std::unique_ptr<Link> dial(const Address& address, LinkHandler& handler) override;
  /// As of Resolver.
  void close() { resolver_.close(); }

 private:
  AsioLoop& loop_;
  TcpOptions options_;
  Resolver resolver_;
};

}  // namespace stele::net
