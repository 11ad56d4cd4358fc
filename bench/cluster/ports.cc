#include "bench/cluster/ports.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace stele::test {

Ports::Ports(std::size_t count) {
  while (size() < count) {
    if (!hold(0)) throw std::runtime_error("no free port");
  }
}

Ports Ports::in_a_row(std::size_t count) {
  for (int tries = 0; tries < 1000; ++tries) {
    Ports row;
    bool free = row.hold(0);
    while (free && row.size() < count) {
      free =
          row[0] + row.size() <= 65535 && row.hold(static_cast<std::uint16_t>(row[0] + row.size()));
    }
    if (free) return row;
  }
  throw std::runtime_error("no free ports in a row");
}

Ports::Ports(Ports&& other) noexcept
    : sockets_(std::exchange(other.sockets_, {})), ports_(std::exchange(other.ports_, {})) {}

Ports::~Ports() {
  for (const int descriptor : sockets_) ::close(descriptor);
}

bool Ports::hold(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int reuse = 1;
  // Bound without SO_REUSEADDR, so that it was nobody's; then with it, so that a listener fits in.
  if (::bind(descriptor, generic, length) != 0 ||
      ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse) != 0 ||
      ::getsockname(descriptor, generic, &length) != 0) {
    ::close(descriptor);
    return false;
  }
  sockets_.push_back(descriptor);
  ports_.push_back(ntohs(address.sin_port));
  return true;
}

}  // namespace stele::test
