// A node as a program runs it: directory, store, listener and node on one loop.
#pragma once

#include <functional>
#include <memory>

#include <stele/events.h>
#include "apps/common/config.h"
#include "log/node/node.h"
#include "net/link/tcp.h"
#include "net/loop/asio_loop.h"

namespace stele::apps {

/// Loop thread only.
class Server {
 public:
  /// `on_failure` runs once if the node must end: its disk has failed (io), or it does not know
  /// what was chosen (newer_format). Errors: as exit_code_of maps.
  /// `listen`: what the address to listen on stands for.
  static Result<std::unique_ptr<Server>> start(const Config& config,
                                               const net::Resolver::Endpoints& listen,
                                               net::AsioLoop& loop, Events& events,
                                               std::function<void(Error)> on_failure);

  /// Stops accepting, hands over, answers what is in flight, then calls `done`.
  void stop(std::function<void()> done);

 private:
  Server(net::AsioLoop& loop, const Config& config);
  net::TcpDialer dialer_;
  std::unique_ptr<log::Node> node_;
  std::unique_ptr<net::TcpListener> listener_;
};

}  // namespace stele::apps
