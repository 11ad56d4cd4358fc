// Figures as people and programs read them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/measure/load.h"
#include "bench/measure/page.h"
#include "bench/measure/usage.h"

namespace stele::bench {

/// One repetition of one load.
struct Run {
  std::size_t payload_bytes = 0;
  std::size_t in_flight = 0;
  std::size_t connections = 0;
  std::size_t clients = 0;  ///< Which share the connections; 0: one for each.
  double rate = 0;          ///< Open loop; 0: closed.
  LoadResult load;
  Usage servers;  ///< Nothing if the cluster is not this program's own.
  Usage client;
  std::uint64_t stored = 0;  ///< Entries that the log has grown by.
  double floor_us = 0;       ///< Of one append, a little before it; 0: not measured.
};

/// The main function of a program of this directory: what is thrown is told, and ends it with 1.
int run_main(const char* program, int (*main_of)(int, char**), int count, char** arguments);

struct Column {
  std::string name;
  std::string unit;
  std::string key;  ///< In JSON.
  double (*of)(const Run&);
  int digits;
};
[[nodiscard]] const std::vector<Column>& columns();

/// One line on the terminal, if there is one, while something takes its time. The line goes with
/// the object.
class Progress {
 public:
  explicit Progress(const std::string& what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Leaves a line with the figures of `run`, in case the program is broken off later.
  void done(const Run& run) const;

 private:
  std::string what_;
};

/// The repetition whose throughput is the median one.
[[nodiscard]] const Run& median(const std::vector<Run>& runs);

[[nodiscard]] double median_of(const std::vector<Run>& runs, const Column& column);
[[nodiscard]] std::string text_of(double value, int digits);
/// Lines of equally many cells, each column as wide as it must be.
[[nodiscard]] std::string aligned(const std::vector<std::vector<std::string>>& lines);

/// A table with a line for each repetition, and the medians of every column.
[[nodiscard]] std::string table(const std::vector<Run>& runs);
/// `more`: figures beside those of the runs, by name.
[[nodiscard]] std::string json(const std::vector<Run>& runs,
                               const std::map<std::string, double>& more = {});
/// A sentence on p50 as a multiple of the floor; empty if that was not measured.
[[nodiscard]] std::string against_floor(const std::vector<Run>& runs);
/// A sentence on the appends of an open loop that had to wait for others; empty if there were none.
[[nodiscard]] std::string late_ones(const std::vector<Run>& runs);
/// Throughput and latency of the runs over time.
[[nodiscard]] std::vector<Plot> plots_over_time(const std::vector<Run>& runs);

}  // namespace stele::bench
