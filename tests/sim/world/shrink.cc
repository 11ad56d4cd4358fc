#include "tests/sim/world/shrink.h"

#include <algorithm>
#include <utility>

namespace stele::sim {
namespace {

class Shrinker {
 public:
  Shrinker(Plan plan, std::string invariant, std::ostream& progress)
      : best_(std::move(plan)), invariant_(std::move(invariant)), progress_(progress) {}

  Plan shrink() {
    bool smaller = true;
    for (int round = 0; smaller && round < 5; ++round) {
      smaller = false;
      smaller |= fewer_faults();
      smaller |= shorter();
      smaller |= lower(&Plan::clients, 1);
      smaller |= lower(&Plan::operations, 1);
      smaller |= lower(&Plan::in_flight, 1);
      smaller |= fewer_nodes();
      // A quiet world is easier to read.
      for (auto member :
           {&Plan::drop_ppm, &Plan::duplicate_ppm, &Plan::reorder_ppm, &Plan::read_percent,
            &Plan::tail_percent, &Plan::condition_percent, &Plan::close_percent, &Plan::readers}) {
        smaller |= set(member, 0);
      }
      const Plan standard;
      for (auto member : {&Plan::queue_bytes_max, &Plan::waiting_bytes_max, &Plan::turn_us_max,
                          &Plan::time_slot_every_ms, &Plan::session_ttl_ms, &Plan::piece_bytes_max,
                          &Plan::centre}) {
        smaller |= set(member, standard.*member);
      }
    }
    return best_;
  }

 private:
  bool still_fails(const Plan& plan) {
    ++tried_;
    const Verdict verdict = run(plan);
    const bool same = verdict.invariant == invariant_;
    if (same) {
      best_ = plan;
      progress_ << "after " << tried_ << " runs: " << plan.nodes << " nodes, " << plan.clients
                << " clients, " << plan.faults.size() << " faults, " << plan.horizon_ms << " ms\n";
    }
    return same;
  }

  bool set(std::uint64_t Plan::*member, std::uint64_t value) {
    if (best_.*member == value) return false;
    Plan plan = best_;
    plan.*member = value;
    return still_fails(plan);
  }

  /// Halves a number as long as the run fails.
  bool lower(std::uint64_t Plan::*member, std::uint64_t least) {
    bool any = false;
    while (best_.*member > least && set(member, std::max(best_.*member / 2, least))) any = true;
    return any;
  }

  /// Leaves out ever smaller parts of the faults (delta debugging).
  bool fewer_faults() {
    bool any = false;
    for (std::size_t part = std::max<std::size_t>(best_.faults.size() / 2, 1); part != 0;
         part /= 2) {
      for (std::size_t at = 0; at < best_.faults.size();) {
        Plan plan = best_;
        const auto begin = plan.faults.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(part, plan.faults.size() - at);
        plan.faults.erase(begin, begin + static_cast<std::ptrdiff_t>(count));
        if (still_fails(plan)) {
          any = true;
        } else {
          at += part;
        }
      }
    }
    return any;
  }

  bool shorter() {
    const std::uint64_t last = best_.faults.empty() ? 100 : best_.faults.back().at_ms + 1;
    return best_.horizon_ms > last && set(&Plan::horizon_ms, last);
  }

  bool fewer_nodes() {
    if (best_.nodes <= 1) return false;
    Plan plan = best_;
    --plan.nodes;
    plan.q1 = plan.q2 = 0;
    plan.healed &= (std::uint64_t{1} << plan.nodes) - 1;
    plan.centre = 0;
    std::erase_if(plan.faults,
                  [&](const Fault& fault) { return fault.a > plan.nodes || fault.b > plan.nodes; });
    return still_fails(plan);
  }

  Plan best_;
  std::string invariant_;
  std::ostream& progress_;
  int tried_ = 0;
};

}  // namespace

Plan shrink(Plan plan, const Verdict& verdict, std::ostream& progress) {
  return Shrinker(std::move(plan), verdict.invariant, progress).shrink();
}

}  // namespace stele::sim
