// Nodes that are killed while they install, copy, take snapshots and trim, under load.

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <random>
#include <string>
#include <vector>

#include "bench/cluster/cluster.h"
#include "tests/cluster/load.h"
#include "tests/history/history.h"

namespace stele::test {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Trims all that the tail has delivered, until the nodes that run keep few slots.
bool trim_far(const Cluster& cluster, const Load& load) {
  return eventually([&] {
    static_cast<void>(cluster.stele({"trim", "--before", std::to_string(load.tailed() + 1)}));
    const auto nodes = cluster.status();
    return std::ranges::all_of(nodes, [](const NodeStatus& node) {
      return !node.reachable || node.answer.retained_bytes < 48 << 20;
    });
  });
}

/// The chosen_end that is the furthest of all nodes.
Slot furthest(const Cluster& cluster) {
  Slot end;
  for (const NodeStatus& node : cluster.status()) end = std::max(end, node.answer.chosen_end);
  return end;
}

/// A node has applied the slots below `end`, and has everything that is kept.
bool is_whole(const Cluster& cluster, std::uint64_t id, Slot end) {
  const auto nodes = cluster.status();
  return std::ranges::any_of(nodes, [&](const NodeStatus& node) {
    return node.answer.node == NodeId{id} && node.reachable && node.answer.chosen_end >= end &&
           node.answer.fault.empty();
  });
}

/// What the tail saw is the log from its first entry on; the nodes hold its end.
std::string verdict(Cluster& cluster, Load& load) {
  load.stop_writing();
  if (!cluster.settle()) return "the nodes do not settle";
  std::uint64_t end = 0;
  for (const NodeStatus& node : cluster.status()) {
    end = std::max(end, node.answer.applied_lsn.value);
  }
  const History history = load.finish(end);
  const std::vector<std::string>& log = history.tails.at(0).entries;
  std::vector<std::string> wrong = check(history, {log});
  MESSAGE(history.appends.size() << " appends, " << log.size() << " entries");
  for (std::uint64_t id = 1; id <= cluster.size(); ++id) {
    const std::string node = "node " + std::to_string(id);
    const std::vector<std::string> kept = cluster.read_log(id);
    if (kept.empty() || kept.size() > log.size() ||
        !std::equal(kept.begin(), kept.end(), log.end() - std::ptrdiff_t(kept.size()))) {
      wrong.push_back(node + " keeps something else");
    }
    cluster.process(id).signal(SIGTERM);
    const int exit_code = cluster.process(id).wait();
    if (exit_code != 0) wrong.push_back(node + " ended badly: " + cluster.log(id));
    const Run verified = cluster.stele({"verify", "--data", cluster.data(id)});
    if (verified.exit_code != 0) wrong.push_back(node + ": " + verified.out);
  }
  std::string lines;
  for (const std::string& line : wrong) lines += line + "\n";
  return lines;
}

}  // namespace

TEST_SUITE("cluster.trim_kills") {
  TEST_CASE(
      "a follower that is away past the trim point, and killed again and again on its way back") {
    Cluster cluster(3, {"--keep-for-members-bytes", "1000"});
    cluster.start_all();
    Load load(cluster.client_options(),
              {{.in_flight = 32, .payload_bytes = 4000}, {.in_flight = 2}}, true);
    std::mt19937_64 random(11);
    for (int round = 0; round < 3; ++round) {
      CAPTURE(round);
      std::uint64_t leader = 0;
      REQUIRE(eventually([&] { return (leader = cluster.leader()) != 0; }));
      const std::uint64_t away = leader % 3 + 1;
      cluster.kill(away);
      REQUIRE(load.progresses(20'000));
      REQUIRE(trim_far(cluster, load));
      for (int kill = 0; kill < 4; ++kill) {
        cluster.start(away);
        REQUIRE(load.progresses(1 + random() % 2000));
        // The third time it is the one that serves it.
        const std::uint64_t target =
            kill == 2 ? (random() % 2 == 0 ? leader : 6 - leader - away) : away;
        cluster.kill(target);
        if (target != away) {
          REQUIRE(eventually([&] { return cluster.leader() != 0; }));
          cluster.start(target);
          cluster.kill(away);
        }
      }
      cluster.start(away);
      const Slot end = furthest(cluster);
      REQUIRE(eventually([&] { return is_whole(cluster, away, end); }));
      REQUIRE(load.progresses(500));
    }
    int installed = 0;
    for (std::uint64_t id = 1; id <= 3; ++id) {
      installed += has(cluster.log(id), "snapshot_installed") ? 1 : 0;
    }
    CHECK(installed > 0);
    CHECK(verdict(cluster, load) == "");
  }
}

}  // namespace stele::test
