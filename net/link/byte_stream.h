// The bytes of one connection: what a link is made of.
#pragma once

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "net/link/tcp.h"
#include "net/link/write_queue.h"

namespace stele::net {

/// A TCP connection; a link reads and writes through it alone. What encrypts comes in here. One
/// operation of each direction at a time. Loop thread only.
class ByteStream {
 public:
  explicit ByteStream(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}

  void replace(asio::ip::tcp::socket socket) { socket_ = std::move(socket); }
  /// It is connected: sets its options.
  void open(const TcpOptions& options);
  /// Also while nothing is sent, this side learns that the other side is gone.
  void watch(const TcpOptions& options);
  void close();
  /// Says that no more comes. Closing with unread input would take back what was sent last: the
  /// other side closes.
  void end_output();

  [[nodiscard]] std::string remote_name() const;
  /// Bytes that the other side's system has not acknowledged.
  [[nodiscard]] std::size_t unacknowledged_bytes();

  /// `done(error, bytes)`, later.
  template <class Done>
  void read_some(std::span<std::byte> space, Done done) {
    socket_.async_read_some(asio::buffer(space.data(), space.size()), std::move(done));
  }
  template <class Done>
  void write_some(const WriteQueue::Buffers& buffers, Done done) {
    socket_.async_write_some(buffers, std::move(done));
  }
  /// So many bytes as the system takes at once. An error comes again with the next write, if it
  /// lasts.
  std::size_t write_now(const WriteQueue::Buffers& buffers) {
    asio::error_code ignored;
    return socket_.write_some(buffers, ignored);
  }

 private:
  asio::ip::tcp::socket socket_;
};

}  // namespace stele::net
