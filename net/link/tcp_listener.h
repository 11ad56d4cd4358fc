// Connections that come in over TCP.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "net/link/link.h"
#include "net/link/resolver.h"
#include "net/link/tcp.h"
#include "net/loop/asio_loop.h"
#include "paxos/base/result.h"

namespace stele::net {

/// Accepts connections on an address, or on all that a name stands for, until it is destroyed. Loop
/// thread only.
class TcpListener {
 public:
  using OnLink = std::function<void(std::unique_ptr<Link>)>;

  /// Binds at once to `endpoints`, which `address` stands for. Errors: in_use (the port is taken),
  /// invalid_argument (no such local address); they name `address`.
  static Result<std::unique_ptr<TcpListener>> listen(AsioLoop& loop, const Address& address,
                                                     const Resolver::Endpoints& endpoints,
                                                     TcpOptions options, OnLink on_link);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  /// The port, also if it was chosen by the system (port 0).
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Core;
  explicit TcpListener(std::shared_ptr<OnLink> on_link);

  std::shared_ptr<OnLink> on_link_;  // Holds an empty function once this object is destroyed.
  std::vector<std::shared_ptr<Core>> cores_;
};

}  // namespace stele::net
