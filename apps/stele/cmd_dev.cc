// stele dev: a whole cluster in one process, for development. The same nodes as in steled.

#include <stele/node.h>

#include <asio/io_context.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/common/config.h"
#include "apps/common/disk_fault.h"
#include "apps/common/ending.h"
#include "apps/common/exit_codes.h"
#include "apps/common/logging.h"
#include "apps/stele/cli.h"

namespace stele::apps {

namespace {

void say_how_to_go_on(const DevFlags& flags, const std::string& addresses) {
  std::printf("%llu nodes in %s; Ctrl-C ends them. Try:\n  export STELE_CLUSTER=%s\n",
              static_cast<unsigned long long>(flags.nodes), flags.data.c_str(), addresses.c_str());
  std::printf("  stele append hello && stele read\n");
  std::fflush(stdout);
}

}  // namespace

int dev(const DevFlags& flags) {
  if (flags.nodes == 0 || flags.nodes > kMembersMax) {
    return complain(Errc::invalid_argument,
                    "--nodes ranges from 1 to " + std::to_string(kMembersMax));
  }
  if (flags.port == 0 || flags.port + flags.nodes - 1 > 65535) {
    return complain(Errc::invalid_argument, "--port ranges from 1 to " +
                                                std::to_string(65536 - flags.nodes) + " for " +
                                                std::to_string(flags.nodes) + " nodes");
  }
  hold_end_signals();
  auto events = EventLog::make(flags.log_level, "text");
  if (!events) return complain(events.error().code, events.error().detail);

  end_on_disk_fault();
  std::string cluster;
  std::string addresses;
  for (std::uint64_t id = 1; id <= flags.nodes; ++id) {
    const std::string address = "127.0.0.1:" + std::to_string(flags.port + id - 1);
    cluster += (id == 1 ? "" : ",") + std::to_string(id) + "=" + address;
    addresses += (id == 1 ? "" : ",") + address;
  }
  asio::io_context context(1);
  int exit_code = kDone;
  std::vector<std::unique_ptr<Node>> nodes;
  std::size_t stopped = 0;
  bool ends = false;
  Ending ending(
      context,
      [&](int) {
        ends = true;
        for (auto& node : nodes) {
          node->async_stop([&](asio::error_code, const std::string&) {
            if (++stopped == nodes.size()) context.stop();
          });
        }
      },
      [](const std::string& why) { complain(Errc::io, why); });
  const auto end_with = [&](const Error& error) {
    exit_code = complain(error.code, error.detail);
    context.stop();
  };
  // One after the other: no directory is opened after one that cannot be.
  std::function<void()> start_next = [&] {
    if (ends) return;
    if (nodes.size() == flags.nodes) return say_how_to_go_on(flags, addresses);
    Settings settings;
    const std::uint64_t id = nodes.size() + 1;
    settings.id = id;
    settings.cluster = cluster;
    settings.data = flags.data + "/" + std::to_string(id);
    const auto config = make_config(settings);
    if (!config) return end_with(config.error());
    nodes.push_back(std::make_unique<Node>(context, config->node, **events, end_with));
    nodes.back()->async_start([&](asio::error_code error, const std::string& why) {
      if (error) return end_with({static_cast<Errc>(error.value()), why});
      start_next();
    });
  };
  start_next();

  context.run();
  ending.begin();
  nodes.clear();
  return exit_code;
}

}  // namespace stele::apps
