#include "bench/stele_target.h"

namespace stele::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};

}  // namespace

SteleTarget::SteleTarget(asio::io_context& context, const ClientOptions& options,
                         std::size_t connections) {
  for (std::size_t i = 0; i < connections; ++i) {
    clients_.push_back(std::make_unique<Client>(context, options));
  }
}

SteleTarget::~SteleTarget() = default;

void SteleTarget::append(std::uint64_t id, std::span<const std::byte> payload) {
  Client& client = *clients_[next_];
  next_ = next_ + 1 == clients_.size() ? 0 : next_ + 1;
  client.async_append(
      asio::buffer(payload.data(), payload.size()), kTimeout,
      [this, id](asio::error_code error, const AppendResult&) { tell(id, !error); });
}

void SteleTarget::close() {
  for (auto& client : clients_) client->close();
}

}  // namespace stele::bench
