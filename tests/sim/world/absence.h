// Nodes that are away for so long that the others have given up what they lack.
#pragma once

#include "tests/sim/world/plan.h"
#include "tests/sim/world/random.h"

namespace stele::sim {

/// Much is appended in small slots, and trimmed soon; nodes are away meanwhile, one after the
/// other.
void draw_absences(Plan& plan, Random& random);

/// All nodes are alone for so long that the leader stops; the same node may lead next.
void draw_leaders_that_come_back(Plan& plan, Random& random);

}  // namespace stele::sim
