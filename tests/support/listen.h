// A listener at an address that is known at once.
#pragma once

#include <string>
#include <utility>

#include "net/link/tcp_listener.h"

namespace stele::net {

inline Result<std::unique_ptr<TcpListener>> listen_at(AsioLoop& loop, const Address& address,
                                                      TcpOptions options,
                                                      TcpListener::OnLink on_link) {
  std::string failure;
  return TcpListener::listen(loop, address, Resolver::look_up(address, failure), std::move(options),
                             std::move(on_link));
}

}  // namespace stele::net
