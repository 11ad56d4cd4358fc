// Real processes, killed and paused under load; what clients saw must be what the logs hold.

#include <doctest/doctest.h>

#include <csignal>
#include <random>

#include "bench/cluster/cluster.h"
#include "tests/cluster/load.h"
#include "tests/history/history.h"

namespace stele::test {
namespace {

/// The verdict over the logs of all nodes, a line for each thing that is wrong.
std::string verdict(Cluster& cluster, Load& load) {
  load.stop_writing();
  if (!cluster.settle()) return "the nodes do not settle";
  std::vector<std::vector<std::string>> logs;
  for (std::uint64_t id = 1; id <= cluster.size(); ++id) logs.push_back(cluster.read_log(id));
  const History history = load.finish(logs[0].size());
  MESSAGE(history.appends.size() << " appends, " << history.reads.size() << " reads, "
                                 << logs[0].size() << " entries");
  std::vector<std::string> wrong = check(history, logs);
  if (history.reads.empty()) wrong.emplace_back("nothing was read");
  // No node has ended by itself, and each ends cleanly when asked to. A sanitizer reports here.
  for (std::uint64_t id = 1; id <= cluster.size(); ++id) {
    cluster.process(id).signal(SIGTERM);
    const int exit_code = cluster.process(id).wait();
    if (exit_code == 0) continue;
    wrong.push_back("node " + std::to_string(id) + " ended with " + std::to_string(exit_code) +
                    ": " + cluster.log(id));
  }
  std::string lines;
  for (const std::string& line : wrong) lines += line + "\n";
  return lines;
}

std::uint64_t follower_of(const Cluster& cluster, std::uint64_t leader, std::mt19937_64& random) {
  const std::uint64_t skip = random() % (cluster.size() - 1);
  std::uint64_t id = 1;
  for (std::uint64_t left = skip;; ++id) {
    if (id == leader) continue;
    if (left-- == 0) return id;
  }
}

}  // namespace

TEST_SUITE("cluster.kills") {
  TEST_CASE(
      "twenty-four kills and pauses of leaders and followers lose, double and reorder nothing") {
    Cluster cluster(3);
    cluster.start_all();
    Load load(cluster.client_options(),
              {{.in_flight = 1},
               {.in_flight = 16},
               {.in_flight = 64, .payload_bytes = 500},
               {.in_flight = 8, .timeout = std::chrono::milliseconds(150)}},
              true);
    std::mt19937_64 random(7);
    REQUIRE(load.progresses(500));
    for (int round = 0; round < 24; ++round) {
      std::uint64_t leader = 0;
      REQUIRE(eventually([&] { return (leader = cluster.leader()) != 0; }));
      const std::uint64_t target = round % 3 == 2 ? follower_of(cluster, leader, random) : leader;
      CAPTURE(round);
      CAPTURE(target);
      if (round % 2 == 0) {
        cluster.kill(target);
        REQUIRE(load.progresses(300));
        cluster.start(target);
      } else {
        cluster.pause(target);
        REQUIRE(load.progresses(300));
        cluster.resume(target);
      }
      REQUIRE(load.progresses(100));
    }
    CHECK(verdict(cluster, load) == "");
  }

  TEST_CASE("all nodes killed at once come back with everything that was acknowledged") {
    Cluster cluster(3);
    cluster.start_all();
    Load load(cluster.client_options(), {{.in_flight = 64}, {.in_flight = 4}}, true);
    for (int round = 0; round < 3; ++round) {
      REQUIRE(load.progresses(1000));
      for (std::uint64_t id = 1; id <= 3; ++id) cluster.process(id).signal(SIGKILL);
      for (std::uint64_t id = 1; id <= 3; ++id) cluster.process(id).wait();
      for (std::uint64_t id = 1; id <= 3; ++id) cluster.start(id);
    }
    REQUIRE(load.progresses(1000));
    CHECK(verdict(cluster, load) == "");
  }

  TEST_CASE("a follower that was away for 100,000 entries catches up") {
    Cluster cluster(3);
    cluster.start_all();
    std::mt19937_64 random(1);
    const std::uint64_t away = follower_of(cluster, cluster.leader(), random);
    cluster.kill(away);
    Load load(cluster.client_options(), {{.in_flight = 1024, .payload_bytes = 100}}, true);
    REQUIRE(load.progresses(100'000));
    cluster.start(away);
    REQUIRE(load.progresses(1000));
    CHECK(verdict(cluster, load) == "");
  }

  TEST_CASE("five nodes with two dead go on, and the dead come back") {
    Cluster cluster(5);
    cluster.start_all();
    Load load(cluster.client_options(), {{.in_flight = 32}, {.in_flight = 1}}, true);
    REQUIRE(load.progresses(500));
    std::uint64_t first = 0;
    REQUIRE(eventually([&] { return (first = cluster.leader()) != 0; }));
    cluster.kill(first);
    REQUIRE(load.progresses(500));
    std::uint64_t second = 0;
    REQUIRE(eventually([&] { return (second = cluster.leader()) != 0; }));
    cluster.kill(second);
    REQUIRE(load.progresses(500));
    cluster.start(first);
    cluster.start(second);
    CHECK(verdict(cluster, load) == "");
  }

  TEST_CASE("a minority refuses or times out, tells so, and still serves its own state") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "one", "two"}).exit_code == 0);
    REQUIRE(cluster.settle());
    const std::uint64_t survivor = cluster.leader();
    for (std::uint64_t id = 1; id <= 3; ++id) {
      if (id != survivor) cluster.kill(id);
    }
    const Run append = cluster.stele({"append", "--timeout-ms", "1500", "three"});
    CHECK(append.exit_code == 1);
    const bool told = append.out.find("timed_out") != std::string::npos ||
                      append.out.find("not_leader") != std::string::npos;
    CHECK_MESSAGE(told, append.out);
    const Run own = cluster.stele({"read", "--node", std::to_string(survivor)});
    CHECK(own.exit_code == 0);
    CHECK(own.out.substr(0, 8) == "one\ntwo\n");
    CHECK(cluster.stele({"read", "--timeout-ms", "1500"}).exit_code == 1);
    CHECK(cluster.stele({"status", "--timeout-ms", "700"}).exit_code == 1);
  }
}

}  // namespace stele::test
