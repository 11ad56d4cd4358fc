#include "apps/common/server.h"

#include <algorithm>
#include <utility>

#include "log/store/disk/data_directory.h"
#include "log/store/disk/disk_store.h"

namespace stele::apps {

namespace {

/// Kept on the disk, within --disk-reserve-bytes: more than what is in flight, for when others fill
/// it.
constexpr std::uint64_t kReserveBytes = 24 << 20;

/// What buffers may take of a node's memory. About a third is left for the program, and for what
/// the store holds.
struct Shares {
  explicit Shares(const Config& config)
      : received(std::max<std::size_t>(config.memory_bytes_max / 8,
                                       2 * (config.entry_bytes_max + (2 << 20)))),
        waiting(config.memory_bytes_max / 16 * 3),
        in_flight(std::min<std::size_t>(config.memory_bytes_max / 16 * 3, 12 << 20)),
        answers(config.memory_bytes_max / 8) {}

  std::size_t received;   ///< Of frames that have begun to arrive from clients: two of the largest.
  std::size_t waiting;    ///< Commands that are in no batch yet.
  std::size_t in_flight;  ///< Batches proposed and not chosen yet; acceptors take no more.
  std::size_t answers;    ///< What clients have not read yet.
};

/// Several of the largest frames must fit into a queue.
net::TcpOptions tcp_options(const Config& config) {
  net::TcpOptions options;
  options.queue_bytes_max =
      std::max<std::size_t>(options.queue_bytes_max, 4 * (config.entry_bytes_max + (1 << 20)));
  options.queue_bytes_max = std::max(options.queue_bytes_max, Shares(config).in_flight + (4 << 20));
  return options;
}

net::TcpOptions listener_options(const Config& config) {
  net::TcpOptions options = tcp_options(config);
  // Those that end, and a few that are told that there are too many.
  constexpr std::size_t kEnding = 64;
  options.accepted_max = config.clients_max + config.inbound_max + kEnding;
  options.receive_memory =
      std::make_shared<net::ReceiveMemory>(Shares(config).received, config.memory_bytes_max / 2);
  return options;
}

}  // namespace

Server::Server(net::AsioLoop& loop, const Config& config) : dialer_(loop, tcp_options(config)) {}

Result<std::unique_ptr<Server>> Server::start(const Config& config,
                                              const net::Resolver::Endpoints& listen,
                                              net::AsioLoop& loop, Events& events,
                                              std::function<void(Error)> on_failure) {
  auto server = std::unique_ptr<Server>(new Server(loop, config));
  // The port first: a second node with the same flags should say so before it touches the
  // directory.
  auto listener = net::TcpListener::listen(loop, config.listen, listen, listener_options(config),
                                           [self = server.get()](std::unique_ptr<net::Link> link) {
                                             if (self->node_) self->node_->on_link(std::move(link));
                                           });
  if (!listener) {
    return fail(Errc::invalid_argument, listener.error().detail);
  }
  server->listener_ = *std::move(listener);

  auto directory = log::DataDirectory::open(config.data);
  if (!directory) return forward(directory);
  log::Node::Options node_options;
  auto store = log::LmdbStore::open(
      *std::move(directory),
      {.files = {.map_bytes = config.disk_bytes_max,
                 .sections = log::tables_of(node_options.sections),
                 .reserve_bytes = std::min(kReserveBytes, config.disk_reserve_bytes / 2),
                 .node = config.id}},
      loop, on_failure);
  if (!store) return forward(store);

  node_options.self = config.id;
  node_options.cluster = config.cluster;
  node_options.cluster_name = config.cluster_name;
  node_options.entry_bytes_max = config.entry_bytes_max;
  node_options.clients_max = config.clients_max;
  node_options.inbound_max = config.inbound_max;
  node_options.disk_reserve_bytes = config.disk_reserve_bytes;
  node_options.fetch_bytes_per_second = config.fetch_bytes_per_second;
  const Shares shares(config);
  node_options.limits.waiting_bytes_max = shares.waiting;
  node_options.in_flight_bytes_max = shares.in_flight;
  node_options.answer_bytes_max = shares.answers;
  node_options.on_failure = std::move(on_failure);
  node_options.timing.heartbeat = std::chrono::milliseconds(config.heartbeat_ms);
  node_options.timing.election_timeout = std::chrono::milliseconds(config.election_timeout_ms);
  auto node =
      log::Node::make(std::move(node_options), loop, server->dialer_, events, *std::move(store));
  if (!node) return forward(node);
  server->node_ = *std::move(node);
  return server;
}

void Server::stop(std::function<void()> done) {
  listener_.reset();
  node_->stop(std::move(done));
}

}  // namespace stele::apps
