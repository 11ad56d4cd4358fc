#include "tests/sim/world/world.h"

#include <doctest/doctest.h>

#include <sstream>

namespace stele::sim {

TEST_SUITE("sim.world") {
  TEST_CASE("run: a seed goes the same way every time, traced or not, over files or not") {
    for (const bool real_files : {false, true}) {
      Plan plan = draw_plan(4);
      if (real_files) plan = over_real_files(plan);
      std::ostringstream trace;
      const Verdict first = run(plan);
      const Verdict second = run(plan, &trace);
      CHECK(first.passed());
      CHECK(first.trace_hash == second.trace_hash);
      CHECK(first.events == second.events);
      CHECK(trace.str().find("leader_began") != std::string::npos);
    }
    CHECK(run(draw_plan(4)).trace_hash != run(draw_plan(5)).trace_hash);
  }

  TEST_CASE("run: a cluster that loses its quorum for good makes no progress, and that is found") {
    Plan plan;
    plan.clients = 1;
    plan.operations = 10;
    plan.horizon_ms = 1000;
    plan.healed = 1;  // One of three.
    CHECK(run(plan).invariant == "12");
    plan.healed = 3;
    CHECK(run(plan).passed());
  }
}

TEST_SUITE("sim.plan") {
  TEST_CASE("a plan is drawn again from its seed, and read back from its text") {
    for (std::uint64_t seed = 1; seed < 50; ++seed) {
      const Plan plan = draw_plan(seed);
      CHECK(to_text(plan) == to_text(draw_plan(seed)));
      const auto read = parse_plan(to_text(plan));
      REQUIRE(read.has_value());
      CHECK(to_text(*read) == to_text(plan));
      CHECK(plan.q1 + plan.q2 > plan.nodes);
    }
  }

  TEST_CASE("parse_plan: says which line it does not understand") {
    CHECK(parse_plan("nodes 3\nfish 4\n").error().detail == "line 2: no setting 'fish'");
    CHECK(parse_plan("at 5 fish 1 2 3 4\n").error().detail == "line 1: no such fault");
    CHECK(parse_plan("nodes x\n").error().detail == "line 1: not a number");
    CHECK(parse_plan("# only a comment\n\n").has_value());
  }
}

}  // namespace stele::sim
