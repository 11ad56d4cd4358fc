// stele-compare: Stele and its peers in turn, the same loads on the same machine.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "bench/floor/floor.h"
#include "bench/measure/page.h"
#include "bench/measure/report.h"
#include "bench/peers/peer.h"
#include "bench/stele/stele_subject.h"

namespace stele::bench {
namespace {

/// Seconds of load that every system gets before it is measured.
constexpr double kFirst = 3;

struct Flags {
  std::string data;
  std::vector<std::string> peers;
  std::vector<std::string> loads{"128x1", "128x16", "128x64", "128x256", "128x1024", "1024x1024"};
  double seconds = 3;
  double warm_up = 1;
  std::size_t repeat = 3;
  std::size_t connections = 0;
  bool json = false;
  std::string html;
};

struct Workload {
  std::string name;
  std::size_t payload_bytes = 0;
  std::size_t in_flight = 0;
};

Workload workload_of(const std::string& text) {
  Workload workload;
  workload.name = text;
  if (std::sscanf(text.c_str(), "%zux%zu", &workload.payload_bytes, &workload.in_flight) != 2 ||
      workload.payload_bytes == 0 || workload.in_flight == 0) {
    throw std::runtime_error("'" + text + "' is no load; BYTESxINFLIGHT is, such as 128x1024");
  }
  return workload;
}

/// Stele and the chosen peers.
std::vector<Peer> systems_of(const Flags& flags) {
  std::vector<Peer> all{{"Stele", "synced on a majority; one entry per append, in one order", 4096,
                         [](const std::string& data) -> std::unique_ptr<Subject> {
                           return std::make_unique<SteleSubject>(PeerSubject::kNodes, data);
                         }}};
  const auto known = peers();
  for (const std::string& name : flags.peers) {
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const Peer& peer) { return peer.name == name; });
    if (found == known.end()) throw std::runtime_error("there is no peer '" + name + "'");
    all.push_back(*found);
  }
  if (flags.peers.empty()) all.insert(all.end(), known.begin(), known.end());
  return all;
}

const Column& column(const std::string& name, const std::string& unit) {
  for (const Column& column : columns()) {
    if (column.name == name && column.unit == unit) return column;
  }
  throw std::logic_error("no column " + name);
}

const std::vector<std::pair<std::string, std::string>>& shown_columns() {
  static const std::vector<std::pair<std::string, std::string>> all{{"entries", "/s"},
                                                                    {"p50", "us"},
                                                                    {"p99", "us"},
                                                                    {"p99.9", "us"},
                                                                    {"server CPU", "s/100k"},
                                                                    {"client", "cores"},
                                                                    {"written", "B/B"},
                                                                    {"RssAnon", "MiB"},
                                                                    {"failed", ""}};
  return all;
}

/// By workload and system, in the order of their turns.
using Results = std::map<std::pair<std::string, std::string>, std::vector<Run>>;

std::string text(const std::vector<Workload>& workloads, const std::vector<Peer>& systems,
                 const Results& results) {
  std::string out;
  for (const Workload& workload : workloads) {
    std::vector<std::vector<std::string>> lines(2);
    lines[0] = {workload.name, "Stele is"};
    lines[1] = {"", "times"};
    for (const auto& [name, unit] : shown_columns()) {
      lines[0].push_back(name);
      lines[1].push_back(unit);
    }
    const Column& rate = column("entries", "/s");
    const double own = median_of(results.at({workload.name, "Stele"}), rate);
    for (const Peer& system : systems) {
      const auto& runs = results.at({workload.name, system.name});
      const double its = median_of(runs, rate);
      auto& line = lines.emplace_back();
      line.push_back(system.name);
      line.push_back(its > 0 ? text_of(own / its, 1) : "-");
      for (const auto& [name, unit] : shown_columns()) {
        const Column& shown = column(name, unit);
        line.push_back(text_of(median_of(runs, shown), shown.digits));
      }
    }
    out += aligned(lines);
    const std::string floor = against_floor(results.at({workload.name, "Stele"}));
    out += (floor.empty() ? "" : "Stele's " + floor) + "\n";
  }
  for (const Peer& system : systems) out += system.name + ": " + system.promise + ".\n";
  return out;
}

std::string json_text(const std::vector<Workload>& workloads, const std::vector<Peer>& systems,
                      const Results& results) {
  nlohmann::ordered_json all;
  for (const Workload& workload : workloads) {
    for (const Peer& system : systems) {
      const auto& runs = results.at({workload.name, system.name});
      auto one = nlohmann::ordered_json::parse(json(runs));
      one["system"] = system.name;
      all.push_back(std::move(one));
    }
  }
  return all.dump(2) + "\n";
}

std::vector<Plot> plots(const std::vector<Workload>& workloads, const std::vector<Peer>& systems,
                        const Results& results) {
  std::vector<Plot> all;
  std::vector<std::size_t> sizes;
  for (const Workload& workload : workloads) {
    if (std::find(sizes.begin(), sizes.end(), workload.payload_bytes) == sizes.end()) {
      sizes.push_back(workload.payload_bytes);
    }
  }
  for (const std::size_t bytes : sizes) {
    for (const char* quantile : {"p50", "p99"}) {
      Plot plot{std::string(quantile) + " against throughput, entries of " + std::to_string(bytes) +
                    " bytes, as more are in flight",
                "entries/s",
                std::string(quantile) + ", us",
                true,
                true,
                {}};
      for (const Peer& system : systems) {
        Series series{system.name, {}};
        for (const Workload& workload : workloads) {
          if (workload.payload_bytes != bytes) continue;
          const auto& runs = results.at({workload.name, system.name});
          series.points.emplace_back(median_of(runs, column("entries", "/s")),
                                     median_of(runs, column(quantile, "us")));
        }
        plot.series.push_back(std::move(series));
      }
      all.push_back(std::move(plot));
    }
  }
  return all;
}

int main_of(int count, char** arguments) {
  CLI::App app("Stele and its peers in turn, the same loads on the same machine.", "stele-compare");
  Flags flags;
  app.add_option("--data", flags.data, "Where all data lies meanwhile; decides which disk it is");
  app.add_option("--peers", flags.peers, "Which (all): etcd, ZooKeeper, Redis, NATS JetStream")
      ->delimiter(',');
  app.add_option("--loads", flags.loads, "BYTESxINFLIGHT,…")->delimiter(',')->capture_default_str();
  app.add_option("--seconds", flags.seconds, "Measured time of a run")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--warm-up", flags.warm_up, "Seconds before it")->capture_default_str();
  app.add_option("--repeat", flags.repeat, "Rounds of turns; medians are told")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--connections", flags.connections,
                 "So many for all, instead of what each does best with");
  app.add_flag("--json", flags.json, "JSON instead of a table");
  app.add_option("--html", flags.html, "Write a page with plots there, too");
  CLI11_PARSE(app, count, arguments);

  const auto systems = systems_of(flags);
  std::vector<Workload> workloads;
  for (const std::string& load : flags.loads) workloads.push_back(workload_of(load));

  Results results;
  for (std::size_t round = 1; round <= flags.repeat; ++round) {
    const double floor_us = append_floor_us(flags.data);
    for (const Peer& system : systems) {
      const auto subject = system.start(flags.data);
      const auto run = [&](const Workload& workload, double warm_up, double seconds) {
        LoadOptions load;
        load.payload_bytes = workload.payload_bytes;
        load.in_flight = workload.in_flight;
        load.warm_up = std::chrono::milliseconds(static_cast<int>(warm_up * 1000));
        load.duration = std::chrono::milliseconds(static_cast<int>(seconds * 1000));
        const std::size_t connections =
            flags.connections != 0
                ? flags.connections
                : std::clamp<std::size_t>(workload.in_flight / system.per_connection, 1, 16);
        return measure(*subject, load, std::min(workload.in_flight, connections));
      };
      (void)run({"", 128, 256}, 0, kFirst);  // Some compile their code only while it runs.
      for (const Workload& workload : workloads) {
        const Progress progress("round " + std::to_string(round) + " of " +
                                std::to_string(flags.repeat) + ": " + system.name + ", " +
                                workload.name);
        Run& done = results[{workload.name, system.name}].emplace_back(
            run(workload, flags.warm_up, flags.seconds));
        if (&system == &systems.front() && workload.in_flight == 1) done.floor_us = floor_us;
        progress.done(done);
      }
    }
  }
  const std::string told = text(workloads, systems, results);
  if (!flags.html.empty()) {
    write_page(flags.html, page("Stele and its peers", plots(workloads, systems, results), told));
  }
  std::fputs((flags.json ? json_text(workloads, systems, results) : told).c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace stele::bench

int main(int count, char** arguments) {
  return stele::bench::run_main("stele-compare", stele::bench::main_of, count, arguments);
}
