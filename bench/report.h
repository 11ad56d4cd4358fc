// Figures as people and programs read them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/load.h"
#include "bench/usage.h"

namespace stele::bench {

/// One repetition of one load.
struct Run {
  std::size_t payload_bytes = 0;
  std::size_t in_flight = 0;
  std::size_t connections = 0;
  double rate = 0;  ///< Open loop; 0: closed.
  LoadResult load;
  Usage servers;  ///< Nothing if the cluster is not this program's own.
  Usage client;
  std::uint64_t stored = 0;  ///< Entries that the log has grown by.
};

struct Column {
  std::string name;
  std::string unit;
  double (*of)(const Run&);
  int digits;
};
[[nodiscard]] const std::vector<Column>& columns();

/// The repetition whose throughput is the median one.
[[nodiscard]] const Run& median(const std::vector<Run>& runs);

/// A table with a line for each repetition, and the medians of every column.
[[nodiscard]] std::string table(const std::vector<Run>& runs);
[[nodiscard]] std::string json(const std::vector<Run>& runs);

}  // namespace stele::bench
