#include "tests/cluster/raw_socket.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <stdexcept>

namespace stele::test {

RawSocket::RawSocket(const Address& address) {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval minute{60, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
  if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

RawSocket::~RawSocket() { ::close(descriptor_); }

bool RawSocket::send(const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count =
        ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

bool RawSocket::send(const net::Message& message) {
  const net::OutFrame frame = net::encode(message);
  std::string bytes(reinterpret_cast<const char*>(frame.head.data()), frame.head.size());
  for (const Slice& part : frame.body) {
    bytes.append(reinterpret_cast<const char*>(part.bytes.data()), part.bytes.size());
  }
  bytes.resize(frame.bytes());
  return send(bytes);
}

std::optional<net::Message> RawSocket::receive() {
  auto buffer = std::make_shared<std::vector<std::byte>>(net::FramePrefix::kBytes);
  std::size_t have = 0;
  while (true) {
    const ssize_t count = ::recv(descriptor_, buffer->data() + have, buffer->size() - have, 0);
    if (count <= 0) return std::nullopt;
    have += static_cast<std::size_t>(count);
    if (have < buffer->size()) continue;
    const auto prefix = net::parse_prefix(std::span<const std::byte, net::FramePrefix::kBytes>(
                                              buffer->data(), net::FramePrefix::kBytes),
                                          net::kFrameBytesMax);
    if (!prefix) return std::nullopt;
    if (have < prefix->frame_bytes()) {
      buffer->resize(prefix->frame_bytes());
      continue;
    }
    const std::byte* header = buffer->data() + net::FramePrefix::kBytes;
    auto message = net::decode({buffer,
                                {header, prefix->header_bytes},
                                {header + prefix->header_bytes, prefix->body_bytes}},
                               net::Speaker::server);
    if (!message) return std::nullopt;
    return *std::move(message);
  }
}

bool RawSocket::closed_by_peer() {
  char chunk[4096];
  while (true) {
    const ssize_t count = ::recv(descriptor_, chunk, sizeof chunk, 0);
    if (count == 0) return true;
    if (count < 0) return errno == ECONNRESET;
  }
}

}  // namespace stele::test
