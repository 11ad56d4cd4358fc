// How programs end, and what they leave: real processes.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <string>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

/// A pipe with a name, as a log may be written to.
class NamedPipe {
 public:
  explicit NamedPipe(const std::string& path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    end_ = ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(end_ >= 0);
  }
  ~NamedPipe() { close(); }
  NamedPipe(const NamedPipe&) = delete;
  NamedPipe& operator=(const NamedPipe&) = delete;

  /// Until nothing more fits: nobody reads it.
  void fill() const {
    const std::string line(4096, 'x');
    while (::write(end_, line.data(), line.size()) > 0) {
    }
  }
  void close() {
    if (end_ >= 0) ::close(end_);
    end_ = -1;
  }

 private:
  int end_ = -1;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A node whose log goes to `pipe`.
Process start_logging_to(const Cluster& cluster, const std::string& pipe) {
  std::vector<std::string> arguments{"/bin/sh", "-c", R"(p=$1; shift; exec "$@" 2>"$p")", "sh",
                                     pipe};
  for (const std::string& argument : cluster.arguments(1)) arguments.push_back(argument);
  return {arguments, cluster.data(1) + ".out"};
}

std::string sessions_left(Cluster& cluster) {
  cluster.process(1).signal(SIGTERM);
  CHECK(cluster.process(1).wait() == 0);
  const std::string told = run({program("stele"), "verify", "--data", cluster.data(1)}).out;
  const std::size_t at = told.find("sessions");
  return at == std::string::npos ? told : told.substr(at, told.find('\n', at) - at);
}

}  // namespace

TEST_SUITE("cluster.ends") {
  TEST_CASE("a log that nobody reads holds up neither the node nor its end") {
    Cluster cluster(1);
    const TempDirectory directory;
    const std::string path = directory.path() + "/log";
    const NamedPipe pipe(path);
    pipe.fill();
    Process node = start_logging_to(cluster, path);
    REQUIRE(eventually([&] { return cluster.stele({"append", "x"}).exit_code == 0; }));
    node.signal(SIGTERM);
    CHECK(node.wait() == 0);
    // A node that cannot start ends all the same, too.
    write_file(cluster.data(1) + "/data.mdb", "something else");
    Process broken = start_logging_to(cluster, path);
    CHECK(broken.wait() == 4);
  }

  TEST_CASE("the log's reader goes away: the node stays") {
    Cluster cluster(1);
    const TempDirectory directory;
    const std::string path = directory.path() + "/log";
    NamedPipe pipe(path);
    Process node = start_logging_to(cluster, path);
    REQUIRE(eventually([&] { return cluster.stele({"append", "x"}).exit_code == 0; }));
    pipe.close();
    // Strangers at the port are worth a line.
    for (int i = 0; i < 3; ++i) {
      static_cast<void>(run({program("stele"), "--cluster", cluster.addresses(), "--cluster-name",
                             "other", "append", "--timeout-ms", "200", "y"}));
    }
    CHECK(cluster.stele({"append", "z"}).exit_code == 0);
    node.signal(SIGTERM);
    CHECK(node.wait() == 0);
  }

  TEST_CASE("a line of the log is whole, however long it is") {
    Cluster cluster(1);
    const TempDirectory directory;
    const std::string deep = directory.path() + std::string(120, '/') + std::string(6000, 'x');
    std::vector<std::string> arguments = cluster.arguments(1);
    *(std::ranges::find(arguments, "--data") + 1) = deep;
    arguments.insert(arguments.end(), {"--log-format", "json"});
    const Run ended = run(arguments);
    CHECK(ended.exit_code == 4);
    std::istringstream lines(ended.out);
    int whole = 0;
    for (std::string line; std::getline(lines, line); ++whole) {
      CHECK(line.ends_with("}"));
      if (line.find("cannot_start") != std::string::npos) CHECK(line.size() > 6000);
    }
    CHECK(whole == 2);
  }

  // With settings of the resolver that nobody ever writes, a look-up never ends.
  TEST_CASE("a look-up that hangs does not hold up the end") {
    Cluster cluster(1);
    const TempDirectory directory;
    const std::string settings = directory.path() + "/settings";
    const NamedPipe pipe(settings);
    std::vector<std::string> arguments{
        "/usr/bin/unshare",
        "-m",
        "/bin/sh",
        "-c",
        R"(mount --bind "$1" /etc/resolv.conf || exit 77; shift; exec "$@")",
        "sh",
        settings};
    for (const std::string& argument : cluster.arguments(1)) arguments.push_back(argument);
    arguments.insert(arguments.end(), {"--listen", "a-node.invalid:7001"});
    const std::string log = directory.path() + "/log";
    Process node(arguments, log);
    if (!eventually([&] { return has(read_file(log), " starting ") || !node.running(); }) ||
        !node.running()) {
      MESSAGE("no file can be mounted here: not tested");
      return;
    }
    node.signal(SIGTERM);
    CHECK(node.wait() == 0);
    CHECK(has(read_file(log), "stopping"));
    CHECK(has(read_file(log), "stopped"));
  }

  TEST_CASE("a disk that hangs does not hold up the end") {
    Cluster cluster(1);
    const TempDirectory directory;
    const std::string hangs = directory.path() + "/hangs";
    const std::string programs = program("steled");
    const std::string disk =
        programs.substr(0, programs.rfind("/apps/")) + "/bench/libslow_disk.so";
    std::vector<std::string> arguments{"/usr/bin/env", "LD_PRELOAD=" + disk,
                                       "SLOW_DISK_SYNC_MS=1000000000", "SLOW_DISK_WHEN=" + hangs,
                                       "ASAN_OPTIONS=verify_asan_link_order=0"};
    for (const std::string& argument : cluster.arguments(1)) arguments.push_back(argument);
    for (const bool twice : {false, true}) {
      const std::string log = directory.path() + "/log";
      Process node(arguments, log);
      REQUIRE(eventually([&] { return cluster.stele({"append", "x"}).exit_code == 0; }));
      write_file(hangs, "");
      CHECK(cluster.stele({"append", "--timeout-ms", "100", "y"}).exit_code == 1);
      node.signal(SIGTERM);
      if (twice) {
        node.signal(SIGTERM);  // The same, told twice.
        REQUIRE(eventually([&] {
          node.signal(SIGINT);
          return has(read_file(log), "a second time");
        }));
      }
      CHECK(node.wait() == (twice ? 1 : 4));
      CHECK(has(read_file(log), "ends_at_once"));
      std::filesystem::remove(hangs);
    }
    // What was acknowledged is there.
    cluster.start(1);
    REQUIRE(eventually([&] { return cluster.leader() == 1; }));
    const std::vector<std::string> entries = cluster.read_log(1);
    CHECK(std::ranges::count(entries, "x") == 2);
  }

  TEST_CASE("stele append: every orderly end closes its session") {
    Cluster cluster(1, {"--entry-bytes-max", "1000"});
    cluster.start_all();
    const std::string large(2000, 'x');
    CHECK(cluster.stele({"append", "x"}).exit_code == 0);
    CHECK(cluster.stele({"append", large}).exit_code == 1);
    const Run stopped = cluster.stele({"append"}, "a\nb\n" + large + "\nc\n");
    CHECK(stopped.exit_code == 1);
    CHECK(stopped.out.find("input lines 1 to 2 are in the log, and nothing after them") !=
          std::string::npos);
    CHECK(cluster.read_log(1).back() == "b");
    const std::string append = program("stele") + " --cluster " + cluster.addresses() + " append ";
    const auto shell = [&](const std::string& command) {
      return run({"/bin/sh", "-c", command}).exit_code;
    };
    CHECK(shell(append + "x >/dev/full") == 1);
    static_cast<void>(shell("seq 1 20000 | " + append + "| head -n 1"));
    for (const char* signal : {"INT", "TERM", "HUP"}) {
      // It has a session once it has told the first LSN, and then waits for more input.
      static_cast<void>(shell(
          "mkfifo '" + cluster.data(1) + ".in'; " + append + "<'" + cluster.data(1) + ".in' >'" +
          cluster.data(1) + ".told' & p=$!; " + "exec 3>'" + cluster.data(1) +
          ".in'; echo x >&3; until [ -s '" + cluster.data(1) + ".told' ]; do :; done; kill -" +
          signal + " $p; wait $p; rm '" + cluster.data(1) + ".in' '" + cluster.data(1) + ".told'"));
    }
    CHECK(sessions_left(cluster) == "sessions     0");
  }
}

}  // namespace stele::test
