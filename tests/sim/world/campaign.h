// Many seeds, on several processes.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tests/sim/world/world.h"

namespace stele::sim {

struct Campaign {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  double minutes = 0;  ///< 0: until all seeds are done.
  int jobs = 1;
  bool keep_going = false;
  bool real_files = false;  ///< Nodes have the real store, over files.
  /// Of processor time, or ten times that of real time: a seed that takes longer hangs.
  unsigned seed_seconds_max = 120;
  bool json = false;
};

/// So many seeds at least must have reached every path (coverage.h); fewer need not.
inline constexpr std::uint64_t kStandardSeeds = 2000;

struct CampaignResult {
  struct Failure {
    std::uint64_t seed;
    std::string invariant;
    std::string what;
  };
  std::vector<Failure> failures;  ///< The first ones; `failed` counts all.
  std::uint64_t failed = 0;
  bool real_files = false;
  std::uint64_t seeds = 0;
  std::uint64_t events = 0;
  double virtual_hours = 0;
  double seconds = 0;
  Coverage coverage;
};

/// Runs the seeds; a seed that hangs or crashes the program fails.
[[nodiscard]] CampaignResult run_seeds(const Campaign& campaign);

/// Runs the seeds, shows progress, prints failures with the command that replays them, and what was
/// reached. Returns the exit status: 0 only if all passed.
[[nodiscard]] int run_campaign(const Campaign& campaign, std::ostream& out);

void print_verdict(std::ostream& out, const std::string& name, const Verdict& verdict, bool json);

}  // namespace stele::sim
