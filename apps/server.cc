#include "apps/server.h"

#include <algorithm>
#include <utility>

#include "log/data_directory.h"
#include "log/lmdb_store.h"

namespace stele::apps {

namespace {

/// Several of the largest frames must fit into a queue.
net::TcpOptions tcp_options(const Config& config) {
  net::TcpOptions options;
  options.queue_bytes_max =
      std::max<std::size_t>(options.queue_bytes_max, 4 * (config.entry_bytes_max + (1 << 20)));
  return options;
}

}  // namespace

Server::Server(net::AsioLoop& loop, const Config& config)
    : dialer_(loop, tcp_options(config)) {}

Result<std::unique_ptr<Server>> Server::start(const Config& config, net::AsioLoop& loop,
                                              net::Events& events,
                                              std::function<void(Error)> on_failure) {
  auto server = std::unique_ptr<Server>(new Server(loop, config));
  // The port first: a second node with the same flags should say so before it touches the
  // directory.
  auto listener = net::TcpListener::listen(loop, config.listen, tcp_options(config),
                                           [self = server.get()](std::unique_ptr<net::Link> link) {
                                             if (self->node_) self->node_->on_link(std::move(link));
                                           });
  if (!listener) {
    return fail(Errc::invalid_argument, listener.error().detail);
  }
  server->listener_ = *std::move(listener);

  auto directory = log::DataDirectory::open(config.data);
  if (!directory) return tl::unexpected<Error>(directory.error());
  auto store =
      log::LmdbStore::open(*std::move(directory), {.files = {.map_bytes = config.disk_bytes_max}},
                           loop, std::move(on_failure));
  if (!store) return tl::unexpected<Error>(store.error());

  log::Node::Options node_options;
  node_options.self = config.id;
  node_options.cluster = config.cluster;
  node_options.cluster_name = config.cluster_name;
  node_options.entry_bytes_max = config.entry_bytes_max;
  node_options.disk_reserve_bytes = config.disk_reserve_bytes;
  node_options.fetch_bytes_per_second = config.fetch_bytes_per_second;
  node_options.timing.heartbeat = std::chrono::milliseconds(config.heartbeat_ms);
  node_options.timing.election_timeout = std::chrono::milliseconds(config.election_timeout_ms);
  auto node =
      log::Node::make(std::move(node_options), loop, server->dialer_, events, *std::move(store));
  if (!node) return tl::unexpected<Error>(node.error());
  server->node_ = *std::move(node);
  return server;
}

void Server::stop(std::function<void()> done) {
  listener_.reset();
  node_->stop(std::move(done));
}

}  // namespace stele::apps
