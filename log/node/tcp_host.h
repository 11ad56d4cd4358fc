// A host over the real world: directory, disk store, TCP and the loop of an io_context.
#pragma once

#include <stele/events.h>
#include <stele/node.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "log/node/host.h"
#include "net/link/resolver.h"
#include "net/link/tcp_listener.h"
#include "net/loop/asio_loop.h"

namespace stele::log {

/// Loop thread only.
class TcpHost {
 public:
  /// As of stele::Node. `options` is complete.
  TcpHost(asio::io_context& context, NodeOptions options, Events& events,
          std::function<void(const Error&)> on_failure);

  /// Calls `done` once, when it listens and takes part, or cannot. Does not block while a name
  /// server answers. Errors as of stele::Node::async_start.
  void start(std::function<void(Result<void>)> done);
  /// Stops accepting, hands over, answers what is in flight, then calls `done`.
  void stop(std::function<void()> done);
  /// As of stele::Node.
  [[nodiscard]] NodeReport report();

 private:
  void on_resolved(const net::Resolver::Endpoints& found, const std::string& failure,
                   const std::function<void(Result<void>)>& done);
  Result<void> begin(const net::Resolver::Endpoints& listen);
  [[nodiscard]] Host::Options host_options() const;

  NodeOptions options_;
  Events& events_;
  std::function<void(const Error&)> on_failure_;
  net::AsioLoop loop_;
  net::TcpDialer dialer_;
  net::Resolver resolver_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> starting_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<net::TcpListener> listener_;
  bool stopping_ = false;
  bool failed_ = false;
};

/// What a node says of itself that does not run yet.
[[nodiscard]] NodeReport report_without(NodeId node);

}  // namespace stele::log
