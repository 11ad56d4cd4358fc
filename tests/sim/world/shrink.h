// Makes a failing run small.
#pragma once

#include <ostream>

#include "tests/sim/world/world.h"

namespace stele::sim {

/// A smaller plan that violates the same invariant as `verdict` did: fewer faults, clients, nodes
/// and operations, a shorter horizon. Tells on `progress` what it tries.
[[nodiscard]] Plan shrink(Plan plan, const Verdict& verdict, std::ostream& progress);

}  // namespace stele::sim
