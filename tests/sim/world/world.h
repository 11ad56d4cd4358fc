// A whole cluster with its clients, in one thread, from one plan.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/nodes/sim_client.h"
#include "tests/sim/nodes/sim_node.h"

namespace stele::sim {

/// How a run went.
struct Verdict {
  std::string invariant;  ///< Empty: nothing was wrong.
  std::string what;
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  Duration virtual_time{};
  Coverage coverage;

  [[nodiscard]] bool passed() const { return invariant.empty(); }
};

/// Runs the plan: a phase in which everything goes wrong, then one in which a part of the world is
/// healed and must make progress. `trace`: one line for each event, if not null.
[[nodiscard]] Verdict run(const Plan& plan, std::ostream* trace = nullptr);

}  // namespace stele::sim
