// An offline look at a data directory: every checksum, and whether the parts fit together.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "log/format/record.h"
#include "log/state/log_state.h"
#include "log/store/store.h"
#include "paxos/base/result.h"

namespace stele::log {

/// What a data directory holds, and what is wrong with it.
struct VerifyReport {
  Identity identity;
  History history;
  Promised promised;
  StateNumbers numbers;
  Holding holding;
  std::uint64_t records = 0;  ///< In the table of slots.
  std::uint64_t votes = 0;    ///< Records at or above chosen_end.
  std::uint64_t value_bytes = 0;
  std::uint64_t entries = 0;
  /// The rows of each section, by its name.
  std::vector<std::pair<std::string, std::uint64_t>> rows;
  std::vector<SnapshotInfo> snapshots;  ///< Those that can be read, and are whole.
  std::vector<std::string> faults;      ///< One sentence each, the first kFaultsMax.
  std::uint64_t faults_found = 0;

  static constexpr std::size_t kFaultsMax = 20;
};

/// Needs the directory for itself. Errors: in_use, foreign_directory, newer_format, io; corrupt if
/// the journal cannot be read. What is wrong with single records is in the report.
[[nodiscard]] Result<VerifyReport> verify_directory(const std::string& path,
                                                    const Sections& sections = known_sections());

}  // namespace stele::log
