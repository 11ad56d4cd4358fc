// One client's session: which sequences it has consumed, and what became of the latest.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/outcome.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Part of the replicated state: changed only by applying slots, equal on all nodes.
class Session {
 public:
  Session() = default;
  Session(std::uint32_t window, std::uint64_t ttl_us, std::uint64_t opened_at_us)
      : window_(window), ttl_us_(ttl_us), active_at_us_(opened_at_us) {}

  [[nodiscard]] bool expired(std::uint64_t log_time_us) const {
    return log_time_us - active_at_us_ > ttl_us_;
  }
  void touch(std::uint64_t log_time_us) { active_at_us_ = log_time_us; }

  [[nodiscard]] std::uint64_t active_at_us() const { return active_at_us_; }

  /// The last sequence consumed. The next command must begin at or before the one after it.
  [[nodiscard]] Sequence last() const { return last_; }

  /// Consumes the `count` sequences after last(), all with the same outcome (`lsn` of the first, if
  /// it is ok), and remembers it.
  void consume(std::uint32_t count, Outcome outcome, Lsn lsn);
  /// Forgets what the client has acknowledged, and what lies before the window.
  void forget(Sequence acked);
  /// Runs of outcomes that are remembered: what it takes in memory.
  [[nodiscard]] std::size_t remembered() const { return runs_.size() - forgotten_; }
  /// Forgets the oldest run. Requires that there is one.
  void forget_oldest();
  /// What is remembered of [first, first + count), all at or before last(); `forgotten` for the
  /// rest.
  void recall(SessionId id, Sequence first, std::uint32_t count,
              std::vector<CommandResult>& out) const;

  [[nodiscard]] std::vector<std::byte> serialize() const;
  /// Whether it has changed since it was stored last, which is for its owner to say; not stored.
  [[nodiscard]] bool changed() const { return changed_; }
  void set_changed(bool changed) { changed_ = changed; }
  static Result<Session> parse(std::span<const std::byte> bytes);
  /// States its invariants: the first that does not hold, as a sentence; else empty.
  [[nodiscard]] std::string check() const;

 private:
  /// Consecutive sequences with one outcome and consecutive LSNs.
  struct Run {
    Sequence first;
    std::uint32_t count;
    Outcome outcome;
    Lsn lsn;
  };

  void drop_forgotten();

  [[nodiscard]] std::span<const Run> runs() const { return std::span(runs_).subspan(forgotten_); }

  bool changed_ = false;
  std::uint32_t window_ = 0;
  std::uint64_t ttl_us_ = 0;
  std::uint64_t active_at_us_ = 0;
  Sequence last_;
  std::vector<Run> runs_;      // Ascending, dense up to last_.
  std::size_t forgotten_ = 0;  // How many of the first runs_ are forgotten.
};

}  // namespace stele::log
