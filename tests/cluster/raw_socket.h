// A TCP connection that says whatever the test wants, also what no client would.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <stele/address.h>
#include "net/wire/codec.h"

namespace stele::test {

class RawSocket {
 public:
  explicit RawSocket(const Address& address);
  ~RawSocket();
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  /// False if the other side has closed.
  bool send(const std::string& bytes);
  bool send(const net::Message& message);
  /// The next message; nothing once the other side has closed, or if it says nothing for a minute.
  std::optional<net::Message> receive();
  /// Whether the other side closes; what it says before is read and dropped.
  [[nodiscard]] bool closed_by_peer();

 private:
  int descriptor_ = -1;
};

}  // namespace stele::test
