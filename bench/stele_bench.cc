// stele-bench: loads on a cluster of Stele, through its client library, and what they tell.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "bench/report.h"
#include "bench/stele_subject.h"

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

std::unique_ptr<SteleSubject> subject_of(const Flags& flags) {
  return flags.spawn != 0 ? std::make_unique<SteleSubject>(flags.spawn, flags.data)
                          : std::make_unique<SteleSubject>(flags.cluster);
}

LoadOptions load_of(const Flags& flags) {
  const auto ms = [](double seconds) {
    return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
  };
  LoadOptions load;
  load.payload_bytes = flags.payload_bytes;
  load.in_flight = flags.in_flight;
  load.rate = flags.rate;
  load.warm_up = ms(flags.warm_up);
  load.duration = ms(flags.seconds);
  return load;
}

void print(const Flags& flags, const std::vector<Run>& runs) {
  std::fputs((flags.json ? json(runs) : table(runs)).c_str(), stdout);
}

int append(const Flags& flags) {
  const auto subject = subject_of(flags);
  std::vector<Run> runs;
  for (std::size_t i = 0; i < flags.repeat; ++i) {
    const Progress progress("run " + std::to_string(i + 1) + " of " + std::to_string(flags.repeat));
    runs.push_back(measure(*subject, load_of(flags), flags.connections));
  }
  print(flags, runs);
  return 0;
}

/// The leader is taken away under load, and comes back before the next time.
int failover(const Flags& flags) {
  const auto subject = subject_of(flags);
  test::Cluster& cluster = *subject->own();
  std::vector<Run> runs;
  for (std::size_t i = 0; i < flags.repeat; ++i) {
    if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
    const std::uint64_t leader = cluster.leader();
    LoadOptions load = load_of(flags);
    load.at_half = [&] { cluster.process(leader).signal(flags.pause ? SIGSTOP : SIGKILL); };
    runs.push_back(measure(*subject, load, flags.connections));
    if (flags.pause) {
      cluster.resume(leader);
    } else {
      cluster.process(leader).wait();
      cluster.start(leader);
    }
  }
  print(flags, runs);
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
  return stele::bench::run_main("stele-bench", stele::bench::main_of, count, arguments);
}
