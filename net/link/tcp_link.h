// What dialled and accepted connections have in common.
#pragma once

#include <asio/ip/tcp.hpp>
#include <memory>

#include "net/link/tcp.h"

namespace stele::net {

/// A link over a connection that came in; it keeps `place` until its socket is closed.
[[nodiscard]] std::unique_ptr<Link> accepted_link(AsioLoop& loop, asio::ip::tcp::socket socket,
                                                  const TcpOptions& options,
                                                  std::shared_ptr<void> place);

}  // namespace stele::net
