// A cluster that a load is for, and one measured run of appends on it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "bench/measure/load.h"
#include "bench/measure/report.h"

namespace stele::bench {

class Subject {
 public:
  virtual ~Subject() = default;
  /// Something that appends to it, with so many appends at once under way over so many connections.
  [[nodiscard]] virtual std::unique_ptr<Target> target(asio::io_context& context,
                                                       std::size_t in_flight,
                                                       std::size_t connections) = 0;
  /// Its servers; none if they are not this program's own.
  [[nodiscard]] virtual std::vector<pid_t> processes() = 0;
  /// How many entries it holds, as far as it tells.
  [[nodiscard]] virtual std::optional<std::uint64_t> entries() { return std::nullopt; }
};

/// Runs `load` on `subject`, and compares what was acknowledged with what the log has grown by.
/// Throws if more was acknowledged than is there, or if more is there than can have been appended.
[[nodiscard]] Run measure(Subject& subject, LoadOptions load, std::size_t connections);

}  // namespace stele::bench
