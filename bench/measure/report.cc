#include "bench/measure/report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>

namespace stele::bench {
namespace {

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1000; }

double per_100k(double amount, const Run& run) {
  return run.load.acknowledged == 0 ? 0
                                    : amount * 100'000 / static_cast<double>(run.load.acknowledged);
}

double floor_of(const Run& run) { return run.floor_us; }
double times_the_floor(const Run& run) { return us(run.load.latency.at(0.5)) / run.floor_us; }

template <class Of>
double median_of(const std::vector<Run>& runs, Of of) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(of(run));
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

const std::vector<Column>& columns() {
  static const std::vector<Column> all{
      {"entries", "/s", "entries_per_s", [](const Run& r) { return r.load.per_second(); }, 0},
      {"payload", "MB/s", "payload_mb_per_s",
       [](const Run& r) {
         return r.load.per_second() * static_cast<double>(r.payload_bytes) / 1e6;
       },
       1},
      {"p50", "us", "p50_us", [](const Run& r) { return us(r.load.latency.at(0.5)); }, 0},
      {"p90", "us", "p90_us", [](const Run& r) { return us(r.load.latency.at(0.9)); }, 0},
      {"p99", "us", "p99_us", [](const Run& r) { return us(r.load.latency.at(0.99)); }, 0},
      {"p99.9", "us", "p99_9_us", [](const Run& r) { return us(r.load.latency.at(0.999)); }, 0},
      {"max", "us", "max_us", [](const Run& r) { return us(r.load.latency.max()); }, 0},
      {"gap", "ms", "gap_ms", [](const Run& r) { return us(r.load.longest_gap_ns) / 1000; }, 1},
      {"client", "cores", "client_cores",
       [](const Run& r) { return r.load.seconds > 0 ? r.client.cpu_seconds / r.load.seconds : 0; },
       2},
      {"server CPU", "s/100k", "server_cpu_s_per_100k",
       [](const Run& r) { return per_100k(r.servers.cpu_seconds, r); }, 3},
      {"client CPU", "s/100k", "client_cpu_s_per_100k",
       [](const Run& r) { return per_100k(r.client.cpu_seconds, r); }, 3},
      {"written", "B/B", "written_bytes_per_byte",
       [](const Run& r) {
         return per_100k(static_cast<double>(r.servers.written_bytes), r) / 100'000 /
                static_cast<double>(r.payload_bytes);
       },
       2},
      {"wake-ups", "/entry", "wake_ups_per_entry",
       [](const Run& r) { return per_100k(static_cast<double>(r.servers.switches), r) / 100'000; },
       2},
      {"RssAnon", "MiB", "rss_anon_mib",
       [](const Run& r) { return static_cast<double>(r.servers.rss_anon_bytes) / (1 << 20); }, 1},
      {"failed", "", "failed", [](const Run& r) { return static_cast<double>(r.load.failed); }, 0},
  };
  return all;
}

int run_main(const char* program, int (*main_of)(int, char**), int count, char** arguments) {
  try {
    return main_of(count, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 1;
  }
}

Progress::Progress(const std::string& what) : what_(what) {
  if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[K%s", what.c_str());
}

void Progress::done(const Run& run) const {
  if (::isatty(STDERR_FILENO) != 1) return;
  std::fprintf(stderr, "\r\033[K%s: %.0f/s, p50 %.0f us, p99 %.0f us\n", what_.c_str(),
               run.load.per_second(), us(run.load.latency.at(0.5)), us(run.load.latency.at(0.99)));
}

Progress::~Progress() {
  if (::isatty(STDERR_FILENO) == 1) std::fputs("\r\033[K", stderr);
}

double median_of(const std::vector<Run>& runs, const Column& column) {
  return median_of(runs, column.of);
}

const Run& median(const std::vector<Run>& runs) {
  std::vector<const Run*> sorted;
  for (const Run& run : runs) sorted.push_back(&run);
  std::sort(sorted.begin(), sorted.end(),
            [](const Run* a, const Run* b) { return a->load.per_second() < b->load.per_second(); });
  return *sorted[(sorted.size() - 1) / 2];
}

std::string text_of(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string aligned(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += std::string(widths[i] - line[i].size(), ' ') + line[i] +
              (i + 1 < line.size() ? "  " : "\n");
    }
  }
  return text;
}

std::string table(const std::vector<Run>& runs) {
  std::vector<std::vector<std::string>> lines(2);
  lines[0].emplace_back("");
  lines[1].emplace_back("");
  for (const Column& column : columns()) {
    lines[0].push_back(column.name);
    lines[1].push_back(column.unit);
  }
  const auto add = [&](const std::string& name, auto value_of) {
    auto& line = lines.emplace_back();
    line.push_back(name);
    for (const Column& column : columns()) line.push_back(text_of(value_of(column), column.digits));
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    add("run " + std::to_string(i + 1), [&](const Column& column) { return column.of(runs[i]); });
  }
  if (runs.size() > 1) {
    add("median", [&](const Column& column) { return median_of(runs, column); });
  }
  return aligned(lines);
}

std::string against_floor(const std::vector<Run>& runs) {
  const double floor_us = median_of(runs, floor_of);
  if (floor_us <= 0) return {};
  return "p50 is " + text_of(median_of(runs, times_the_floor), 2) + " times the floor of " +
         text_of(floor_us, 0) +
         " us, measured anew for each: a sync of 4 KiB and two round trips, three processes at "
         "once\n";
}

std::string late_ones(const std::vector<Run>& runs) {
  std::uint64_t late = 0;
  for (const Run& run : runs) late += run.load.late;
  if (late == 0) return {};
  return std::to_string(late) + " appends had to wait because " +
         std::to_string(runs.front().in_flight) +
         " were under way; their latencies count from when they were due\n";
}

std::vector<Plot> plots_over_time(const std::vector<Run>& runs) {
  Plot throughput{"Throughput over time", "seconds", "acknowledged entries/s", false, false, {}};
  Plot latency{
      "Latency over time: the mean and the worst of every 50 ms", "seconds", "us", false, true, {}};
  const double step = std::chrono::duration<double>(LoadResult::kInterval).count();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string name = "run " + std::to_string(i + 1);
    Series rate{name, {}};
    Series mean{name + ", mean", {}};
    Series worst{name + ", worst", {}};
    for (std::size_t at = 0; at < runs[i].load.intervals.size(); ++at) {
      const LoadResult::Interval& interval = runs[i].load.intervals[at];
      const double time = step * static_cast<double>(at);
      const auto count = static_cast<double>(interval.acknowledged);
      rate.points.emplace_back(time, count / step);
      if (count > 0) mean.points.emplace_back(time, us(interval.sum_ns) / count);
      if (count > 0) worst.points.emplace_back(time, us(interval.max_ns));
    }
    throughput.series.push_back(std::move(rate));
    latency.series.push_back(std::move(mean));
    latency.series.push_back(std::move(worst));
  }
  return {throughput, latency};
}

std::string json(const std::vector<Run>& runs, const std::map<std::string, double>& more) {
  const Run& first = runs.front();
  nlohmann::ordered_json all{{"payload_bytes", first.payload_bytes},
                             {"in_flight", first.in_flight},
                             {"connections", first.connections},
                             {"clients", std::max(first.clients, first.connections)},
                             {"rate", first.rate}};
  for (const Run& run : runs) {
    nlohmann::ordered_json figures;
    for (const Column& column : columns()) figures[column.key] = column.of(run);
    figures["seconds"] = run.load.seconds;
    figures["acknowledged"] = run.load.acknowledged;
    figures["late"] = run.load.late;
    figures["stored"] = run.stored;
    all["runs"].push_back(figures);
  }
  for (const auto& [name, figure] : more) all[name] = figure;
  if (first.floor_us > 0) {
    all["floor_us"] = median_of(runs, floor_of);
    all["p50_per_floor"] = median_of(runs, times_the_floor);
  }
  for (const Column& column : columns()) all["median"][column.key] = median_of(runs, column);
  return all.dump(2) + "\n";
}

}  // namespace stele::bench
