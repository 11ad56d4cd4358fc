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
  std::uint64_t lsn = 0;  ///< If acknowledged; 0: it was not told.
  /// If an append is not in the log, its writer wants no later one of its own in it.
  bool stops_at_failure = false;
};

/// One read as its caller saw it; only reads that were answered are listed.
struct Read {
  bool linearizable = true;  ///< Otherwise one node's own state, which may lag.
  std::int64_t began = 0;
  std::int64_t ended = 0;
  std::uint64_t from = 1;  ///< The LSN of the first entry.
  std::vector<std::string> entries;
  std::uint64_t end = 1;  ///< One past the last entry that was there.
};

/// What a tail delivered, beginning with the LSN `from`.
struct Tail {
  std::uint64_t from = 1;
  std::vector<std::string> entries;
  bool whole = true;  ///< It was waited for: nothing may be missing at its end.
};

/// A reader was told that entries are trimmed, and where the log begins.
struct Trimmed {
  std::uint64_t from = 1;
  std::uint64_t first = 1;
};

struct History {
  std::vector<Append> appends;  ///< Of each writer in the order of its calls.
  std::vector<Read> reads;
  std::vector<Tail> tails;
  std::vector<Trimmed> trimmed;
  std::uint64_t trimmed_below = 1;  ///< The highest first LSN that a trim was answered with.
};

/// Every log is a vector of payloads, entry 1 first. Returns what is wrong, one sentence each;
/// nothing if: the logs are equal; every acknowledged entry is in them at its LSN; nothing is in
/// them twice, or was refused, or was never appended; each writer's entries stand in the order of
/// its calls, and of one that stops at failures a beginning of them; an append that ended before
/// another began stands before it; reads and tails saw nothing but the log, and a linearizable read
/// all that was acknowledged, or read so, before it began, and nothing that was appended after it
/// had ended.
[[nodiscard]] std::vector<std::string> check(const History& history,
                                             const std::vector<std::vector<std::string>>& logs);

}  // namespace stele::test
