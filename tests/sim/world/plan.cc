#include "tests/sim/world/plan.h"

#include <algorithm>
#include <array>
#include <sstream>
#include <utility>

#include "tests/sim/world/random.h"

namespace stele::sim {
namespace {

using Kind = Fault::Kind;

constexpr std::array<std::string_view, 31> kKinds = {
    "kill",  "power",        "kill_all",   "power_all",   "stop",      "pause",  "stall",    "eio",
    "space", "rot_vote",     "rot_chosen", "rot_promise", "wipe",      "rate",   "jump",     "wall",
    "cut",   "cut_one_way",  "split",      "bridge",      "deaf",      "mute",   "isolate",  "clog",
    "reset", "client_crash", "client_cut", "copy",        "roll_back", "differ", "slow_disk"};

struct Setting {
  std::string_view name;
  std::uint64_t Plan::*member;
};

constexpr std::array kSettings = {
    Setting{"seed", &Plan::seed},
    Setting{"real_files", &Plan::real_files},
    Setting{"nodes", &Plan::nodes},
    Setting{"q1", &Plan::q1},
    Setting{"q2", &Plan::q2},
    Setting{"heartbeat_ms", &Plan::heartbeat_ms},
    Setting{"election_timeout_ms", &Plan::election_timeout_ms},
    Setting{"window", &Plan::window},
    Setting{"batch_bytes_max", &Plan::batch_bytes_max},
    Setting{"waiting_bytes_max", &Plan::waiting_bytes_max},
    Setting{"piece_bytes_max", &Plan::piece_bytes_max},
    Setting{"reserve_bytes", &Plan::reserve_bytes},
    Setting{"time_slot_every_ms", &Plan::time_slot_every_ms},
    Setting{"turn_us_max", &Plan::turn_us_max},
    Setting{"latency_us_min", &Plan::latency_us_min},
    Setting{"latency_us_max", &Plan::latency_us_max},
    Setting{"drop_ppm", &Plan::drop_ppm},
    Setting{"duplicate_ppm", &Plan::duplicate_ppm},
    Setting{"reorder_ppm", &Plan::reorder_ppm},
    Setting{"queue_bytes_max", &Plan::queue_bytes_max},
    Setting{"commit_us_min", &Plan::commit_us_min},
    Setting{"commit_us_max", &Plan::commit_us_max},
    Setting{"commits_at_once", &Plan::commits_at_once},
    Setting{"line_bytes_per_s", &Plan::line_bytes_per_s},
    Setting{"disk_bytes_per_s", &Plan::disk_bytes_per_s},
    Setting{"slow_disks", &Plan::slow_disks},
    Setting{"clients", &Plan::clients},
    Setting{"operations", &Plan::operations},
    Setting{"in_flight", &Plan::in_flight},
    Setting{"client_window", &Plan::client_window},
    Setting{"sessions_max", &Plan::sessions_max},
    Setting{"session_idle_ms", &Plan::session_idle_ms},
    Setting{"payload_bytes_max", &Plan::payload_bytes_max},
    Setting{"deadline_ms_max", &Plan::deadline_ms_max},
    Setting{"session_ttl_ms", &Plan::session_ttl_ms},
    Setting{"attempt_timeout_ms", &Plan::attempt_timeout_ms},
    Setting{"sharers", &Plan::sharers},
    Setting{"stops", &Plan::stops},
    Setting{"readers", &Plan::readers},
    Setting{"read_percent", &Plan::read_percent},
    Setting{"tail_percent", &Plan::tail_percent},
    Setting{"condition_percent", &Plan::condition_percent},
    Setting{"close_percent", &Plan::close_percent},
    Setting{"snapshot_every_bytes", &Plan::snapshot_every_bytes},
    Setting{"keep_for_members_bytes", &Plan::keep_for_members_bytes},
    Setting{"unapplied_bytes_max", &Plan::unapplied_bytes_max},
    Setting{"keep_percent", &Plan::keep_percent},
    Setting{"horizon_ms", &Plan::horizon_ms},
    Setting{"cursed_percent", &Plan::cursed_percent},
    Setting{"healed", &Plan::healed},
    Setting{"centre", &Plan::centre},
};

}  // namespace

std::string_view name_of(Fault::Kind kind) { return kKinds.at(static_cast<std::size_t>(kind)); }

Plan over_real_files(Plan plan) {
  plan.real_files = 1;
  // Commits of several pages, which a crash can tear.
  if (plan.seed % 2 == 0) {
    plan.payload_bytes_max = std::max<std::uint64_t>(plan.payload_bytes_max, 6000);
    plan.queue_bytes_max = std::max<std::uint64_t>(plan.queue_bytes_max, 30'000);
  }
  for (Fault& fault : plan.faults) {
    switch (fault.kind) {
      case Kind::eio:
      case Kind::space:
      case Kind::rot_vote:
      case Kind::rot_chosen:
      case Kind::rot_promise:
      case Kind::roll_back:
      case Kind::differ:
      case Kind::wipe: fault = {fault.at_ms, Kind::power, fault.a, 0, 1 + fault.ms / 4, 0}; break;
      default: break;
    }
  }
  return plan;
}

std::string to_text(const Plan& plan) {
  const Plan standard;
  std::ostringstream text;
  for (const Setting& setting : kSettings) {
    if (plan.*setting.member == standard.*setting.member) continue;
    text << setting.name << ' ' << plan.*setting.member << '\n';
  }
  for (const Fault& fault : plan.faults) {
    text << "at " << fault.at_ms << ' ' << name_of(fault.kind) << ' ' << fault.a << ' ' << fault.b
         << ' ' << fault.ms << ' ' << fault.amount << '\n';
  }
  return text.str();
}

Result<Plan> parse_plan(std::string_view text) {
  Plan plan;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line.resize(std::min(line.size(), line.find('#')));
    std::istringstream words(line);
    std::string word;
    if (!(words >> word)) continue;
    const std::string where = "line " + std::to_string(number) + ": ";
    if (word == "at") {
      Fault fault;
      std::string kind;
      words >> fault.at_ms >> kind >> fault.a >> fault.b >> fault.ms >> fault.amount;
      const auto found = std::find(kKinds.begin(), kKinds.end(), kind);
      if (!words || found == kKinds.end()) return fail(Errc::malformed, where + "no such fault");
      fault.kind = static_cast<Kind>(found - kKinds.begin());
      plan.faults.push_back(fault);
      continue;
    }
    const auto found = std::find_if(kSettings.begin(), kSettings.end(),
                                    [&](const Setting& setting) { return setting.name == word; });
    if (found == kSettings.end()) return fail(Errc::malformed, where + "no setting '" + word + "'");
    if (!(words >> plan.*(found->member))) return fail(Errc::malformed, where + "not a number");
  }
  return plan;
}

}  // namespace stele::sim
