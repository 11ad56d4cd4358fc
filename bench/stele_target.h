// Stele as a target of loads: through the client library, over one or many connections.
#pragma once

#include <memory>
#include <vector>

#include "bench/load.h"
#include "log/client.h"

namespace stele::bench {

class SteleTarget final : public Target {
 public:
  /// Every connection is a client with a session of its own; appends go round.
  SteleTarget(asio::io_context& context, const ClientOptions& options, std::size_t connections);
  ~SteleTarget() override;

  void append(std::uint64_t id, std::span<const std::byte> payload) override;
  /// Ends the sessions, so that the context can end.
  void close();

 private:
  std::vector<std::unique_ptr<Client>> clients_;
  std::size_t next_ = 0;
};

}  // namespace stele::bench
