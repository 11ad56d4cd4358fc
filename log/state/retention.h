// What is kept of the log: the policy, the holds, and the commands that trim (docs/protocol.md).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "log/format/retention.h"
#include "log/state/section.h"

namespace stele::log {

/// Decides how far the trim point moves: never back, never past the end, and past a hold only by
/// force. The trim point itself is in the numbers of the state.
class Retention final : public Section {
 public:
  /// Entries from `lsn` on stay, until log time has come to `deadline_us`.
  struct Hold {
    Lsn lsn;
    std::uint64_t deadline_us = 0;

    bool operator==(const Hold&) const = default;
  };

  [[nodiscard]] const RetentionPolicy& policy() const { return policy_; }
  /// The slot that has set it; {} if none has.
  [[nodiscard]] Slot policy_slot() const { return policy_slot_; }
  /// By name. One whose LSN is below the trim point was passed by force, and holds nothing.
  [[nodiscard]] const std::map<std::string, Hold>& holds() const { return holds_; }
  /// The lowest LSN that is held at or above `first_lsn`; {} if none is.
  [[nodiscard]] Lsn held_from(Lsn first_lsn) const;

  // As of Section.
  [[nodiscard]] Result<void> check_command(const Command& command) const override;
  Effect apply(const Command& command, const Applying& at) override;
  void advance(std::uint64_t before_us, const Applying& at) override;
  void take_changed(std::vector<Row>& rows) override;
  Result<void> load(const Row& row) override;
  [[nodiscard]] std::uint64_t fingerprint() const override { return fingerprint_; }
  [[nodiscard]] std::string check() const override;

  /// One hold more is refused.
  static constexpr std::size_t kHoldsMax = 256;

 private:
  Effect trim(const TrimCommand& command, const Applying& at) const;
  Effect retain(const RetainCommand& command, const Applying& at) const;
  Effect set_hold(const HoldCommand& command, const Applying& at);
  Effect release(const std::string& name);
  [[nodiscard]] std::vector<Row> rows() const;
  void on_changed(std::vector<std::byte> key);

  RetentionPolicy policy_;
  Slot policy_slot_;
  std::map<std::string, Hold> holds_;
  std::set<std::vector<std::byte>> changed_;  // Keys of rows.
  std::uint64_t fingerprint_ = 0;             // Over all rows; 0: none.
};

/// The retention as a section of the state.
[[nodiscard]] SectionType retention_section();

}  // namespace stele::log
