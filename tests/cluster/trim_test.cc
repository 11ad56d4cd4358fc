// Trimming, retention and holds, as users and operators meet them.

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string numbers(int from, int to) {
  std::string lines;
  for (int i = from; i <= to; ++i) lines += std::to_string(i) + "\n";
  return lines;
}

/// Entries that each take a slot of their own.
void append_one_by_one(const Cluster& cluster, int from, int to) {
  REQUIRE(cluster.stele({"append", "--in-flight", "1"}, numbers(from, to)).exit_code == 0);
}

std::uint64_t bytes_of(const std::string& directory) {
  std::uint64_t bytes = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, gone)) {
    if (entry.is_regular_file(gone)) bytes += entry.file_size(gone);
  }
  return bytes;
}

/// The first slot that a closed directory still has; 1 if nothing was given up. It is sound.
std::uint64_t first_slot(const Cluster& cluster, std::uint64_t id) {
  const Run verified = cluster.stele({"verify", "--data", cluster.data(id)});
  CHECK_MESSAGE(verified.exit_code == 0, verified.out);
  const std::size_t at = verified.out.find("slots below ");
  return at == std::string::npos ? 1 : std::stoull(verified.out.substr(at + 12));
}

}  // namespace

TEST_SUITE("cluster.trim") {
  TEST_CASE(
      "trim: says what goes and what is left, and holds on every node, through a kill of all") {
    Cluster cluster(3);
    cluster.start_all();
    CHECK(has(cluster.stele({"trim", "--before", "1"}).out, "the log begins at LSN 1"));
    REQUIRE(cluster.stele({"append"}, numbers(1, 1000)).exit_code == 0);
    const Run dry = cluster.stele({"trim", "--before", "501", "--dry-run"});
    CHECK(dry.out == "would trim entries 1 to 500; left: entries 501 to 1000\n");
    const Run beyond = cluster.stele({"trim", "--before", "1002"});
    CHECK(beyond.exit_code == 1);
    CHECK(has(beyond.out, "out_of_range: the log ends before LSN 1001"));
    const Run done = cluster.stele({"trim", "--before", "501"});  // No terminal: nobody is asked.
    CHECK(done.exit_code == 0);
    CHECK(done.out == "trimmed entries 1 to 500; left: from LSN 501 on\n");
    CHECK(has(cluster.stele({"trim", "--before", "300"}).out, "nothing is trimmed"));
    REQUIRE(cluster.settle());
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.kill(id);
    cluster.start_all();
    REQUIRE(cluster.settle());
    for (const std::string node : {"1", "2", "3"}) {
      const Run below = cluster.stele({"read", "--from", "500", "--node", node});
      CHECK(below.exit_code == 1);
      CHECK(has(below.out, "trimmed: entries below 501 are trimmed"));
      CHECK(cluster.stele({"read", "--from", "501", "--count", "1", "--node", node}).out ==
            "501\n");
    }
    const Run skipped = cluster.stele({"read", "--skip-trimmed", "--count", "502"});
    CHECK(skipped.exit_code == 0);
    CHECK(has(skipped.out, "entries 1 to 500 are passed by"));
    CHECK(has(skipped.out, "501\n502\n"));
    const Run tail = cluster.stele({"tail", "--from", "7", "--count", "1"});
    CHECK(tail.exit_code == 1);
    CHECK(has(tail.out, "trimmed: "));
    CHECK(
        has(cluster.stele({"tail", "--from", "7", "--count", "1", "--skip-trimmed"}).out, "501\n"));
    CHECK(cluster.stele({"append", "next"}).out == "1001\n");
  }

  TEST_CASE("holds: keep what they name; force passes them, and says which") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"append"}, numbers(1, 100)).exit_code == 0);
    CHECK(cluster.stele({"hold", "set", "backup", "--lsn", "40", "--for", "1h"}).exit_code == 0);
    const Run held = cluster.stele({"trim", "--before", "50"});
    CHECK(held.exit_code == 1);
    CHECK(has(held.out, "held: the hold backup keeps LSN 40"));
    CHECK(cluster.stele({"trim", "--before", "40"}).exit_code == 0);
    const Run forced = cluster.stele({"trim", "--before", "50", "--force"});
    CHECK(forced.exit_code == 0);
    CHECK(has(forced.out, "by force: the hold backup"));
    CHECK(has(cluster.stele({"hold", "list"}).out, "passed by force: it holds nothing"));
    CHECK(cluster.stele({"hold", "release", "backup"}).exit_code == 0);
    CHECK(has(cluster.stele({"hold", "release", "backup"}).out, "not_found"));
    CHECK(has(cluster.stele({"hold", "set", "late", "--lsn", "49", "--for", "1h"}).out, "trimmed"));
    CHECK(cluster.stele({"hold", "set", "no end", "--lsn", "60", "--for", "1h"}).exit_code == 2);
    CHECK(cluster.stele({"hold", "set", "x", "--lsn", "60", "--for", "1000d"}).exit_code == 2);
    CHECK(cluster.stele({"hold", "set", "x", "--lsn", "60"}).exit_code == 2);
    CHECK(has(cluster.stele({"hold", "list"}).out, "there are no holds"));
  }

  TEST_CASE("retention: set, shown and cleared while it runs; nothing that makes no sense") {
    Cluster cluster(1);
    cluster.start_all();
    for (const std::vector<std::string>& wrong : {std::vector<std::string>{"retention", "set"},
                                                  {"retention", "set", "--bytes", "0"},
                                                  {"retention", "set", "--bytes", "1.5GiB"},
                                                  {"retention", "set", "--age", "7"},
                                                  {"retention"}}) {
      CHECK(cluster.stele(wrong).exit_code == 2);
    }
    CHECK(has(cluster.stele({"retention", "show"}).out, "none: the log is trimmed by hand only"));
    REQUIRE(cluster.stele({"retention", "set", "--bytes", "64KiB", "--age", "30d"}).exit_code == 0);
    const std::string shown = cluster.stele({"retention", "show"}).out;
    CHECK(has(shown, "64KiB of slots at least, or what is younger than 30d"));
    append_one_by_one(cluster, 1, 1500);  // About 240 bytes of slots each.
    const auto first = [&] {
      const auto nodes = cluster.status();
      return nodes.empty() ? 0 : nodes[0].answer.first_lsn.value;
    };
    REQUIRE(eventually([&] { return first() > 800; }));
    CHECK(first() < 1500 - 250);  // 64 KiB at least.
    REQUIRE(cluster.stele({"retention", "clear"}).exit_code == 0);
    const std::uint64_t before = first();
    append_one_by_one(cluster, 1501, 2500);
    CHECK(first() == before);
  }

  // No node that is away may lose what it lacks, as long as nothing else could bring it back.
  TEST_CASE("what a member lacks stays until it has it; then slots and their space go") {
    Cluster cluster(3);
    cluster.start_all();
    append_one_by_one(cluster, 1, 700);
    REQUIRE(cluster.settle());
    cluster.kill(3);
    append_one_by_one(cluster, 701, 1400);
    CHECK(cluster.stele({"trim", "--before", "1401"}).exit_code == 0);
    cluster.start(3);
    REQUIRE(cluster.settle());
    CHECK(cluster.stele({"append", "next"}).out == "1401\n");
    // All of them have it durably, and tell so, within seconds.
    REQUIRE(eventually([&] {
      const auto nodes = cluster.status();
      return std::ranges::all_of(nodes, [](const NodeStatus& node) {
        return node.reachable && node.answer.first_lsn == Lsn{1401} &&
               node.answer.retained_bytes < 40 << 10;  // About 160 for each.
      });
    }));
    for (std::uint64_t id = 1; id <= 3; ++id) {
      cluster.process(id).signal(SIGTERM);
      CHECK(cluster.process(id).wait() == 0);
      CHECK(first_slot(cluster, id) >= 1280);
    }
    cluster.start_all();
    CHECK(cluster.read_log(1) == std::vector<std::string>{"next"});
  }

  TEST_CASE("a follower that was away past the trim point comes back, and has every kept entry") {
    Cluster cluster(3, {"--keep-for-members-bytes", "1000"});
    cluster.start_all();
    append_one_by_one(cluster, 1, 600);
    REQUIRE(cluster.settle());
    const std::uint64_t away = cluster.leader() == 3 ? 2 : 3;
    cluster.kill(away);
    append_one_by_one(cluster, 601, 2400);
    REQUIRE(cluster.stele({"trim", "--before", "2001"}).exit_code == 0);
    // The others have given up what it lacks.
    REQUIRE(eventually([&] {
      const auto nodes = cluster.status();
      return std::ranges::all_of(nodes, [&](const NodeStatus& node) {
        // About 160 for each slot; of what is trimmed two runs at most.
        return !node.reachable || node.answer.retained_bytes < 160 << 10;
      });
    }));
    // A start takes over what only their journals knew.
    for (std::uint64_t id = 1; id <= 3; ++id) {
      if (id != away) cluster.kill(id);
    }
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.start(id);
    REQUIRE(cluster.settle());
    std::vector<std::string> kept;
    for (int i = 2001; i <= 2400; ++i) kept.push_back(std::to_string(i));
    CHECK(cluster.read_log(away) == kept);
    CHECK(has(cluster.log(away), "snapshot_installed"));
    // It serves the others in turn, and all of it is its own.
    append_one_by_one(cluster, 2401, 2500);
    REQUIRE(eventually([&] { return has(cluster.log(away), "slots_copied"); }));
    for (std::uint64_t id = 1; id <= 3; ++id) {
      if (id != away) cluster.kill(id);
    }
    for (int i = 2401; i <= 2500; ++i) kept.push_back(std::to_string(i));
    CHECK(cluster.read_log(away) == kept);
    cluster.process(away).signal(SIGTERM);
    CHECK(cluster.process(away).wait() == 0);
    CHECK(first_slot(cluster, away) > 600);
  }

  TEST_CASE("the snapshots of all nodes are the same, and a damaged one is found and made anew") {
    Cluster cluster(3);
    cluster.start_all();
    append_one_by_one(cluster, 1, 700);
    REQUIRE(cluster.stele({"trim", "--before", "650"}).exit_code == 0);
    const auto same = [&] {
      const auto nodes = cluster.status();
      return std::ranges::all_of(nodes, [&](const NodeStatus& node) {
        return node.reachable && node.answer.snapshot_slot != Slot{} &&
               node.answer.snapshot_slot == nodes.front().answer.snapshot_slot &&
               node.answer.snapshot_digest == nodes.front().answer.snapshot_digest;
      });
    };
    REQUIRE(eventually(same));
    const std::string slot = std::to_string(cluster.status().front().answer.snapshot_slot.value);
    cluster.kill(1);
    const std::string path = cluster.data(1) + "/snapshots/" + slot;
    std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
    const Run verified = cluster.stele({"verify", "--data", cluster.data(1)});
    CHECK(verified.exit_code != 0);
    CHECK(has(verified.out, "the snapshot at slot " + slot + " is damaged"));
    cluster.start(1);
    append_one_by_one(cluster, 701, 1400);
    REQUIRE(cluster.stele({"trim", "--before", "1350"}).exit_code == 0);
    REQUIRE(eventually(
        [&] { return same() && cluster.status().front().answer.snapshot_slot > Slot{700}; }));
    CHECK(has(cluster.log(1), "snapshot_given_up"));
  }

  TEST_CASE("the disk holds what is retained and little more") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"retention", "set", "--bytes", "64MiB"}).exit_code == 0);
    const std::string lines = [] {
      std::string text;
      for (int i = 0; i < 200; ++i) text += std::string(500'000, 'x') + "\n";
      return text;
    }();
    for (int i = 0; i < 12; ++i) {
      REQUIRE(cluster.stele({"append", "--in-flight", "32"}, lines).exit_code ==
              0);  // 100 MB each.
    }
    const std::uint64_t most = (64ULL << 20) * 115 / 100 + (512ULL << 20);
    REQUIRE(eventually([&] { return bytes_of(cluster.data(1)) <= most; }));
  }
}

}  // namespace stele::test
