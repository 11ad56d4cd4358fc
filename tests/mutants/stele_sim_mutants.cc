// stele-sim-mutants: makes one mistake after the other, and sees after how many seeds the
// simulation finds it.
#include <CLI/CLI.hpp>
#include <fstream>
#include <iomanip>
#include <iostream>

#include "tests/mutants/mutants.h"
#include "tests/sim/world/campaign.h"
#include "tests/sim/world/plan.h"
#include "tests/sim/world/shrink.h"

namespace stele::mutants {

int chosen = 0;

}  // namespace stele::mutants

namespace {

using namespace stele::sim;

struct Mutant {
  std::string_view name;
  std::string_view says;
};

/// More than in the standard run: a mistake that only few seeds show is seen, too.
constexpr std::uint64_t kSeedsMax = 5000;

constexpr Mutant kMutants[] = {
#include "mutants.inc"
};

/// Mistakes in the store over LMDB show over real files only.
bool needs_files(int number) { return kMutants[number - 1].name.starts_with("files_"); }

struct Caught {
  std::uint64_t seeds = 0;  // Tried until then; 0: it was not.
  std::string invariant;
  double seconds = 0;
};

Caught hunt(int number, Campaign campaign) {
  campaign.real_files = needs_files(number);
  stele::mutants::chosen = number;
  const CampaignResult result = run_seeds(campaign);
  stele::mutants::chosen = 0;
  Caught caught;
  caught.seconds = result.seconds;
  for (const CampaignResult::Failure& failure : result.failures) {
    const std::uint64_t seeds = failure.seed - campaign.first + 1;
    if (caught.seeds != 0 && caught.seeds <= seeds) continue;
    caught.seeds = seeds;
    caught.invariant = failure.invariant;
  }
  return caught;
}

int replay(int number, std::uint64_t seed, const std::string& trace, bool small) {
  std::ofstream lines;
  if (!trace.empty()) lines.open(trace);
  stele::mutants::chosen = number;
  const Plan drawn = draw_plan(seed);
  const Plan plan = needs_files(number) ? over_real_files(drawn) : drawn;
  const Verdict verdict = run(plan, lines.is_open() ? &lines : nullptr);
  print_verdict(std::cout, "seed " + std::to_string(seed), verdict, false);
  if (!verdict.passed() && small) std::cout << to_text(shrink(plan, verdict, std::cerr));
  return verdict.passed() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Campaign campaign;
  campaign.last = kSeedsMax;
  campaign.seed_seconds_max = 20;
  std::vector<std::string> only;
  std::uint64_t tenth = 0;
  std::uint64_t seed = 0;
  std::string trace;
  bool small = false;
  bool list = false;
  CLI::App app{"Shows that the simulation catches mistakes: makes each of them, and runs seeds."};
  app.add_option("names", only, "Only these mutants");
  app.add_option("--seeds", campaign.last, "Give up after so many");
  app.add_option("--jobs", campaign.jobs, "Processes that work on the seeds")
      ->check(CLI::Range(1, 256));
  app.add_option("--tenth", tenth, "Only every tenth mutant, beginning with this one modulo ten");
  app.add_option("--replay", seed, "Only run this seed, with the one mutant that is named");
  app.add_option("--trace", trace, "With --replay: write a line for every event to this file");
  app.add_flag("--shrink", small, "With --replay: reduce the run, and print its plan");
  app.add_flag("--list", list, "Only name them");
  CLI11_PARSE(app, argc, argv);

  std::uint64_t missed = 0;
  std::uint64_t hard = 0;
  std::uint64_t tried = 0;
  for (std::size_t i = 0; i < std::size(kMutants); ++i) {
    const Mutant& mutant = kMutants[i];
    const std::string name(mutant.name);
    if (!only.empty() && std::find(only.begin(), only.end(), name) == only.end()) continue;
    if (app.count("--tenth") != 0 && i % 10 != tenth % 10) continue;
    if (app.count("--replay") != 0) return replay(static_cast<int>(i) + 1, seed, trace, small);
    std::cout << std::left << std::setw(42) << name << std::flush;
    if (list) {
      std::cout << mutant.says << '\n';
      continue;
    }
    ++tried;
    const Caught caught = hunt(static_cast<int>(i) + 1, campaign);
    if (caught.seeds == 0) {
      ++missed;
      std::cout << "NOT CAUGHT in " << campaign.last << " seeds";
    } else {
      if (caught.seeds > 100) ++hard;
      std::cout << "invariant " << std::setw(6) << caught.invariant << std::right << std::setw(6)
                << caught.seeds << (caught.seeds == 1 ? " seed " : " seeds");
    }
    std::cout << std::right << std::fixed << std::setprecision(1) << std::setw(7) << caught.seconds
              << " s   " << mutant.says << std::endl;
  }
  if (list) return 0;
  if (tried == 0) {
    std::cerr << "stele-sim-mutants: there is no such mutant; --list names them\n";
    return 2;
  }
  std::cout << tried - missed << " of " << tried << " mutants caught, " << hard
            << " of them after more than 100 seeds\n";
  return missed == 0 ? 0 : 1;
}
