// stele-bench: loads on a cluster of Stele, through its client library, and what they tell.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

#include "bench/floor/floor.h"
#include "bench/measure/page.h"
#include "bench/measure/report.h"
#include "bench/stele/stele_reads.h"
#include "bench/stele/stele_recovery.h"
#include "bench/stele/stele_retention.h"
#include "bench/stele/stele_subject.h"

namespace stele::bench {
namespace {

struct Flags {
  std::vector<std::string> cluster;
  std::size_t spawn = 0;
  std::string data;
  std::size_t payload_bytes = 128;
  std::size_t in_flight = 1024;
  std::size_t connections = 1;
  std::size_t clients = 0;
  double rate = 0;
  double seconds = 5;
  double warm_up = 1;
  std::size_t repeat = 3;
  bool json = false;
  std::string html;
  std::size_t fill_mb = 0;    // append: so much payload in the log first.
  std::size_t log_mb = 1000;  // read, restart, catch-up: so much payload in the log.
  std::size_t retain_mb = 0;  // retention, absence: so much stays.
  bool random = false;        // read: single entries anywhere.
  bool local = false;         // read: from one node's own state.
  bool push = false;          // read: all entries, as a tail.
  bool pause = false;         // failover: SIGSTOP instead of SIGKILL.
};

std::unique_ptr<SteleSubject> subject_of(const Flags& flags) {
  return flags.spawn != 0 ? std::make_unique<SteleSubject>(flags.spawn, flags.data)
                          : std::make_unique<SteleSubject>(flags.cluster);
}

std::chrono::milliseconds ms(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

LoadOptions load_of(const Flags& flags) {
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

/// As often as it should be repeated.
std::vector<Run> repeat(const Flags& flags, const std::function<Run()>& once) {
  std::vector<Run> runs;
  for (std::size_t i = 0; i < flags.repeat; ++i) {
    const Progress progress("run " + std::to_string(i + 1) + " of " + std::to_string(flags.repeat));
    runs.push_back(once());
    progress.done(runs.back());
  }
  return runs;
}

int append(const Flags& flags) {
  const auto subject = subject_of(flags);
  subject->set_clients(flags.clients);
  if (flags.fill_mb != 0) fill(*subject, flags.payload_bytes, flags.fill_mb * 1'000'000);
  const auto runs = repeat(flags, [&] {
    double floor_us = 0;
    // The one that started the nodes knows their disk, and that they have nothing else to do.
    if (flags.spawn != 0 && flags.in_flight == 1 && flags.rate == 0) {
      if (!subject->own()->settle()) throw std::runtime_error("the nodes do not agree");
      floor_us = append_floor_us(flags.data);
    }
    Run run = measure(*subject, load_of(flags), flags.connections);
    run.clients = flags.clients;
    run.floor_us = floor_us;
    return run;
  });
  const std::string text = table(runs) + against_floor(runs) + late_ones(runs);
  std::fputs((flags.json ? json(runs) : text).c_str(), stdout);
  if (!flags.html.empty()) {
    write_page(flags.html, page("stele-bench append", plots_over_time(runs), text));
  }
  return 0;
}

/// The leader is taken away under load, and comes back before the next time.
int failover(const Flags& flags) {
  const auto subject = subject_of(flags);
  test::Cluster& cluster = *subject->own();
  print(flags, repeat(flags, [&] {
          if (!cluster.settle()) throw std::runtime_error("the nodes do not agree");
          const std::uint64_t leader = cluster.leader();
          LoadOptions load = load_of(flags);
          load.at_half = [&] { cluster.process(leader).signal(flags.pause ? SIGSTOP : SIGKILL); };
          Run run = measure(*subject, load, flags.connections);
          if (flags.pause) {
            cluster.resume(leader);
          } else {
            cluster.process(leader).wait();
            cluster.start(leader);
          }
          return run;
        }));
  return 0;
}

/// Reads of a log that is filled first, if it is this program's own.
int read(const Flags& flags) {
  const auto subject = subject_of(flags);
  if (subject->own() != nullptr) fill(*subject, flags.payload_bytes, flags.log_mb * 1'000'000);
  ReadLoad load;
  load.lsn_end = Lsn{*subject->entries()};
  load.random = flags.random;
  load.readers = flags.connections;
  load.in_flight = flags.in_flight;
  load.linearizable = !flags.local;
  load.tail = flags.push;
  load.warm_up = ms(flags.warm_up);
  load.duration = ms(flags.seconds);
  print(flags, repeat(flags, [&] {
          Run run = measure_reads(*subject, load);
          run.payload_bytes = flags.payload_bytes;
          return run;
        }));
  return 0;
}

int tail(const Flags& flags) {
  const auto subject = subject_of(flags);
  print(flags,
        repeat(flags, [&] { return measure_tails(*subject, load_of(flags), flags.connections); }));
  return 0;
}

int restart(const Flags& flags) {
  const auto subject = subject_of(flags);
  const Run empty = measure_starts(*subject, flags.payload_bytes, flags.repeat);
  fill(*subject, flags.payload_bytes, flags.log_mb * 1'000'000);
  const Run filled = measure_starts(*subject, flags.payload_bytes, flags.repeat);
  if (flags.json) {
    print(flags, {empty, filled});
    return 0;
  }
  const auto tell = [](const std::string& what, const Run& run) {
    std::printf("%s: first acknowledged append p50 %.0f ms, max %.0f ms after the start\n",
                what.c_str(), static_cast<double>(run.load.latency.at(0.5)) / 1e6,
                static_cast<double>(run.load.latency.max()) / 1e6);
  };
  tell("empty log", empty);
  tell(std::to_string(flags.log_mb) + " MB", filled);
  return 0;
}

int catch_up(const Flags& flags) {
  const auto subject = subject_of(flags);
  const CatchUp done = measure_catch_up(*subject, load_of(flags), flags.log_mb * 1'000'000);
  if (flags.json) {
    const std::map<std::string, double> figures{{"mb_per_s", done.bytes_per_second() / 1e6},
                                                {"share", done.share()}};
    std::fputs(json({done.before, done.during, done.after}, figures).c_str(), stdout);
    return 0;
  }
  std::printf(
      "%.0f MB in %.2f s: %.0f MB/s; appends meanwhile %.0f/s, %.2f of what they were: "
      "%.0f/s before, %.0f/s after\n",
      done.payload_bytes / 1e6, done.seconds, done.bytes_per_second() / 1e6,
      done.during.load.per_second(), done.share(), done.before.load.per_second(),
      done.after.load.per_second());
  return 0;
}

/// The median of what `of` says of each pair.
double median_ratio(const std::vector<std::pair<Run, Run>>& pairs,
                    const std::function<double(const Run&)>& of) {
  std::vector<double> ratios;
  ratios.reserve(pairs.size());
  for (const auto& [with, without] : pairs) ratios.push_back(of(with) / of(without));
  std::ranges::sort(ratios);
  return ratios[ratios.size() / 2];
}

int retention(const Flags& flags) {
  SteleSubject trimmed(flags.spawn, flags.data);
  SteleSubject plain(flags.spawn, flags.data);
  const Retained found =
      measure_retention(trimmed, plain, load_of(flags), flags.retain_mb * 1'000'000,
                        flags.log_mb * 1'000'000, flags.repeat);
  std::vector<Run> runs;
  for (const auto& [with, without] : found.pairs) {
    runs.push_back(with);
    runs.push_back(without);
  }
  const double throughput =
      median_ratio(found.pairs, [](const Run& run) { return run.load.per_second(); });
  const double p99 = median_ratio(
      found.pairs, [](const Run& run) { return static_cast<double>(run.load.latency.at(0.99)); });
  const auto mb = [](std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; };
  const std::map<std::string, double> figures{
      {"fill_per_s", found.fill_per_second},
      {"disk_mb_first_half", mb(found.first_half_bytes)},
      {"disk_mb_second_half", mb(found.second_half_bytes)},
      {"disk_mb_second_half_low", mb(found.second_half_low)},
      {"throughput_ratio", throughput},
      {"p99_ratio", p99}};
  if (flags.json) {
    std::fputs(json(runs, figures).c_str(), stdout);
    return 0;
  }
  std::printf(
      "%zu MB appended, %zu MB kept: the fullest node took %.0f MB at most, %.0f to %.0f MB over "
      "the second half; %.0f appends/s\n",
      flags.log_mb, flags.retain_mb, mb(found.first_half_bytes), mb(found.second_half_low),
      mb(found.second_half_bytes), found.fill_per_second);
  std::printf("trimmed and not, in turn:\n%s", table(runs).c_str());
  std::printf("medians of the ratios: throughput %.2f, p99 %.2f\n", throughput, p99);
  return 0;
}

int absence(const Flags& flags) {
  const auto subject = subject_of(flags);
  const Absence done = measure_absence(*subject, load_of(flags), flags.retain_mb * 1'000'000,
                                       flags.log_mb * 1'000'000);
  if (flags.json) {
    const std::map<std::string, double> figures{{"votes_s", done.votes_s},
                                                {"copied_s", done.copied_s},
                                                {"copied_mb", done.copied_bytes / 1e6},
                                                {"copied_mb_per_s", done.copied_per_second() / 1e6},
                                                {"share", done.share()}};
    std::fputs(json({done.before, done.during, done.after}, figures).c_str(), stdout);
    return 0;
  }
  std::printf(
      "votes %.2f s after its start, has everything after %.1f s: %.0f MB copied, %.0f MB/s; "
      "appends meanwhile %.2f of what they were\n%s",
      done.votes_s, done.copied_s, done.copied_bytes / 1e6, done.copied_per_second() / 1e6,
      done.share(), table({done.before, done.during, done.after}).c_str());
  return 0;
}

/// What all loads have in common.
void add_load(CLI::App& command, Flags& flags) {
  command.add_option("--data", flags.data,
                     "Where their data lies meanwhile; decides which disk is measured");
  command.add_option("--payload-bytes", flags.payload_bytes, "Bytes of each entry")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--in-flight", flags.in_flight, "Appends under way")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--connections", flags.connections,
                  "Connections, of one client each, that share them")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("--seconds", flags.seconds, "Measured time of a run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--warm-up", flags.warm_up, "Seconds before it")->capture_default_str();
  command.add_option("--repeat", flags.repeat, "Runs; medians are told")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_flag("--json", flags.json, "JSON instead of a table");
}

void add_append(CLI::App& command, Flags& flags) {
  command.add_option("--rate", flags.rate, "Open loop: so many appends a second");
  command
      .add_option("--clients", flags.clients,
                  "Clients, each with a session of its own, that share the connections (default: "
                  "one for each connection)")
      ->check(CLI::Range(1, 10000));
  command.add_option("--html", flags.html, "Write a page with plots there, too");
  command.add_option("--fill-mb", flags.fill_mb, "So much payload in the log first, in 10^6 bytes");
}

void add_read(CLI::App& command, Flags& flags) {
  command.add_flag("--random", flags.random, "Single entries, anywhere");
  command.add_flag("--local", flags.local, "From one node's own state, not linearizable");
  command.add_flag("--push", flags.push, "As a tail: pushed, not asked for");
}

void add_retain(CLI::App& command, Flags& flags) {
  command.add_option("--retain-mb", flags.retain_mb, "So much of the log stays, in 10^6 bytes")
      ->required()
      ->check(CLI::PositiveNumber);
}

/// What makes no sense together, as a sentence; null if nothing.
const char* fault(const Flags& flags, bool appends) {
  if (flags.cluster.empty() && flags.spawn == 0) return "give --cluster or --spawn";
  if (flags.clients != 0 && flags.clients < flags.connections)
    return "--clients is at least --connections";
  if (flags.clients > flags.in_flight) return "--in-flight is at least --clients";
  if (appends && flags.rate == 0 && flags.connections > flags.in_flight)
    return "--in-flight is at least --connections";
  return nullptr;
}

int main_of(int count, char** arguments) {
  CLI::App app("Loads on a cluster of Stele, and what they tell.", "stele-bench");
  Flags flags;
  app.require_subcommand(1);
  std::map<CLI::App*, int (*)(const Flags&)> commands;
  const auto add = [&](const char* name, const char* what, int (*act)(const Flags&)) {
    CLI::App* command = app.add_subcommand(name, what);
    commands[command] = act;
    return command;
  };
  CLI::App* append_command = add("append", "Appends, in a closed or an open loop", append);
  add_append(*append_command, flags);
  CLI::App* read_command =
      add("read", "Reads through the log from its beginning, or single entries", read);
  add_read(*read_command, flags);
  add("tail",
      "Clients that follow the log while appends are under way; latency is that from the "
      "append to the tail",
      tail);
  CLI::App* failover_command =
      add("failover", "Appends while the leader is killed: `gap` is the longest pause", failover);
  failover_command->add_flag("--pause", flags.pause,
                             "Stop the leader (SIGSTOP) instead of killing it");
  CLI::App* restart_command = add(
      "restart", "All nodes are killed and started again, with an empty and a filled log", restart);
  CLI::App* catch_up_command = add(
      "catch-up", "A follower is killed, the log grows, and it comes back under load", catch_up);
  CLI::App* retention_command =
      add("retention",
          "A log that is trimmed: what its nodes take of the disk, and its speed beside one that "
          "is not",
          retention);
  CLI::App* absence_command =
      add("absence",
          "A follower is away until the others have trimmed what it lacks, and comes back under "
          "load",
          absence);
  add_retain(*retention_command, flags);
  add_retain(*absence_command, flags);
  for (CLI::App* command :
       {read_command, restart_command, catch_up_command, retention_command, absence_command}) {
    command->add_option("--fill-mb", flags.log_mb, "Payload in a log of its own, in 10^6 bytes")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
  }
  const std::set<CLI::App*> own{failover_command, restart_command, catch_up_command,
                                retention_command, absence_command};
  for (const auto& [command, act] : commands) {
    auto* spawn = command->add_option("--spawn", flags.spawn, "Start so many nodes for this")
                      ->check(CLI::Range(1, 7));
    if (own.contains(command)) {
      spawn->required();
    } else {
      command->add_option("--cluster", flags.cluster, "Nodes of a cluster, host:port,…")
          ->delimiter(',')
          ->envname("STELE_CLUSTER")
          ->excludes(spawn);
    }
    add_load(*command, flags);
  }
  CLI11_PARSE(app, count, arguments);
  if (const char* wrong = fault(flags, append_command->parsed())) {
    std::fprintf(stderr, "stele-bench: %s\n", wrong);
    return 2;
  }
  for (const auto& [command, act] : commands) {
    if (command->parsed()) return act(flags);
  }
  return 2;
}

}  // namespace
}  // namespace stele::bench

int main(int count, char** arguments) {
  return stele::bench::run_main("stele-bench", stele::bench::main_of, count, arguments);
}
