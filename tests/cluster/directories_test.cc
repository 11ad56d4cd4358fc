// Data directories that have lost something, and nodes that were told different things: real
// processes.

#include <doctest/doctest.h>

#include <csignal>
#include <filesystem>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kNodes[] = {1, 2, 3};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void end(Cluster& cluster, std::uint64_t id) {
  cluster.process(id).signal(SIGTERM);
  CHECK(cluster.process(id).wait() == 0);
}

void put(const std::string& from, const std::string& to) {
  fs::remove_all(to);
  fs::copy(from, to, fs::copy_options::recursive);
}

/// How a node stands, by its own word; empty if it cannot be asked.
NodeReport status_of(const Cluster& cluster, std::uint64_t id) {
  for (const NodeStatus& node : cluster.status()) {
    if (node.reachable && node.answer.node.value == id) return node.answer;
  }
  return {};
}

/// All files of a directory with what is in them.
std::map<std::string, std::string> contents(const std::string& directory) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = fs::relative(entry.path(), directory).string();
    if (name == "lock.mdb" || name == "stele.lock") continue;
    all[name] = entry.is_regular_file() ? read_file(entry.path().string()) : "a directory";
  }
  return all;
}

}  // namespace

TEST_SUITE("cluster.directories") {
  TEST_CASE("an older copy of a directory takes no part; the newest one does") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "a1", "a2"}).exit_code == 0);
    REQUIRE(cluster.settle());
    const TempDirectory copies;
    end(cluster, 3);
    put(cluster.data(3), copies.path() + "/older");
    cluster.start(3);
    REQUIRE(cluster.settle());
    // Node 2 does not know what 1 and 3 acknowledge now.
    end(cluster, 2);
    REQUIRE(eventually([&] { return cluster.stele({"append", "b1", "b2"}).exit_code == 0; }));
    end(cluster, 3);
    put(cluster.data(3), copies.path() + "/newest");
    put(copies.path() + "/older", cluster.data(3));
    end(cluster, 1);
    cluster.start(2);
    cluster.start(3);
    CHECK(eventually([&] { return has(status_of(cluster, 3).fault, "gone back"); }));
    CHECK(cluster.stele({"append", "--timeout-ms", "1000", "c1"}).exit_code == 1);
    CHECK(cluster.leader() == 0);
    CHECK(has(cluster.log(2), "peer_refused"));
    // Not even after many starts, nor once the others are all there.
    for (int i = 0; i < 3; ++i) {
      cluster.kill(3);
      cluster.start(3);
    }
    cluster.start(1);
    REQUIRE(eventually([&] { return cluster.stele({"append", "d1"}).exit_code == 0; }));
    CHECK(eventually([&] { return has(status_of(cluster, 3).fault, "gone back"); }));
    CHECK(status_of(cluster, 1).fault.empty());
    const Run read = cluster.stele({"read", "--node", "3", "--timeout-ms", "500"});
    CHECK(read.exit_code == 1);
    CHECK(has(read.out, "timed_out"));
    CHECK(has(read.out, "gone back"));
    // The directory as it was after its last stop may come back.
    cluster.kill(3);
    put(copies.path() + "/newest", cluster.data(3));
    cluster.start(3);
    REQUIRE(cluster.settle());
    for (std::uint64_t id = 1; id <= 3; ++id) {
      CHECK(cluster.read_log(id) == std::vector<std::string>{"a1", "a2", "b1", "b2", "d1"});
    }
  }

  TEST_CASE("a copy that was taken while the node ran takes no part") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "a1", "a2"}).exit_code == 0);
    REQUIRE(cluster.settle());
    const TempDirectory copies;
    cluster.kill(3);  // As a snapshot of the disk would be.
    put(cluster.data(3), copies.path() + "/older");
    cluster.start(3);
    REQUIRE(cluster.settle());
    cluster.kill(3);
    put(copies.path() + "/older", cluster.data(3));
    cluster.start(3);
    CHECK(eventually([&] { return has(status_of(cluster, 3).fault, "gone back"); }));
    REQUIRE(cluster.stele({"append", "b1"}).exit_code == 0);
  }

  TEST_CASE("nobody is born before all name the same members; correcting the list is enough") {
    Cluster cluster(3);
    const auto told = [&](std::uint64_t id, const std::string& members) {
      auto arguments = cluster.arguments(id);
      arguments[4] = members;
      return arguments;
    };
    const std::string all = cluster.arguments(1)[4];
    for (const std::string& wrong : {all.substr(0, all.rfind(',')), all + ",4=127.0.0.1:9"}) {
      CAPTURE(wrong);
      cluster.start(1);
      cluster.start(3);
      cluster.process(2) = Process(told(2, wrong), cluster.data(2) + ".log");
      for (const std::uint64_t id : kNodes) {
        CHECK(eventually([&] {
          const auto status = status_of(cluster, id);
          return status.role == "unborn" && has(status.fault, "was told the members");
        }));
        CHECK_FALSE(has(cluster.log(id), "cluster_born"));
      }
      for (const std::uint64_t id : kNodes) cluster.kill(id);
    }
    // Another id, and another cluster's name.
    auto typo = cluster.arguments(2);
    typo[2] = "4";
    typo[4].replace(typo[4].find(",2="), 3, ",4=");
    typo.insert(typo.end(), {"--cluster-name", "typo"});
    Process mistaken(typo, cluster.data(2) + ".log");
    CHECK(eventually([&] { return has(read_file(cluster.data(2) + ".log"), "unborn"); }));
    mistaken.signal(SIGKILL);
    CHECK(mistaken.wait() == 137);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "x"}).exit_code == 0);
    REQUIRE(cluster.settle());
  }

  TEST_CASE("a node that hears another one and cannot reach it says so, and where") {
    Cluster cluster(3);
    auto wrong = cluster.arguments(2);
    const std::string port = std::to_string(cluster.address(1).port);
    const Ports ports(1);
    const std::string nobody = std::to_string(ports[0]);
    wrong[4].replace(wrong[4].find(port), port.size(), nobody);
    cluster.start(1);
    cluster.start(3);
    cluster.process(2) = Process(wrong, cluster.data(2) + ".log");
    CHECK(eventually([&] {
      return has(status_of(cluster, 2).fault,
                 "node 1 is heard, but cannot be reached at 127.0.0.1:" + nobody);
    }));
    CHECK(status_of(cluster, 3).fault.empty());
  }

  // Taken for a new one, such a directory would forget its votes.
  TEST_CASE("a directory of which a part is missing, empty or another's: 4, and nothing changes") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", std::string(100'000, 'x'), "y"}).exit_code == 0);
    REQUIRE(cluster.settle());
    for (const std::uint64_t id : kNodes) end(cluster, id);
    const TempDirectory copies;
    const std::string sound = copies.path() + "/sound";
    put(cluster.data(1), sound);
    enum class State { kept, missing, empty, cut, foreign };
    const State states[] = {State::kept, State::missing, State::empty, State::cut, State::foreign};
    const auto spoil = [&](const std::string& name, State state) {
      const std::string path = cluster.data(1) + "/" + name;
      if (state == State::kept) return;
      const bool folder = fs::is_directory(path);
      if (state == State::cut && !folder) return fs::resize_file(path, fs::file_size(path) / 2);
      if (state == State::cut) return fs::resize_file(path + "/1", fs::file_size(path + "/1") / 2);
      fs::remove_all(path);
      if (state == State::foreign) fs::copy(cluster.data(2) + "/" + name, path);
      if (state == State::empty) folder ? fs::create_directory(path) : (write_file(path, ""), true);
    };
    for (const State tables : states) {
      for (const State journal : states) {
        for (const State values : states) {
          // Other tests have the cases where all is there, all is gone, or all is another node's.
          const bool there = values == State::kept || values == State::foreign;
          if (tables == State::kept && journal == State::kept && there) continue;
          const bool none = tables == State::missing || tables == State::empty;
          if (none && journal == State::missing && values == State::missing) continue;
          put(sound, cluster.data(1));
          spoil("data.mdb", tables);
          spoil("journal", journal);
          spoil("values", values);
          const auto before = contents(cluster.data(1));
          const Run started = run(cluster.arguments(1));
          CAPTURE(started.out);
          CAPTURE(static_cast<int>(tables));
          CAPTURE(static_cast<int>(journal));
          CAPTURE(static_cast<int>(values));
          CHECK(started.exit_code == 4);
          // Whose it should be, a directory does not say.
          if (tables != State::foreign || journal != State::foreign) {
            const Run verified = run({program("stele"), "verify", "--data", cluster.data(1)});
            CAPTURE(verified.out);
            CHECK(verified.exit_code == 4);
          }
          CHECK((contents(cluster.data(1)) == before));
        }
      }
    }
    // It is as it was.
    put(sound, cluster.data(1));
    CHECK(run({program("stele"), "verify", "--data", cluster.data(1)}).exit_code == 0);
  }

  // A copy on a medium that takes no writes, as backups are kept.
  TEST_CASE(
      "verify: a directory that cannot be written, with a journal that LMDB does not know yet") {
    Cluster cluster(1);
    cluster.start_all();
    CHECK(cluster.stele({"append", "one", "two"}).exit_code == 0);
    cluster.kill(1);
    const Run verified = run(
        {"/usr/bin/unshare", "-m", "/bin/sh", "-c",
         "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" || exec echo cannot mount; "
         "! touch \"$1/x\" 2> /dev/null && exec \"$2\" verify --data \"$1\"",
         "sh", cluster.data(1), program("stele")});
    if (verified.out.find("cannot mount") != std::string::npos) {
      MESSAGE("nothing can be mounted here: not tested");
      return;
    }
    CAPTURE(verified.out);
    CHECK(verified.exit_code == 0);
    CHECK(verified.out.find("all checksums match") != std::string::npos);
  }
}

}  // namespace stele::test
