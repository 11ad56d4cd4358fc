// The tools as a user meets them.

#include <doctest/doctest.h>
#include <fcntl.h>

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <filesystem>

#include <fstream>

#include "bench/cluster/cluster.h"

namespace stele::test {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("cluster.tools") {
  TEST_CASE("append: one argument is one entry, byte for byte, whatever it is") {
    Cluster cluster(1);
    cluster.start_all();
    const std::vector<std::string> entries{
        "[1,2,3]", "[]",          "[x]",
        "++",      "a",           "-",
        "read",    "append",      "",
        "\x01",    "{\"a\":[1]}", "a=b",
        "@x",      "%%",          "/x",
        "'",       "\"",          "[[\"a\",\"b\"],[2026-11-29 ERROR] disk"};
    std::vector<std::string> arguments{"append", "--timeout-ms", "5000"};
    arguments.insert(arguments.end(), entries.begin(), entries.end());
    REQUIRE(cluster.stele(arguments).exit_code == 0);
    REQUIRE(cluster.stele({"append", "--", "--", "-x", "--file", "[y]"}).exit_code == 0);
    auto expected = entries;
    expected.insert(expected.end(), {"--", "-x", "--file", "[y]"});
    CHECK(cluster.read_log(1) == expected);
    REQUIRE(cluster.stele({"append", "--file", "-"}, "one\ntwo\n").exit_code == 0);
    CHECK(cluster.read_log(1).back() == "two");
  }

  TEST_CASE("append: nothing after an entry that was refused is in the log, and the tool says so") {
    Cluster cluster(3, {"--entry-bytes-max", "1000"});
    cluster.start_all();
    std::string input;
    for (int i = 1; i <= 600; ++i) {
      input += (i == 301 ? std::string(2000, 'x') : "line " + std::to_string(i)) + "\n";
    }
    const Run ended = cluster.stele({"append"}, input);
    CHECK(ended.exit_code == 1);
    CAPTURE(ended.out);
    CHECK(ended.out.find("input line 301") != std::string::npos);
    CHECK(ended.out.find("input lines 1 to 300 are in the log, and nothing after them") !=
          std::string::npos);
    const auto log = cluster.read_log(cluster.leader());
    REQUIRE(log.size() == 300);
    CHECK(log.back() == "line 300");
  }

  TEST_CASE("append: lines, NULs, files, whole files; bytes are kept as they are") {
    Cluster cluster(1);
    cluster.start_all();
    const TempDirectory directory;
    CHECK(cluster.stele({"append", "a", "", "c d"}).out == "1\n2\n3\n");
    CHECK(cluster.stele({"append"}, "line\r\n\nlast without newline").out == "4\n5\n6\n");
    CHECK(cluster.stele({"append", "--null"}, std::string("x\ny\0z\0", 6)).out == "7\n8\n");
    write_file(directory.path() + "/file", "f1\nf2\n");
    CHECK(cluster.stele({"append", "--file", directory.path() + "/file"}).out == "9\n10\n");
    CHECK(cluster.stele({"append", "--whole", directory.path() + "/file"}).out == "11\n");
    CHECK(cluster.stele({"append"}, "").out.empty());
    CHECK(cluster.stele({"read", "--null"}).out ==
          std::string("a\0\0c d\0line\r\0\0last without newline\0x\ny\0z\0f1\0f2\0f1\nf2\n\0", 54));
  }

  TEST_CASE("read: ranges, formats, and past the end") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "one", "two", "three"}).exit_code == 0);
    REQUIRE(cluster.stele({"append", "--null"}, std::string("\xff\xfe\0", 3)).exit_code == 0);
    CHECK(cluster.stele({"read", "--to", "4"}).out == "one\ntwo\nthree\n");
    CHECK(cluster.stele({"read", "--from", "2", "--to", "3"}).out == "two\n");
    CHECK(cluster.stele({"read", "--from", "2", "--count", "2"}).out == "two\nthree\n");
    CHECK(cluster.stele({"read", "--from", "2", "--count", "0"}).out.empty());
    CHECK(cluster.stele({"read", "--from", "3", "--format", "json"}).out ==
          "{\"lsn\":3,\"payload\":\"three\"}\n{\"lsn\":4,\"payload_base64\":\"//4=\"}\n");
    CHECK(cluster.stele({"read", "--from", "4", "--format", "hex"}).out == "4 fffe\n");
    CHECK(cluster.stele({"read", "--node", "1", "--count", "1"}).out == "one\n");
    const Run beyond = cluster.stele({"read", "--from", "100"});
    CHECK((beyond.exit_code == 0 && beyond.out.empty()));
    // Flags of the tool may stand after the subcommand.
    CHECK(run({program("stele"), "read", "--count", "1", "--cluster", cluster.addresses()}).out ==
          "one\n");
  }

  TEST_CASE("append: twenty thousand lines keep their order, and LSNs come in input order") {
    Cluster cluster(3);
    cluster.start_all();
    std::string lines;
    std::string lsns;
    for (int i = 1; i <= 20'000; ++i) {
      lines += "line " + std::to_string(i) + "\n";
      lsns += std::to_string(i) + "\n";
    }
    CHECK(cluster.stele({"append"}, lines).out == lsns);
    CHECK(cluster.stele({"read"}).out == lines);
    CHECK(cluster.stele({"append", "--in-flight", "1", "x"}).out == "20001\n");
  }

  TEST_CASE("append: Ctrl-C says what was appended, and what is unknown") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "first"}).exit_code == 0);
    const TempDirectory directory;
    const std::string in = directory.path() + "/in";
    std::string out = directory.path() + "/answered";
    REQUIRE(::mkfifo(in.c_str(), 0600) == 0);
    const int input = ::open(in.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(input >= 0);
    const auto type = [&](const std::string& text) {
      REQUIRE(::write(input, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    };
    const auto begin = [&] {
      return Process({program("stele"), "--cluster", cluster.addresses(), "append"}, out, in);
    };
    Process answered = begin();
    type("a\nb\nnot a whole li");
    REQUIRE(eventually([&] { return read_file(out) == "2\n3\n"; }));
    answered.signal(SIGINT);
    CHECK(answered.wait() == 1);
    CHECK(read_file(out) ==
          "2\n3\nstele: interrupted: input lines 1 to 2 are in the log, and nothing after them\n");

    // Without a majority nothing is answered any more.
    out = directory.path() + "/unanswered";
    Process unanswered = begin();
    type("c\n");
    REQUIRE(eventually([&] { return read_file(out) == "4\n"; }));
    cluster.kill(1);
    cluster.kill(2);
    type("d\ne\n");
    int unread = 1;
    REQUIRE(eventually([&] { return ::ioctl(input, FIONREAD, &unread) == 0 && unread == 0; }));
    unanswered.signal(SIGINT);
    unanswered.signal(SIGINT);
    CHECK(unanswered.wait() == 1);
    CHECK(has(read_file(out), "stele: interrupted: input lines 1 to 1 are in the log"));
    ::close(input);
  }

  TEST_CASE("output that cannot be written ends with 1, and does not hang") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "a", "b"}).exit_code == 0);
    for (const char* command : {"append x y", "read", "tail --from 1"}) {
      const Run ended = run(
          {"/bin/sh", "-c",
           program("stele") + " --cluster " + cluster.addresses() + " " + command + " >/dev/full"});
      CAPTURE(command);
      CHECK(ended.exit_code == 1);
      CHECK(has(ended.out, "cannot write"));
    }
  }

  TEST_CASE("output that may not grow any more ends with 1, and what is in the log is told") {
    Cluster cluster(1);
    cluster.start_all();
    const TempDirectory directory;
    const Run ended = run({"/bin/bash", "-c",
                           "ulimit -f 1; seq 5000 | " + program("stele") + " --cluster " +
                               cluster.addresses() + " append > " + directory.path() + "/out"});
    CHECK(ended.exit_code == 1);
    CHECK(has(ended.out, "cannot write"));
    CHECK(has(ended.out, "are in the log"));
  }

  TEST_CASE("a tail that nobody reads from the start ends, also where SIGPIPE is ignored") {
    Cluster cluster(1);
    cluster.start_all();
    const Run ended = run({"/bin/bash", "-c",
                           "trap '' PIPE; exec 3> >(:); wait $!; timeout 60 " + program("stele") +
                               " --cluster " + cluster.addresses() + " tail >&3"});
    CHECK(ended.exit_code == 1);
    CHECK(has(ended.out, "cannot write"));
  }

  TEST_CASE("a list with nodes of two clusters is refused, and nothing gets into either") {
    Cluster one(1);
    Cluster two(1);
    one.start_all();
    two.start_all();
    for (const std::string& both :
         {one.addresses() + "," + two.addresses(), two.addresses() + "," + one.addresses()}) {
      for (const char* command : {"append", "read", "tail"}) {
        std::vector<std::string> arguments{program("stele"), "--cluster", both, command};
        if (arguments.back() == "append") arguments.emplace_back("x");
        const Run refused = run(arguments);
        CAPTURE(refused.out);
        CHECK(refused.exit_code == 1);
        CHECK(has(refused.out, "stele: refused: "));
        CHECK(has(refused.out, "another one than this client has spoken to"));
      }
    }
    CHECK(one.stele({"read"}).out.empty());
    CHECK(two.stele({"read"}).out.empty());
    const Run other = one.stele({"--cluster-name", "other", "append", "x"});
    CHECK(has(other.out, "it belongs to the cluster 'stele', not to 'other'"));
    CHECK(one.stele({"read", "--node", "9"}).out ==
          "stele: unreachable: the cluster has no node 9\n");
  }

  TEST_CASE("a tail whose cluster was made anew ends, and says so") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "old"}).exit_code == 0);
    const TempDirectory directory;
    const std::string out = directory.path() + "/out";
    Process tail({program("stele"), "--cluster", cluster.addresses(), "tail", "--from", "1"}, out);
    REQUIRE(eventually([&] { return read_file(out) == "old\n"; }));
    cluster.kill(1);
    std::filesystem::remove_all(cluster.data(1));
    cluster.start(1);
    CHECK(tail.wait() == 1);
    CHECK(has(read_file(out), "stele: refused: "));
  }

  TEST_CASE("who waits for a cluster that does not answer is told why") {
    const Ports ports(1);
    const std::string nobody = "127.0.0.1:" + std::to_string(ports[0]);
    const Run ended =
        run({program("stele"), "--cluster", nobody, "append", "--timeout-ms", "5000", "x"});
    CHECK(ended.exit_code == 3);
    CHECK(has(ended.out, "stele: waits: " + nobody + ": no connection: "));
    CHECK(has(ended.out, "nothing of the input is in the log"));
  }

  TEST_CASE("standard input, output or error that is closed is not something else") {
    Cluster cluster(1);
    cluster.start_all();
    const auto shell = [&](const std::string& rest) {
      return run({"/bin/sh", "-c", program("stele") + " --cluster " + cluster.addresses() + rest});
    };
    const Run input = shell(" append <&-");
    CHECK(input.exit_code == 2);
    CHECK(has(input.out, "cannot read the input"));
    for (const char* command : {" status", " --help", " append x", " status --json"}) {
      for (const char* where : {" >/dev/full", " >&-"}) {
        const Run output = shell(std::string(command) + where);
        CAPTURE(command);
        CHECK(output.exit_code == 1);
        CHECK(has(output.out, "cannot write the output"));
      }
    }
    CHECK(shell(" append y 2>&-").out == "3\n");
  }

  TEST_CASE("append: a line that is too long is named, and what is before it is in the log") {
    Cluster cluster(1);
    cluster.start_all();
    const Run line =
        cluster.stele({"append"}, "one\n" + std::string(70'000'000, 'x') + "\nthree\n");
    CHECK(line.exit_code == 1);
    CHECK(has(line.out, "too_large: input line 2: "));
    CHECK(has(line.out, "input lines 1 to 1 are in the log, and nothing after them"));
    const Run whole = cluster.stele({"append", "--whole", "/dev/zero"});
    CHECK(whole.exit_code == 1);
    CHECK(has(whole.out, "too_large: "));
    CHECK(cluster.stele({"read"}).out == "one\n");
  }

  TEST_CASE("tail: a number of entries, from an LSN or from now, ended by Ctrl-C") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "one", "two"}).exit_code == 0);
    CHECK(cluster.stele({"tail", "--from", "1", "--count", "2"}).out == "one\ntwo\n");
    CHECK(cluster.stele({"tail", "--count", "0"}).out.empty());

    const TempDirectory directory;
    const std::string out = directory.path() + "/out";
    Process tail({program("stele"), "--cluster", cluster.addresses(), "tail", "--from", "2"}, out);
    REQUIRE(eventually([&] { return read_file(out) == "two\n"; }));
    REQUIRE(cluster.stele({"append", "three"}).exit_code == 0);
    CHECK(eventually([&] { return read_file(out) == "two\nthree\n"; }));
    cluster.kill(cluster.leader());
    REQUIRE(cluster.stele({"append", "four"}).exit_code == 0);
    CHECK(eventually([&] { return read_file(out) == "two\nthree\nfour\n"; }));
    tail.signal(SIGINT);
    CHECK(tail.wait() == 0);
    // Nobody reads any more, and nothing comes that would have to be written.
    const Run head = run({"/bin/sh", "-c",
                          "(" + program("stele") + " --cluster " + cluster.addresses() +
                              " tail --from 4; echo ended by $? >&2) | head -n 1"});
    CHECK(head.out == "four\nended by 141\n");
  }

  TEST_CASE("status: as a table and as JSON; 0 only if a leader serves") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "x"}).exit_code == 0);
    REQUIRE(cluster.settle());
    const Run table = cluster.stele({"status"});
    CHECK(table.exit_code == 0);
    CHECK(has(table.out, "leader"));
    const Run json = cluster.stele({"status", "--json"});
    CHECK(json.exit_code == 0);
    for (const char* key :
         {"cluster_id", "id", "address", "reachable", "role", "ballot", "leader", "chosen_end",
          "applied_lsn", "first_lsn", "disk_bytes", "version", "uptime_s", "fault"}) {
      CHECK_MESSAGE(has(json.out, "\"" + std::string(key) + "\""), key);
    }
    cluster.kill(1);
    cluster.kill(2);
    CHECK(eventually([&] {
      return cluster.stele({"status", "--timeout-ms", "500"}).exit_code == 1;
    }));
  }

  TEST_CASE(
      "steled: SIGTERM hands over, answers, and ends with 0; its log has a line for each event") {
    Cluster cluster(3, {"--log-format", "json"});
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "x"}).exit_code == 0);
    const std::uint64_t leader = cluster.leader();
    cluster.process(leader).signal(SIGTERM);
    CHECK(cluster.process(leader).wait() == 0);
    CHECK(has(cluster.log(leader), "\"event\":\"ready\""));
    CHECK(has(cluster.log(leader), "\"event\":\"stopped\""));
    CHECK(cluster.stele({"append", "y"}).out == "2\n");
  }

  TEST_CASE("verify: a sound directory, with what is in it") {
    Cluster cluster(1);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "one", "two"}).exit_code == 0);
    cluster.process(1).signal(SIGTERM);
    REQUIRE(cluster.process(1).wait() == 0);
    const Run verdict = run({program("stele"), "verify", "--data", cluster.data(1)});
    CHECK(verdict.exit_code == 0);
    CHECK(has(verdict.out, "entries      2"));
    CHECK(has(verdict.out, "all checksums match"));
  }

  TEST_CASE("dev: a whole cluster in one process") {
    const TempDirectory directory;
    const std::string out = directory.path() + "/out";
    const Ports ports = Ports::in_a_row(3);
    const std::uint16_t port = ports[0];
    Process dev({program("stele"), "dev", "--data", directory.path() + "/data", "--port",
                 std::to_string(port), "--nodes", "3"},
                out);
    REQUIRE(eventually([&] { return has(read_file(out), "STELE_CLUSTER") || !dev.running(); }));
    REQUIRE(dev.running());
    const Run append =
        run({program("stele"), "--cluster", "127.0.0.1:" + std::to_string(port), "append", "x"});
    CHECK(append.out == "1\n");
    dev.signal(SIGINT);
    CHECK(dev.wait() == 0);
  }

  TEST_CASE("dev: no node is begun after one that cannot start") {
    const TempDirectory directory;
    const std::string data = directory.path() + "/data";
    std::filesystem::create_directory(data);
    write_file(data + "/2", "no directory");
    const Ports ports = Ports::in_a_row(3);
    const Run dev = run({program("stele"), "dev", "--data", data, "--port",
                         std::to_string(ports[0]), "--nodes", "3"});
    CHECK(dev.exit_code != 0);
    CHECK(has(dev.out, data + "/2"));
    CHECK_FALSE(std::filesystem::exists(data + "/3"));
  }

  TEST_CASE("memory: a node stays under 64 MiB of its own, whatever the length of the log") {
    if (std::string_view(STELE_SANITIZERS) != "")
      return;  // Sanitizers have their own idea of memory.
    Cluster cluster(3);
    cluster.start_all();
    std::string lines;
    for (int i = 0; i < 150'000; ++i) lines += std::string(500, 'x') + "\n";
    REQUIRE(cluster.stele({"append", "--in-flight", "2048"}, lines).exit_code == 0);
    for (std::uint64_t id = 1; id <= 3; ++id) {
      std::ifstream status("/proc/" + std::to_string(cluster.process(id).pid()) + "/status");
      std::string line;
      while (std::getline(status, line)) {
        if (!line.starts_with("RssAnon:")) continue;
        MESSAGE("node " << id << ": " << line);
        CHECK(std::stoul(line.substr(8)) < 64 * 1024);
      }
    }
  }
}

}  // namespace stele::test
