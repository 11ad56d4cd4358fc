// What befalls the simulated world: a plan's faults, and what strikes new leaders.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/sim/nodes/sim_client.h"
#include "tests/sim/nodes/sim_node.h"

namespace stele::sim {

class Faults {
 public:
  struct Surroundings {
    const Plan& plan;
    Scheduler& scheduler;
    Network& network;
    Coverage& coverage;
    Trace& trace;
    std::vector<std::unique_ptr<SimNode>>& nodes;
    std::vector<std::unique_ptr<SimClient>>& clients;
    std::function<void(std::size_t)> start_client;
  };

  Faults(Surroundings world, Random random) : world_(std::move(world)), random_(random) {}

  /// Everything in the plan, counted from now on.
  void schedule();
  /// A leader has begun; some are struck soon after.
  void on_leader_began(NodeId id);
  /// No more faults; only the nodes in the set `healed` (bit id - 1) are still started again.
  void end(std::uint64_t healed);

 private:
  void apply(const Fault& fault);
  [[nodiscard]] std::size_t unaware_of(const SimNode& node) const;
  void apply_to_node(const Fault& fault, SimNode& node);
  void apply_to_connections(const Fault& fault, SimNode& node);
  void restart_later(SimNode& node, std::uint64_t after_ms);
  void cut(Host a, Host b, bool both, std::uint64_t for_ms);
  void cut_clients(Host node, std::size_t but, std::uint64_t for_ms);
  void split(const Fault& fault);
  void estrange(const Fault& fault, SimNode& node);
  [[nodiscard]] SimNode& leader();

  Surroundings world_;
  Random random_;
  bool ended_ = false;
  std::uint64_t healed_ = 0;
};

}  // namespace stele::sim
