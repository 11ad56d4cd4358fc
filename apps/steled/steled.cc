// steled: one node of a Stele cluster.

#include <malloc.h>

#include <CLI/CLI.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>

#include <stele/version.h>
#include "apps/common/config.h"
#include "apps/common/descriptors.h"
#include "apps/common/disk_fault.h"
#include "apps/common/ending.h"
#include "apps/common/exit_codes.h"
#include "apps/common/failed_check.h"
#include "apps/common/logging.h"

namespace stele::apps {
namespace {

struct Flags {
  Settings settings;
  std::optional<std::string> config_path;
  bool check_config = false;
};

void add_flags(CLI::App& app, Flags& flags) {
  Settings& s = flags.settings;
  const auto& number = number_fault;
  app.add_option("--id", s.id, "This node's id, 1 to 63; it never changes")->check(number);
  app.add_option("--cluster", s.cluster, "All nodes: ID=HOST:PORT,… with 1 to 7 entries");
  app.add_option("--data", s.data, "The directory for this node's data; made if it is missing");
  app.add_option("--config", flags.config_path,
                 "A TOML file with these flags as keys, [cluster] as a table; flags win");
  app.add_option("--listen", s.listen,
                 "HOST:PORT to listen on (default: the own one in --cluster)");
  app.add_option("--cluster-name", s.cluster_name,
                 "Nodes and clients of other clusters are refused (default: stele)");
  app.add_option("--entry-bytes-max", s.entry_bytes_max, "Largest entry (default: 1048576)")
      ->check(number);
  app.add_option("--disk-bytes-max", s.disk_bytes_max, "Bound of the store (default: 1 TiB)")
      ->check(number);
  app.add_option("--disk-reserve-bytes", s.disk_reserve_bytes,
                 "Below this much free space appends get no_space (default: 256 MiB)")
      ->check(number);
  app.add_option("--keep-for-members-bytes", s.keep_for_members_bytes,
                 "So much of what is trimmed stays for members that lack it; those that lack more "
                 "get a snapshot (default: 1 GiB)")
      ->check(number);
  app.add_option("--fetch-bytes-per-second", s.fetch_bytes_per_second,
                 "How fast a node that was away catches up, at most (default: 220000000)")
      ->check(number);
  app.add_option("--memory-bytes-max", s.memory_bytes_max,
                 "What the node holds in memory, about, whatever its load (default: 64 MiB)")
      ->check(number);
  app.add_option("--election-timeout-ms", s.election_timeout_ms,
                 "Silence of the leader before an election (default: 400)")
      ->check(number);
  app.add_option("--heartbeat-ms", s.heartbeat_ms, "How often the leader is heard (default: 50)")
      ->check(number);
  app.add_option("--log-level", s.log_level, "debug, info, warning or error (default: info)");
  app.add_option("--log-format", s.log_format, "text or json (default: text)");
  app.add_flag("--check-config", flags.check_config, "Check the configuration and exit");
  app.set_version_flag("--version", std::string("steled ") + kVersion);
  app.footer(kExitCodesHelp);
}

/// Freed memory goes back to the system, except a little: malloc by itself keeps tens of MiB.
void bound_heap() {
  // One heap: one thread may use what another one has freed. The threads hardly ever meet there.
  ::mallopt(M_ARENA_MAX, 1);
  // Blocks of large entries leave no holes.
  ::mallopt(M_MMAP_THRESHOLD, 768 << 10);
  ::mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int complain(const Error& error) {
  std::fprintf(stderr, "steled: %s\n", error.detail.c_str());
  return exit_code_of(error.code);
}

/// Output that could not be written is a failure.
int printed() {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return kDone;
  complain({Errc::io, std::string("cannot write the output: ") + std::strerror(errno)});
  return kFailed;
}

Result<Config> configure(Flags& flags) {
  if (flags.config_path) {
    const auto file = read_settings(*flags.config_path);
    if (!file) return forward(file);
    flags.settings.fill_from(*file);
  }
  return make_config(flags.settings);
}

int run(const Config& config) {
  hold_end_signals();
  auto events = EventLog::make(config.log_level, config.log_format);
  if (!events) return complain(events.error());
  EventLog& log = **events;
  end_on_disk_fault();
  tell_failed_checks(log);

  asio::io_context context(1);
  int exit_code = kDone;
  std::optional<Node> node;
  bool started = false;
  const auto fail_with = [&](std::string_view event, const Error& error) {
    log.event(EventLevel::error, event,
              {{"code", std::string(to_string(error.code))}, {"reason", error.detail}});
    exit_code = exit_code_of(error.code);
    context.stop();
  };
  {
    Ending ending(
        context,
        [&](int signal) {
          log.event(EventLevel::info, "stopping", {{"signal", std::to_string(signal)}});
          if (!started) return context.stop();
          node->async_stop([&](asio::error_code, const std::string&) { context.stop(); });
        },
        [&](const std::string& why) {
          log.event(EventLevel::error, "ends_at_once", {{"reason", why}});
          log.flush();
        });
    log.event(EventLevel::info, "starting",
              {{"node", config.node.id.value},
               {"version", kVersion},
               {"data", config.node.data},
               {"listen", to_string(*config.node.listen)}});
    node.emplace(context, config.node, log, [&](const Error& error) {
      fail_with(error.code == Errc::newer_format ? "newer_format" : "store_failed", error);
    });
    node->async_start([&](asio::error_code error, const std::string& why) {
      if (error) return fail_with("cannot_start", {static_cast<Errc>(error.value()), why});
      started = true;
    });
    context.run();
    ending.begin();
    node.reset();
    if (started || exit_code == kDone) {
      log.event(EventLevel::info, "stopped", {{"exit_code", std::to_string(exit_code)}});
    }
    log.flush();
  }
  return exit_code;
}

int main(int argc, char** argv) {
  keep_standard_descriptors();
  bound_heap();
  const std::uint64_t descriptors = raise_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // The reader of the log may go away.
  std::signal(SIGXFSZ, SIG_IGN);  // A file that may not grow is an error like any other.
  CLI::App app("A node of a Stele cluster: a replicated log that survives the death of a minority.",
               "steled");
  Flags flags;
  add_flags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? printed() : kUsage;
  }
  auto config = configure(flags);
  if (!config) return complain(config.error());
  if (flags.check_config) {
    std::puts("the configuration is valid");
    return printed();
  }
  if (descriptors <= kDescriptorsKept) {
    return complain(
        {Errc::invalid_argument, "the system allows this process " + std::to_string(descriptors) +
                                     " open files (ulimit -n), and a node needs more than " +
                                     std::to_string(kDescriptorsKept)});
  }
  const std::uint64_t left = descriptors - kDescriptorsKept;
  config->node.inbound_max = std::min(config->node.inbound_max, 16 + left / 8);
  config->node.clients_max = std::min(config->node.clients_max, left - left / 8);
  return run(*config);
}

}  // namespace
}  // namespace stele::apps

int main(int argc, char** argv) { return stele::apps::main(argc, argv); }
