#include "bench/stele/stele_subject.h"

#include <algorithm>
#include <stdexcept>

namespace stele::bench {
namespace {

constexpr std::chrono::seconds kTimeout{30};

/// Appends go round among the clients, each of which has a session of its own.
class SteleTarget final : public Target {
 public:
  SteleTarget(asio::io_context& context, ClientOptions options, std::size_t clients,
              std::size_t connections) {
    for (std::size_t i = 0; i < clients; ++i) {
      options.connection = clients > connections ? static_cast<std::uint32_t>(i % connections)
                                                 : ClientOptions::kOwnConnection;
      clients_.push_back(std::make_unique<Client>(context, options));
    }
  }

  void append(std::uint64_t id, std::span<const std::byte> payload) override {
    Client& client = *clients_[id % clients_.size()];  // Each has as many under way.
    client.async_append(
        asio::buffer(payload.data(), payload.size()), kTimeout,
        [this, id](asio::error_code error, const AppendResult&) { tell(id, !error); });
  }
  /// Ends the sessions.
  void close() override {
    for (auto& client : clients_) client->close();
  }

 private:
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace

SteleSubject::SteleSubject(std::size_t nodes, const std::string& directory)
    : own_(std::make_unique<test::Cluster>(nodes, std::vector<std::string>{}, directory)) {
  own_->start_all();
  options_ = own_->client_options();
}

SteleSubject::SteleSubject(const std::vector<std::string>& addresses) {
  for (const std::string& text : addresses) {
    const auto address = parse_address(text);
    if (!address) throw std::runtime_error(address.error().detail);
    options_.addresses.push_back(*address);
  }
}

std::unique_ptr<Target> SteleSubject::target(asio::io_context& context, std::size_t in_flight,
                                             std::size_t connections) {
  const std::size_t clients = std::max(clients_, connections);
  const std::size_t each = (in_flight + clients - 1) / clients;
  ClientOptions options = options_;
  options.window = static_cast<std::uint32_t>(std::clamp<std::size_t>(each, 1, 65536));
  options.waiting_max = std::max(options.waiting_max, each);
  options.waiting_bytes_max = SIZE_MAX;
  return std::make_unique<SteleTarget>(context, options, clients, connections);
}

std::vector<pid_t> SteleSubject::processes() {
  std::vector<pid_t> pids;
  for (std::size_t id = 1; own_ && id <= own_->size(); ++id) {
    pids.push_back(own_->process(id).pid());
  }
  return pids;
}

std::optional<std::uint64_t> SteleSubject::entries() {
  const auto kept = BlockingClient(options_).retention(std::chrono::seconds(10));
  if (!kept) throw std::runtime_error("the log's end: " + kept.error().detail);
  return kept->lsn_end.value;
}

}  // namespace stele::bench
