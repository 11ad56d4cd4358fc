// stele-sim: runs simulated clusters, one for each seed, and says what went wrong.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>

#include "tests/sim/world/campaign.h"
#include "tests/sim/world/plan.h"
#include "tests/sim/world/shrink.h"
#include "tests/sim/world/world.h"

namespace {

using namespace stele::sim;

struct Flags {
  std::uint64_t seed = 0;
  std::string seeds;
  std::vector<std::string> plans;
  std::string trace;
  bool shrink = false;
  bool print_plan = false;
  Campaign campaign;
};

int usage_error(const std::string& what) {
  std::cerr << "stele-sim: " << what << "; --help tells more\n";
  return 2;
}

int run_one(const Plan& plan, const std::string& name, const Flags& flags) {
  std::ofstream file;
  if (!flags.trace.empty()) {
    file.open(flags.trace);
    if (!file) return usage_error("cannot write " + flags.trace);
  }
  if (flags.print_plan) std::cout << to_text(plan);
  const Verdict verdict = run(plan, file.is_open() ? &file : nullptr);
  print_verdict(std::cout, name, verdict, flags.campaign.json);
  if (verdict.passed() || !flags.shrink) return verdict.passed() ? 0 : 1;
  const Plan small = shrink(plan, verdict, std::cerr);
  std::cout << "# The same invariant is violated by this plan (stele-sim --plan FILE):\n"
            << to_text(small);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Runs simulated Stele clusters, each drawn from a seed, and checks what they do."};
  auto* seed = app.add_option("--seed", flags.seed, "Run this one");
  auto* seeds = app.add_option("--seeds", flags.seeds, "Run all of A..B");
  auto* plan = app.add_option("--plan", flags.plans, "Run the plans in these files");
  seed->excludes(seeds)->excludes(plan);
  seeds->excludes(plan);
  app.add_option("--minutes", flags.campaign.minutes, "Stop after so many minutes");
  app.add_option("--jobs", flags.campaign.jobs, "Processes that work on --seeds")
      ->check(CLI::Range(1, 256));
  app.add_flag("--real-files", flags.campaign.real_files,
               "Nodes have the real store over files that lose unsynced pages");
  app.add_flag("--keep-going", flags.campaign.keep_going, "Do not stop at the first failure");
  app.add_flag("--json", flags.campaign.json, "Print results as JSON");
  app.add_option("--trace", flags.trace, "Write a line for every event of one run to this file");
  app.add_flag("--shrink", flags.shrink, "Reduce a failing run to a small one, and print its plan");
  app.add_flag("--print-plan", flags.print_plan, "Print what was drawn from the seed");
  CLI11_PARSE(app, argc, argv);

  int status = 0;
  for (const std::string& name : flags.plans) {
    std::ifstream file(name);
    if (!file) return usage_error("cannot read " + name);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto parsed = parse_plan(text);
    if (!parsed) return usage_error(name + ": " + parsed.error().detail);
    status = std::max(status, run_one(*parsed, name, flags));
  }
  if (!flags.plans.empty()) return status;
  if (*seed) {
    const Plan drawn = draw_plan(flags.seed);
    return run_one(flags.campaign.real_files ? over_real_files(drawn) : drawn,
                   "seed " + std::to_string(flags.seed), flags);
  }
  if (!*seeds) return usage_error("say --seed, --seeds or --plan");
  const std::size_t dots = flags.seeds.find("..");
  try {
    flags.campaign.first = std::stoull(flags.seeds.substr(0, dots));
    flags.campaign.last = std::stoull(flags.seeds.substr(dots == std::string::npos ? 0 : dots + 2));
  } catch (const std::exception&) {
    return usage_error("--seeds takes A..B");
  }
  return run_campaign(flags.campaign, std::cout);
}
