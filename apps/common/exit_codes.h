// What the programs end with; docs/outcomes.md and --help say the same.
#pragma once

#include "paxos/base/result.h"

namespace stele::apps {

enum ExitCode : int {
  kDone = 0,
  kFailed = 1,         // The operation failed; the outcome word is on standard error.
  kUsage = 2,          // Wrong usage or configuration.
  kUnreachable = 3,    // No node of the cluster could be reached.
  kDataDirectory = 4,  // The data directory is at fault.
};

inline constexpr const char* kExitCodesHelp =
    "Exit codes: 0 done, 1 the operation failed, 2 wrong usage or configuration,\n"
    "            3 cluster unreachable, 4 data directory at fault.";

/// For errors of starting a node or of an operation.
[[nodiscard]] inline ExitCode exit_code_of(Errc code) {
  switch (code) {
    case Errc::invalid_argument: return kUsage;
    case Errc::unreachable: return kUnreachable;
    case Errc::corrupt:
    case Errc::foreign_directory:
    case Errc::newer_format:
    case Errc::in_use:
    case Errc::io: return kDataDirectory;
    default: return kFailed;
  }
}

}  // namespace stele::apps
