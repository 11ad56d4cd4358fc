// Where the answers to a client's reads and tails go.
#pragma once

#include <cstddef>

#include "net/wire/message.h"

namespace stele::log {

/// A client's connection, as its reads and tails see it. Loop thread only.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  /// May end the connection: gone() tells.
  virtual void send(const net::Message& message) = 0;
  [[nodiscard]] virtual std::size_t queued_bytes() const = 0;
  [[nodiscard]] virtual bool gone() const = 0;
  /// There are tails, from now on.
  virtual void on_tails() = 0;
};

}  // namespace stele::log
