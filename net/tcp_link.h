// What dialled and accepted connections have in common.
#pragma once

#include <asio/ip/tcp.hpp>
#include <memory>

#include "net/tcp.h"

namespace stele::net {

/// A link over a connection that came in.
[[nodiscard]] std::unique_ptr<Link> accepted_link(AsioLoop& loop, asio::ip::tcp::socket socket,
                                                  const TcpOptions& options);

}  // namespace stele::net
