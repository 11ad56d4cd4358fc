// What clients saw of a log, and whether the logs bear it out. Knows nothing of the protocol.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace stele::test {

/// One append as its caller saw it. Payloads are unique over the whole history.
struct Append {
  enum class Fate : std::uint8_t { acknowledged, refused, unknown };

  std::uint64_t writer = 0;
  std::string payload;
  std::int64_t began = 0;  ///< Any clock that all writers share.
  std::int64_t ended = 0;
  Fate fate = Fate::unknown;
  std::uint64_t lsn = 0;  ///< If acknowledged.
};

struct History {
  std::vector<Append> appends;      ///< Of each writer in the order of its calls.
  std::vector<std::string> tailed;  ///< What a tail delivered,
  std::uint64_t tailed_from = 1;    ///< beginning with this LSN.
};

/// Every log is a vector of payloads, entry 1 first. Returns what is wrong, one sentence each;
/// nothing if: the logs are equal; every acknowledged entry is in them at its LSN; nothing is in
/// them twice, or was refused, or was never appended; each writer's entries stand in the order of
/// its calls; an append that ended before another began stands before it; the tail saw exactly the
/// log.
[[nodiscard]] std::vector<std::string> check(const History& history,
                                             const std::vector<std::vector<std::string>>& logs);

}  // namespace stele::test
