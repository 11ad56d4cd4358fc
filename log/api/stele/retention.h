// What is kept of a log: how much, and what holds it back.
#pragma once

#include <stele/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace stele {

/// How much of a log is kept; what is beyond one of the bounds is trimmed by the leader, by whole
/// runs of 256 slots. 0: there is no such bound. Both 0: nothing is trimmed by itself.
struct Retention {
  std::uint64_t bytes = 0;           ///< Of slots: a batch of entries and 64 bytes each.
  std::chrono::milliseconds age{0};  ///< Of log time, which goes on only while a cluster runs.

  bool operator==(const Retention&) const = default;
};

/// Entries from `lsn` on are kept, whatever the retention, until the hold ends or is released.
struct Hold {
  std::string name;  ///< 1 to 64 bytes of printable ASCII without a space.
  Lsn lsn;           ///< If it is below the first LSN, it was passed by force, and holds nothing.
  std::chrono::milliseconds left{0};  ///< Log time until it ends by itself.

  bool operator==(const Hold&) const = default;
};

/// What a leader says of what is kept.
struct RetentionReport {
  Retention retention;               ///< As it was set; empty if it never was.
  std::vector<Hold> holds;           ///< By name.
  Lsn first_lsn;                     ///< The first entry that is not trimmed.
  Lsn lsn_end;                       ///< One past the last entry.
  std::uint64_t retained_bytes = 0;  ///< Of the slots that this node keeps.
  std::string detail;                ///< On an error: a sentence for people.

  bool operator==(const RetentionReport&) const = default;
};

/// How a log is trimmed.
struct TrimOptions {
  bool force = false;  ///< Also past holds, which hold nothing afterwards.
};

/// What comes back beside the error code of a change to what is kept.
struct ChangeResult {
  /// Of a trim: the first LSN now, also if that was beyond the one asked for already. Of a hold:
  /// the one that is held. {} on an error, and of others.
  Lsn lsn;
  /// On an error: the change may have been made, or may yet be. False: it never will.
  bool may_be_made = false;
  /// On an error: the leader as last heard of ("host:port"); empty if none is known.
  std::string leader;
  /// On an error: when to try again; 0 if that is not known.
  std::chrono::milliseconds retry_after{0};
  /// On an error: a sentence for people.
  std::string detail;
};

}  // namespace stele
