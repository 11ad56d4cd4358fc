// The end of a run: the cluster is healed, and must then do all that it promises.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/history/history.h"
#include "tests/sim/checker/checker.h"
#include "tests/sim/checker/trace.h"
#include "tests/sim/network/network.h"
#include "tests/sim/nodes/sim_client.h"
#include "tests/sim/nodes/sim_node.h"
#include "tests/sim/world/faults.h"
#include "tests/sim/world/plan.h"
#include "tests/sim/world/random.h"
#include "tests/sim/world/scheduler.h"

namespace stele::sim {

/// Invariant 12: liveness, and that every node that is sound learns and serves everything.
class Epilogue {
 public:
  struct Surroundings {
    Plan& plan;
    Scheduler& scheduler;
    Network& network;
    Checker& checker;
    Coverage& coverage;
    Trace& trace;
    const test::History& history;
    std::vector<std::unique_ptr<SimNode>>& nodes;
    std::vector<std::unique_ptr<SimClient>>& clients;
    Faults& faults;
    std::function<void(std::size_t)> start_client;
    std::function<void(Time)> run_to;
  };

  Epilogue(Surroundings world, Random& random) : world_(std::move(world)), random_(random) {}

  void run_until_content();
  void heal();
  void require_calm();
  void require_convergence();
  void require_whole_logs();
  void require_no_faults();
  void require_outcasts_out();
  void check_end(Time start);

 private:
  void make_star();
  [[nodiscard]] bool healed(const SimNode& node) const {
    return (world_.plan.healed >> (node.host() - 1) & 1) != 0;
  }
  [[nodiscard]] Duration clock_time_max(Time start) const;
  void run_for(Duration duration) { world_.run_to(world_.scheduler.now() + duration); }

  Surroundings world_;
  Random& random_;
};

}  // namespace stele::sim
