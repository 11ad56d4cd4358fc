// That the load generator works, and is right about what it has done; not how fast anything is.
#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/cluster/cluster.h"

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
        CHECK(one["p99_us"] >= one["p50_us"]);
        CHECK(one["failed"] == 0);
      }
    }
    REQUIRE(cluster.settle());
    CHECK(cluster.read_log(1).front().size() == 50);
  }

  // That as much is stored as was acknowledged is judged by the program itself.
  TEST_CASE("append: many clients share few connections") {
    const auto told = json_of({program("../bench/stele-bench"), "append", "--spawn", "3",
                               "--clients", "50", "--connections", "2", "--in-flight", "50",
                               "--seconds", "0.3", "--warm-up", "0.1", "--repeat", "1", "--json"});
    CHECK(told["clients"] == 50);
    CHECK(told["connections"] == 2);
    CHECK(told["runs"][0]["acknowledged"] > 0);
    CHECK(told["runs"][0]["failed"] == 0);
    CHECK_FALSE(told.contains("floor_us"));
  }

  TEST_CASE("append: one at a time, against the floor") {
    const auto told =
        json_of({program("../bench/stele-bench"), "append", "--spawn", "1", "--in-flight", "1",
                 "--seconds", "0.3", "--warm-up", "0", "--repeat", "2", "--json"});
    CHECK(told["floor_us"] > 0);
    CHECK(told["p50_per_floor"] > 0);
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
      CHECK(told["runs"][0]["gap_ms"] > 10);
      CHECK(told["runs"][0]["server_cpu_s_per_100k"] > 0);
    }
  }

  TEST_CASE("read: through the whole log, single entries, one node's own state, as a tail") {
    Cluster cluster(3);
    cluster.start_all();
    json_of({program("../bench/stele-bench"), "append", "--cluster", cluster.addresses(),
             "--payload-bytes", "100", "--seconds", "0.2", "--warm-up", "0", "--repeat", "1",
             "--json"});
    REQUIRE(cluster.settle());
    for (const char* how : {"", "--random", "--local", "--push"}) {
      std::vector<std::string> arguments{program("../bench/stele-bench"),
                                         "read",
                                         "--cluster",
                                         cluster.addresses(),
                                         "--connections",
                                         "2",
                                         "--in-flight",
                                         "4",
                                         "--seconds",
                                         "0.3",
                                         "--warm-up",
                                         "0.1",
                                         "--repeat",
                                         "1",
                                         "--json"};
      if (*how != '\0') arguments.emplace_back(how);
      const auto told = json_of(arguments);
      CHECK(told["runs"][0]["acknowledged"] > 0);
    }
  }

  TEST_CASE("tail: every client gets every entry; restart: an empty and a filled log") {
    const auto tails = json_of({program("../bench/stele-bench"), "tail", "--spawn", "3",
                                "--connections", "3", "--in-flight", "8", "--seconds", "0.3",
                                "--warm-up", "0.1", "--repeat", "1", "--json"});
    CHECK(tails["runs"][0]["acknowledged"] > 0);
    CHECK(tails["runs"][0]["p50_us"] > 0);
    const auto starts = json_of({program("../bench/stele-bench"), "restart", "--spawn", "3",
                                 "--fill-mb", "2", "--repeat", "1", "--json"});
    REQUIRE(starts["runs"].size() == 2);
    for (const auto& one : starts["runs"]) CHECK(one["p50_us"] > 0);
  }

  TEST_CASE("catch-up: the cluster goes on while a node comes back") {
    const auto told =
        json_of({program("../bench/stele-bench"), "catch-up", "--spawn", "3", "--fill-mb", "2",
                 "--in-flight", "64", "--seconds", "0.3", "--warm-up", "0.1", "--json"});
    REQUIRE(told["runs"].size() == 3);
    for (const auto& one : told["runs"]) CHECK(one["failed"] == 0);
    CHECK(told["mb_per_s"] > 0);
    CHECK(told["share"] > 0);
    const std::string bench = program("../bench/stele-bench");
    CHECK(run({bench, "catch-up", "--spawn", "1", "--fill-mb", "1"}).exit_code == 1);
    CHECK(run({bench, "restart", "--spawn", "1", "--fill-mb", "0"}).exit_code != 0);
  }

  TEST_CASE("append: a page with plots") {
    const TempDirectory directory;
    const std::string path = directory.path() + "/page.html";
    const Run done = run({program("../bench/stele-bench"), "append", "--spawn", "1", "--data",
                          directory.path(), "--in-flight", "1", "--seconds", "0.3", "--warm-up",
                          "0", "--repeat", "2", "--html", path});
    REQUIRE_MESSAGE(done.exit_code == 0, done.out);
    CHECK(done.out.find("times the floor of") != std::string::npos);
    const std::string page = read_file(path);
    CHECK(page.find("Latency over time") != std::string::npos);
    CHECK(page.find("</svg>") != std::string::npos);
    CHECK(page.find("nan") == std::string::npos);
  }

  TEST_CASE("floor: every figure is there") {
    const auto told = json_of({program("../bench/stele-floor"), "--times", "20", "--json"});
    CHECK(told.size() == 12);
    for (const auto& figure : told) CHECK(figure["p50"] > 0);
  }

  TEST_CASE("killed, it leaves no data") {
    const TempDirectory parent;
    for (const int number : {SIGTERM, SIGKILL}) {
      CAPTURE(number);
      const std::string data = parent.path() + "/data";
      const std::string output = parent.path() + "/output" + std::to_string(number);
      Process bench({program("../bench/stele-bench"), "append", "--spawn", "3", "--data", data,
                     "--seconds", "600"},
                    output);
      REQUIRE(eventually([&] {
        return run({"/bin/sh", "-c", "ls " + data + "/*/3.log"}).exit_code == 0;
      }));
      bench.signal(number);
      CHECK(bench.wait() == 128 + number);
      CHECK(eventually([&] { return std::filesystem::is_empty(data); }));
    }
  }

  TEST_CASE("wrong usage is told") {
    CHECK(run({program("../bench/stele-bench"), "append"}).exit_code == 2);
    CHECK(run({program("../bench/stele-bench"), "append", "--cluster", "x"}).exit_code == 1);
    CHECK(run({program("../bench/stele-bench")}).exit_code != 0);
    const auto few = run({program("../bench/stele-bench"), "append", "--spawn", "3", "--in-flight",
                          "2", "--connections", "3"});
    CHECK(few.exit_code == 2);
    CHECK(few.out == "stele-bench: --in-flight is at least --connections\n");
  }
}

}  // namespace stele::test
