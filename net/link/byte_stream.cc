#include "net/link/byte_stream.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <chrono>

namespace stele::net {
namespace {

using asio::ip::tcp;
using KeepAliveIdle = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPIDLE>;
using KeepAliveInterval = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_KEEPINTVL>;
using UserTimeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;

}  // namespace

void ByteStream::open(const TcpOptions& options) {
  asio::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);  // For write_now().
  const auto timeout_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.unacknowledged_timeout);
  socket_.set_option(UserTimeout(static_cast<int>(timeout_ms.count())), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
}

/// Half of the time-out is left for asking: one question that is lost must not end the connection.
void ByteStream::watch(const TcpOptions& options) {
  asio::error_code ignored;
  const auto idle = std::chrono::ceil<std::chrono::seconds>(options.unacknowledged_timeout / 2);
  socket_.set_option(KeepAliveIdle(static_cast<int>(idle.count())), ignored);
  socket_.set_option(KeepAliveInterval(1), ignored);
}

void ByteStream::close() {
  asio::error_code ignored;
  socket_.close(ignored);
}

void ByteStream::end_output() {
  asio::error_code ignored;
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
}

std::string ByteStream::remote_name() const {
  asio::error_code ignored;
  const auto remote = socket_.remote_endpoint(ignored);
  return to_string(Address{remote.address().to_string(), remote.port()});
}

std::size_t ByteStream::unacknowledged_bytes() {
  int bytes = 0;
  const bool known = ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) == 0;
  return known && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace stele::net
