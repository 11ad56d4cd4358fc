// The replicated state: what applying the chosen slots in order makes of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/format/batch.h"
#include "log/state/retention.h"
#include "log/state/section.h"
#include "log/state/sessions.h"
#include "paxos/base/value.h"

namespace stele::log {

/// What a state is made of. The sessions are always there, and the first; so is the retention.
using Sections = std::vector<SectionType>;
/// All sections that this program knows. Their numbers are in log/format.
[[nodiscard]] Sections known_sections(const Sessions::Bounds& bounds = {});
/// Their tables, for a store.
[[nodiscard]] std::vector<SectionTable> tables_of(const Sections& sections);

/// Applying depends only on the state before and on the slot's bytes. One thread; move-only.
class LogState {
 public:
  /// A session that a client has asked for by its nonce.
  struct Opened {
    std::uint64_t nonce = 0;
    Outcome outcome = Outcome::ok;
    SessionId session;  ///< {} unless ok.
  };

  /// What applying one slot has done.
  struct Applied {
    IndexRow row;                        ///< Its entries; count 0: none.
    std::vector<CommandResult> results;  ///< Of all commands but open_session, to be told.
    std::vector<Opened> opened;
    std::optional<RunRow> run;  ///< It was the last slot of a run: the next one begins.
    bool snapshot = false;      ///< One of the state as it is now is asked for.
  };

  /// An empty state. `sections`: the sessions first, no table and no kind twice.
  explicit LogState(const Sections& sections = known_sections());
  /// As it was stored. Errors: corrupt, also if a row is of no section.
  [[nodiscard]] static Result<LogState> load(const Sections& sections, const StateNumbers& numbers,
                                             const std::vector<Row>& rows);

  /// Applies the next slot. Requires slot == numbers().chosen_end. Errors: newer_format, as a
  /// sentence: this program does not know what the slot says. Then nothing has changed, and nothing
  /// may be applied afterwards: to leave the slot out would make another state.
  Result<Applied> apply(Slot slot, const paxos::Value& value);
  /// Whether a client's command may be proposed: a kind that is known, and what it says is in
  /// range. Errors: malformed; newer_format, if there is no such kind.
  [[nodiscard]] Result<void> check_command(const Command& command) const;

  [[nodiscard]] const StateNumbers& numbers() const { return numbers_; }
  [[nodiscard]] const Sessions& sessions() const { return *sessions_; }
  [[nodiscard]] const Retention& retention() const { return *retention_; }
  /// Null if there is none.
  [[nodiscard]] const Section* section(Table table) const { return find(table); }

  /// The rows that must be read from the store before the next slot, which holds `value`, can be
  /// applied; mostly none. take() gives them.
  [[nodiscard]] std::vector<RowKey> missing(const paxos::Value& value) const;
  /// Errors: corrupt.
  Result<void> take(const std::vector<Row>& rows);
  /// What slots below `readable_end` changed can be read from the store.
  void on_readable(Slot readable_end);
  /// The rows changed since the last call, for the store.
  [[nodiscard]] std::vector<Row> take_changed();
  /// States the invariants of all sections: the first that does not hold, as a sentence; else
  /// empty.
  [[nodiscard]] std::string check() const;

 private:
  [[nodiscard]] Result<void> check_kind(const Command& command) const;
  /// As far as this program knows what it says.
  [[nodiscard]] Result<Batch> parse(const paxos::Value& value) const;
  void apply_batch(const Batch& batch, Applying at, Applied& out);
  void apply_command(const Command& command, std::uint32_t index, const Applying& at, Applied& out);
  void apply_in_session(const Command& command, std::uint32_t index, const Applying& at,
                        Applied& out);
  [[nodiscard]] Effect apply_in_section(const Command& command, Applying at);
  [[nodiscard]] Effect append(const Command& command, std::uint32_t fresh, Applied& out);
  void ask_for_snapshot(const Command& command, Applied& out) const;
  void add_to_runs(const paxos::Value& value, Applied& out);
  [[nodiscard]] Section* section_of(CommandKind kind) const {
    return by_kind_[static_cast<std::uint8_t>(kind)];
  }
  [[nodiscard]] Section* find(Table table) const;
  void mix_into_hash(const paxos::Value& value, Slot slot);

  StateNumbers numbers_;
  std::vector<std::pair<Table, std::unique_ptr<Section>>> sections_;  // As they were listed.
  std::array<Section*, 256> by_kind_{};   // Null: no such kind, or append or skip.
  Sessions* sessions_ = nullptr;          // The first of sections_.
  const Retention* retention_ = nullptr;  // One of sections_.
  std::vector<Section*> tabled_;          // Those whose rows are in the tables.
};

}  // namespace stele::log
