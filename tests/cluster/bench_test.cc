// That the load generator works, and is right about what it has done; not how fast anything is.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/cluster/cluster.h"

namespace stele::test {
namespace {

nlohmann::json json_of(const std::vector<std::string>& arguments) {
  const Run done = run(arguments);
  REQUIRE_MESSAGE(done.exit_code == 0, done.out);
  return nlohmann::json::parse(done.out);
}

}  // namespace

TEST_SUITE("cluster.bench") {
  TEST_CASE("append: closed and open loop; as many entries are in the log as were acknowledged") {
    Cluster cluster(3);
    cluster.start_all();
    for (const char* rate : {"0", "500"}) {
      const auto told =
          json_of({program("../bench/stele-bench"), "append", "--cluster", cluster.addresses(),
                   "--in-flight", "20", "--connections", "3", "--payload-bytes", "50", "--rate",
                   rate, "--seconds", "0.5", "--warm-up", "0.1", "--repeat", "2", "--json"});
      REQUIRE(told["runs"].size() == 2);
      for (const auto& one : told["runs"]) {
        CHECK(one["acknowledged"] > 0);
        CHECK(one["stored"] >= one["acknowledged"]);
        CHECK(one["p99 us"] >= one["p50 us"]);
        CHECK(one["failed"] == 0);
      }
    }
    REQUIRE(cluster.settle());
    CHECK(cluster.read_log(1).front().size() == 50);
  }

  TEST_CASE("failover: the leader is killed, or stopped, and the load goes on") {
    for (const bool pause : {false, true}) {
      std::vector<std::string> arguments{program("../bench/stele-bench"),
                                         "failover",
                                         "--spawn",
                                         "3",
                                         "--in-flight",
                                         "4",
                                         "--seconds",
                                         "3",
                                         "--repeat",
                                         "1",
                                         "--json"};
      if (pause) arguments.emplace_back("--pause");
      const auto told = json_of(arguments);
      CHECK(told["runs"][0]["gap ms"] > 10);
      CHECK(told["runs"][0]["server CPU s/100k"] > 0);
    }
  }

  TEST_CASE("floor: every figure is there") {
    const auto told = json_of({program("../bench/stele-floor"), "--times", "20", "--json"});
    CHECK(told.size() == 10);
    for (const auto& figure : told) CHECK(figure["p50"] > 0);
  }

  TEST_CASE("wrong usage is told") {
    CHECK(run({program("../bench/stele-bench"), "append"}).exit_code == 2);
    CHECK(run({program("../bench/stele-bench"), "append", "--cluster", "x"}).exit_code == 1);
    CHECK(run({program("../bench/stele-bench")}).exit_code != 0);
  }
}

}  // namespace stele::test
