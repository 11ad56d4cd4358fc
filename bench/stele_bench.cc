// stele-bench: loads on a cluster of Stele, through its client library, and what they tell.

#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/report.h"
#include "bench/stele_target.h"
#include "tests/cluster/cluster.h"

namespace stele::bench {
namespace {

struct Flags {
  std::vector<std::string> cluster;
  std::size_t spawn = 0;
  std::string data;
  std::size_t payload_bytes = 128;
  std::size_t in_flight = 1024;
  std::size_t connections = 1;
  double rate = 0;
  double seconds = 5;
  double warm_up = 1;
  std::size_t repeat = 3;
  bool json = false;
  bool pause = false;  // failover: SIGSTOP instead of SIGKILL.
};

/// The cluster that the load is for: somebody's, or three processes of its own.
class Subject {
 public:
  explicit Subject(const Flags& flags) {
    if (flags.spawn != 0) {
      own_ = std::make_unique<test::Cluster>(flags.spawn, std::vector<std::string>{}, flags.data);
      own_->start_all();
      options_ = own_->client_options();
      return;
    }
    for (const std::string& text : flags.cluster) {
      const auto address = net::parse_address(text);
      if (!address) throw std::runtime_error(address.error().detail);
      options_.addresses.push_back(*address);
    }
  }

  [[nodiscard]] ClientOptions options(std::size_t in_flight) const {
    ClientOptions options = options_;
    options.window = static_cast<std::uint32_t>(std::clamp<std::size_t>(in_flight, 1, 65536));
    options.waiting_max = std::max(options.waiting_max, in_flight);
    options.waiting_bytes_max = SIZE_MAX;
    return options;
  }
  [[nodiscard]] Usage usage() {
    std::vector<pid_t> pids;
    for (std::size_t id = 1; own_ && id <= own_->size(); ++id) {
      pids.push_back(own_->process(id).pid());
    }
    return usage_of(pids);
  }
  [[nodiscard]] test::Cluster* own() { return own_.get(); }
  /// The end of the log, as a linearizable read tells it.
  [[nodiscard]] std::uint64_t log_end() const {
    ReadOptions options;
    options.bytes_max = 1;
    const auto read = BlockingClient(options_).read(options);
    if (!read) throw std::runtime_error("the log's end: " + read.error().detail);
    return read->lsn_end.value;
  }

 private:
  std::unique_ptr<test::Cluster> own_;
  ClientOptions options_;
};

Run append_once(const Flags& flags, Subject& subject, const std::function<void()>& at_half) {
  Run run;
  run.payload_bytes = flags.payload_bytes;
  run.in_flight = flags.in_flight;
  run.connections = flags.connections;
  run.rate = flags.rate;

  const auto ms = [](double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  LoadOptions options;
  options.payload_bytes = flags.payload_bytes;
  options.in_flight = flags.in_flight;
  options.rate = flags.rate;
  options.warm_up = ms(flags.warm_up);
  options.duration = ms(flags.seconds);
  options.at_half = at_half;
  options.measured_begin = [&] {
    run.servers = subject.usage();
    run.client = usage_of({::getpid()});
  };
  options.measured_end = [&] {
    run.servers = subject.usage() - run.servers;
    run.client = usage_of({::getpid()}) - run.client;
  };

  const std::uint64_t before = subject.log_end();
  asio::io_context context(1);
  {
    SteleTarget target(
        context, subject.options((flags.in_flight + flags.connections - 1) / flags.connections),
        flags.connections);
    run.load = run_load(context, target, options);
    target.close();
    context.restart();
    context.run();
  }
  run.stored = subject.log_end() - before;
  // Nobody else appends: what was acknowledged is what is there, unless something stayed unknown.
  if (run.stored < run.load.total || run.stored > run.load.total + run.load.failed) {
    throw std::runtime_error(std::to_string(run.load.total) + " appends were acknowledged, " +
                             std::to_string(run.stored) + " entries are in the log");
  }
  return run;
}

int append(const Flags& flags) {
  Subject subject(flags);
  std::vector<Run> runs;
  for (std::size_t i = 0; i < flags.repeat; ++i) {
    if (::isatty(STDERR_FILENO) == 1) {
      std::fprintf(stderr, "\r\033[Krun %zu of %zu", i + 1, flags.repeat);
    }
    runs.push_back(append_once(flags, subject, [] {}));
  }
  if (::isatty(STDERR_FILENO) == 1) std::fputs("\r\033[K", stderr);
  std::fputs((flags.json ? json(runs) : table(runs)).c_str(), stdout);
  return 0;
}

/// The leader is taken away under load, and comes back before the next time.
int failover(const Flags& flags) {
  Subject subject(flags);
  test::Cluster& cluster = *subject.own();
  std::vector<Run> runs;
  for (std::size_t i = 0; i < flags.repeat; ++i) {
    if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
    const std::uint64_t leader = cluster.leader();
    runs.push_back(append_once(
        flags, subject, [&] { cluster.process(leader).signal(flags.pause ? SIGSTOP : SIGKILL); }));
    if (flags.pause) {
      cluster.resume(leader);
    } else {
      cluster.process(leader).wait();
      cluster.start(leader);
    }
  }
  std::fputs((flags.json ? json(runs) : table(runs)).c_str(), stdout);
  return 0;
}

int main_of(int count, char** arguments) {
  CLI::App app("Loads on a cluster of Stele, and what they tell.", "stele-bench");
  Flags flags;
  app.require_subcommand(1);
  CLI::App* append_command = app.add_subcommand("append", "Appends, in a closed or an open loop");
  CLI::App* failover_command = app.add_subcommand(
      "failover", "Appends while the leader is killed: `gap` is the longest pause");
  for (CLI::App* command : {append_command, failover_command}) {
    auto* spawn = command->add_option("--spawn", flags.spawn, "Start so many nodes for this")
                      ->check(CLI::Range(1, 7));
    if (command == append_command) {
      command->add_option("--cluster", flags.cluster, "Nodes of a cluster, host:port,…")
          ->delimiter(',')
          ->envname("STELE_CLUSTER")
          ->excludes(spawn);
    } else {
      spawn->required();
      command->add_flag("--pause", flags.pause, "Stop the leader (SIGSTOP) instead of killing it");
    }
    command->add_option("--data", flags.data,
                        "Where their data lies meanwhile; decides which disk is measured");
    command->add_option("--payload-bytes", flags.payload_bytes, "Bytes of each entry")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->add_option("--in-flight", flags.in_flight, "Appends under way")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command->add_option("--connections", flags.connections, "Clients that share them")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    command->add_option("--rate", flags.rate, "Open loop: so many appends a second");
    command->add_option("--seconds", flags.seconds, "Measured time of a run")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command->add_option("--warm-up", flags.warm_up, "Seconds before it")->capture_default_str();
    command->add_option("--repeat", flags.repeat, "Runs; medians are told")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command->add_flag("--json", flags.json, "JSON instead of a table");
  }
  CLI11_PARSE(app, count, arguments);
  if (flags.cluster.empty() && flags.spawn == 0) {
    std::fputs("stele-bench: give --cluster or --spawn\n", stderr);
    return 2;
  }
  return failover_command->parsed() ? failover(flags) : append(flags);
}

}  // namespace
}  // namespace stele::bench

int main(int count, char** arguments) {
  try {
    return stele::bench::main_of(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stele-bench: %s\n", error.what());
    return 1;
  }
}
