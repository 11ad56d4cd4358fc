// A part of the replicated state: what it remembers, how commands change it, and its rows in the
// store's tables.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "log/format/command.h"
#include "log/format/rows.h"
#include "paxos/base/outcome.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Where and when a command is applied. What follows depends on this, on the command and on the
/// section alone: equal on all nodes, whatever program applies it.
struct Applying {
  Slot slot;
  std::uint16_t format = kLogFormat;  ///< Of the batch: what the rules of applying it are.
  std::uint64_t log_time_us = 0;
  Lsn first_lsn{};  ///< Before this command.
  Lsn next_lsn{};   ///< Before this command.
};

/// What a command has done.
struct Effect {
  Outcome outcome = Outcome::ok;
  Lsn lsn;  ///< Told and remembered, if the outcome is ok; what it means is the section's affair.
  Lsn trim_to;  ///< If not {}: entries below are trimmed. Not below first_lsn, nor above next_lsn.

  // NOLINTNEXTLINE(google-explicit-constructor): an outcome is an effect, and most are no more.
  Effect(Outcome o, Lsn told = {}, Lsn trim = {}) : outcome(o), lsn(told), trim_to(trim) {}
};

/// Changed only by applying slots, in their order. Commands of its kinds come to it once each, in
/// the order of their client. One thread.
class Section {
 public:
  virtual ~Section() = default;

  /// Whether a command of one of its kinds says something; depends on its bytes alone. Asked before
  /// a client's command is proposed, and again before a slot is applied: one that does not makes
  /// its whole batch void. Errors: malformed.
  [[nodiscard]] virtual Result<void> check_command(const Command& command) const = 0;
  /// Its effect, or the refusal, which changes nothing and is remembered.
  virtual Effect apply(const Command& command, const Applying& at) = 0;
  /// Log time has come from `before_us` to at.log_time_us: before the commands of a batch.
  virtual void advance(std::uint64_t /*before_us*/, const Applying& /*at*/) {}

  /// Adds the rows that have changed since the last call, each once, in the order of their keys.
  virtual void take_changed(std::vector<Row>& rows) = 0;
  /// Takes one row as it was stored. Errors: corrupt.
  virtual Result<void> load(const Row& row) = 0;
  /// Goes into the hash of the state after each slot: a number in which a mistake would show. 0 as
  /// long as the section is empty: a state is the same with and without it.
  [[nodiscard]] virtual std::uint64_t fingerprint() const = 0;
  /// Of a section that keeps its rows in the tables (SectionTable::in_memory, RowCache): adds the
  /// keys that the command needs and that are not in memory. They are given to load() before it is
  /// applied; one that is not there comes without bytes.
  virtual void add_missing(const Command& /*command*/, std::vector<RowKey>& /*keys*/) const {}
  /// The rows that slots below changed can be read back from the tables: they may leave memory.
  virtual void on_readable(Slot /*readable_end*/) {}
  /// States its invariants: the first that does not hold, as a sentence; else empty. Takes time in
  /// proportion to what it holds.
  [[nodiscard]] virtual std::string check() const = 0;
};

/// A kind of section: its table, the commands that come to it, and how to make one.
struct SectionType {
  SectionTable table;
  std::vector<CommandKind> kinds;
  std::function<std::unique_ptr<Section>()> make;
};

}  // namespace stele::log
