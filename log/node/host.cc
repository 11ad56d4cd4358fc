#include "log/node/host.h"

#include <utility>

namespace stele::log {

Result<std::unique_ptr<Host>> Host::make(const Options& options, const Surroundings& surroundings,
                                         std::unique_ptr<Store> store) {
  auto origin = Group::origin(options, *store, surroundings.loop);
  if (!origin) return forward(origin);
  auto host =
      std::unique_ptr<Host>(new Host(options, surroundings, std::move(store), *std::move(origin)));
  if (const auto started = host->group_.start(); !started) return forward(started);
  return host;
}

Host::Host(const Options& options, const Surroundings& surroundings, std::unique_ptr<Store> store,
           Group::Origin origin)
    : links_({options.self, options.cluster, options.cluster_name, options.inbound_max},
             surroundings),
      group_(options, surroundings, links_, std::move(store), std::move(origin)) {}

}  // namespace stele::log
