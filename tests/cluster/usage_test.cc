// Wrong usage of the programs: a clear sentence and the right exit code.

#include <doctest/doctest.h>

#include <filesystem>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("cluster.usage") {
  TEST_CASE("steled: wrong usage ends with 2 and says what is wrong") {
    const TempDirectory directory;
    const auto steled = [&](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), program("steled"));
      return run(arguments);
    };
    const std::string data = directory.path() + "/data";
    struct Case {
      std::vector<std::string> arguments;
      std::string said;
    };
    const std::vector<Case> cases{
        {{}, "--id is missing"},
        {{"--frobnicate"}, "frobnicate"},
        {{"--id", "x", "--cluster", "1=a:1", "--data", data}, "--id"},
        {{"--id", "1", "--cluster", "1=a:1"}, "--data is missing"},
        {{"--id", "2", "--cluster", "1=127.0.0.1:7001", "--data", data}, "own id 2"},
        {{"--id", "1", "--cluster", "1=127.0.0.1:7001,1=127.0.0.1:7002", "--data", data},
         "second time"},
        {{"--id", "1", "--cluster", "1=127.0.0.1:7001,2=127.0.0.1:7001", "--data", data},
         "address of node 1"},
        {{"--id", "1", "--cluster", "1:127.0.0.1:7001", "--data", data}, "no '='"},
        {{"--id", "1", "--cluster", "1=127.0.0.1", "--data", data}, "no port"},
        {{"--id", "1", "--cluster", "1=127.0.0.1:99999", "--data", data}, "port"},
        {{"--id", "1", "--cluster", "0=127.0.0.1:7001", "--data", data}, "from 1 to 63"},
        {{"--id", "1", "--cluster", "1=127.0.0.1:7001", "--data", data, "--log-level", "loud"},
         "log-level"},
        {{"--id", "1", "--cluster", "1=127.0.0.1:7001", "--data", data, "--election-timeout-ms",
          "1"},
         "election-timeout"},
        {{"--config", directory.path() + "/none.toml"}, "none.toml"},
        {{"--config", directory.path()}, "it is a directory"},
        {{"--config", ""}, "the name is empty"},
        {{"--config", "/dev/zero"}, "it is too long"},
        {{"--id", "-1", "--cluster", "1=a:1", "--data", data}, "'-1' is not a number"},
        {{"--id", "1", "--cluster", "1=a:1", "--data", data, "--memory-bytes-max", "-5"},
         "'-5' is not a number"},
        {{"--id", "1", "--cluster", "1=a:1", "--data", data, "--heartbeat-ms",
          "9223372036854775808"},
         "--heartbeat-ms"},
        {{"--id", "1", "--cluster", "1=a:1", "--data", data, "--disk-bytes-max",
          "9223372036854775808"},
         "--disk-bytes-max"},
        {{"--id", "1", "--cluster", "1=[::1]", "--data", data}, "it has no port"},
    };
    for (const Case& wrong : cases) {
      auto arguments = wrong.arguments;
      arguments.emplace_back("--check-config");
      const Run ended = steled(arguments);
      CAPTURE(ended.out);
      CHECK(ended.exit_code == 2);
      CHECK(has(ended.out, wrong.said));
    }
    CHECK_FALSE(std::filesystem::exists(data));
    CHECK(steled({"--id", "1", "--cluster", "1=localhost:7001,2=[::1]:7002", "--data", data,
                  "--check-config"})
              .exit_code == 0);
    CHECK(steled({"--help"}).exit_code == 0);
    CHECK(has(steled({"--help"}).out, "Exit codes"));
    CHECK(steled({"--version"}).exit_code == 0);
  }

  TEST_CASE("steled: a file of settings, and flags that win over it") {
    const TempDirectory directory;
    const std::string file = directory.path() + "/stele.toml";
    const auto check = [&](const std::vector<std::string>& more) {
      std::vector<std::string> arguments{program("steled"), "--check-config", "--config", file};
      arguments.insert(arguments.end(), more.begin(), more.end());
      return run(arguments);
    };
    write_file(file,
               "id = 1\ndata = \"d\"\nheartbeat-ms = 20\n[cluster]\n1 = \"localhost:7001\"\n2 = "
               "\"localhost:7002\"\n");
    CHECK(check({}).exit_code == 0);
    CHECK(check({"--id", "3"}).exit_code == 2);
    write_file(file, "id = 1\ndata = \"d\"\nhartbeat-ms = 20\n");
    CHECK(check({}).exit_code == 2);
    CHECK(has(check({}).out, ":3: there is no setting 'hartbeat-ms'"));
    write_file(file, "id = \"one\"\n");
    CHECK(has(check({}).out, "id is a number"));
    write_file(file, "id = = 1\n");
    CHECK(check({}).exit_code == 2);
  }

  TEST_CASE("stele: wrong usage ends with 2, an unreachable cluster with 3") {
    const auto stele = [](std::vector<std::string> arguments) {
      arguments.insert(arguments.begin(), program("stele"));
      return run(arguments);
    };
    CHECK(stele({}).exit_code == 2);
    CHECK(stele({"frobnicate"}).exit_code == 2);
    CHECK(stele({"append", "x"}).exit_code == 2);
    CHECK(stele({"append", "--cluster", "nonsense", "x"}).exit_code == 2);
    CHECK(stele({"read", "--cluster", "127.0.0.1:1", "--from", "0"}).exit_code == 2);
    CHECK(stele({"read", "--cluster", "127.0.0.1:1", "--format", "xml"}).exit_code == 2);
    CHECK(stele({"tail", "--cluster", "127.0.0.1:1", "--from", "0"}).exit_code == 2);
    CHECK(stele({"append", "--cluster", "127.0.0.1:1", "--file", "/none"}).exit_code == 2);
    CHECK(stele({"append", "--cluster", "127.0.0.1:1", "--file", "/tmp"}).exit_code == 2);
    CHECK(stele({"append", "--cluster", "127.0.0.1:1", "--file", "a", "--whole", "b"}).exit_code ==
          2);
    CHECK(stele({"append", "--cluster", "127.0.0.1:1", "--timeout-ms", "300", "x"}).exit_code == 3);
    CHECK(stele({"--cluster", "127.0.0.1:1", "read", "--timeout-ms", "300"}).exit_code == 3);
    CHECK(stele({"read", "--node", "2", "--cluster", "127.0.0.1:1", "--timeout-ms", "300"})
              .exit_code == 3);
    CHECK(stele({"status", "--cluster", "127.0.0.1:1", "--timeout-ms", "300"}).exit_code == 3);
    CHECK(stele({"tail", "--cluster", "127.0.0.1:1", "--count", "1"}).exit_code == 3);
    CHECK(stele({"verify", "--data", "/none"}).exit_code == 4);
    for (const char* sub : {"append", "read", "tail", "status", "dev", "verify"}) {
      CHECK(stele({sub, "--help"}).exit_code == 0);
    }
  }
}

}  // namespace stele::test
