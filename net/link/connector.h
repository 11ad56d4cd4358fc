// Connects to the first of several addresses that answers: a small form of Happy Eyeballs (RFC
// 8305).
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

namespace stele::net {

/// Tries the endpoints one after the other, each next one as soon as the one before has failed or
/// has not answered for a while; the first connection is taken. Loop thread only.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  using Endpoints = std::vector<asio::ip::tcp::endpoint>;
  /// Takes the connected socket, or the error of the last try.
  using Done = std::function<void(asio::error_code, asio::ip::tcp::socket)>;

  /// `within`: all tries have begun by half of that time.
  static std::shared_ptr<Connector> start(asio::io_context& context, Endpoints endpoints,
                                          std::chrono::microseconds within, Done done);
  /// `done` is not called any more.
  void cancel();

  /// RFC 8305, 5.
  static constexpr std::chrono::milliseconds kNextAfter{250};

 private:
  Connector(asio::io_context& context, Endpoints endpoints, std::chrono::microseconds within,
            Done done);
  void try_next();
  void on_connected(std::size_t index, asio::error_code error);

  asio::io_context& context_;
  Endpoints endpoints_;
  std::chrono::microseconds next_after_;
  Done done_;
  asio::steady_timer timer_;
  std::vector<asio::ip::tcp::socket> tries_;
  std::size_t under_way_ = 0;
};

}  // namespace stele::net
