#include "tests/sim/world/absence.h"

#include <algorithm>
#include <initializer_list>

namespace stele::sim {

void draw_absences(Plan& plan, Random& random) {
  plan.batch_bytes_max = std::min<std::uint64_t>(plan.batch_bytes_max, 1000);
  plan.window = std::max<std::uint64_t>(plan.window, 4);
  plan.clients = std::max<std::uint64_t>(plan.clients, 3);
  plan.sessions_max = plan.sessions_max == 0 ? 0 : plan.clients * (1 + plan.sharers);
  plan.readers = std::min(plan.readers, plan.clients - 2);
  plan.operations = 2000;
  plan.in_flight = std::max<std::uint64_t>(plan.in_flight, 10);
  plan.client_window = std::max<std::uint64_t>(plan.client_window, 64);
  plan.read_percent = std::min<std::uint64_t>(plan.read_percent, 10);
  plan.condition_percent = 0;
  plan.close_percent = 0;
  plan.keep_percent = random.between(5, 15);
  plan.keep_for_members_bytes = random.below(5000);
  plan.snapshot_every_bytes = random.between(4 << 10, 20 << 10);
  plan.cursed_percent = 0;
  // The other faults are fewer: there must be a quorum to go on without those that are away.
  std::erase_if(plan.faults, [&](const Fault&) { return random.chance(70); });
  for (std::uint64_t at = random.between(100, 500); at < plan.horizon_ms;) {
    const std::uint64_t ms = random.between(plan.horizon_ms / 8, plan.horizon_ms / 2);
    const std::uint64_t node = random.between(1, plan.nodes);
    const auto kind = random.chance(50) ? Fault::Kind::kill : Fault::Kind::isolate;
    plan.faults.push_back({at, kind, node, 0, ms, 0});
    at += ms / (random.chance(30) ? 2 : 1);
  }
}

void draw_leaders_that_come_back(Plan& plan, Random& random) {
  const auto pick = [&](std::initializer_list<std::uint64_t> values) {
    return *(values.begin() + random.below(values.size()));
  };
  plan.faults.clear();
  plan.cursed_percent = 0;
  plan.operations = 1000;
  plan.in_flight = pick({3, 10});
  plan.attempt_timeout_ms = pick({700, 3000});
  const std::uint64_t timeout = plan.election_timeout_ms;
  for (std::uint64_t at = 5 * timeout; at < plan.horizon_ms; at += timeout * pick({3, 4, 10})) {
    const std::uint64_t ms = timeout * pick({1, 2, 2});
    for (std::uint64_t id = 1; id <= plan.nodes; ++id) {
      plan.faults.push_back({at, Fault::Kind::split, id, 0, ms, std::uint64_t{1} << (id - 1)});
    }
  }
}

}  // namespace stele::sim
