// Bad input and faults, told to real processes: a clear sentence, the right exit code, nothing
// lost.

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <random>

#include "bench/cluster/cluster.h"
#include "log/format/batch.h"
#include "tests/cluster/raw_socket.h"

namespace stele::test {
namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A start that must fail: exit code and what was said.
Run start_and_fail(const Cluster& cluster, std::uint64_t id,
                   const std::vector<std::string>& flags = {}) {
  auto arguments = cluster.arguments(id);
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return run(arguments);
}

net::Hello client_hello() {
  net::Hello hello;
  hello.kind = net::Hello::Kind::client;
  return hello;
}

Slice append_of(std::size_t payload_bytes) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  log::Command command;
  command.session = {1};
  command.sequence = {1};
  command.count = 1;
  log::put_command_header(command, payload_bytes + log::kEntryHeaderBytes, *bytes);
  log::put_entry(std::vector<std::byte>(payload_bytes), *bytes);
  const std::span<const std::byte> view(*bytes);
  return {std::move(bytes), view};
}

/// Changes a byte of a file wherever `needle` stands: LMDB leaves copies of pages.
bool damage(const std::string& path, const std::string& needle) {
  const std::string content = read_file(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r+b"),
                                                             &std::fclose);
  bool any = false;
  for (std::size_t at = content.find(needle); at != std::string::npos;
       at = content.find(needle, at + 1)) {
    std::fseek(file.get(), static_cast<long>(at), SEEK_SET);
    any = std::fputc(needle[0] ^ 1, file.get()) != EOF;
  }
  return any;
}

}  // namespace

TEST_SUITE("cluster.bad_input") {
  TEST_CASE(
      "a directory in use, of another node or cluster, foreign, or a port in use are refused") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "x"}).exit_code == 0);

    const Run port = start_and_fail(cluster, 1);
    CHECK(port.exit_code == 2);
    CHECK(has(port.out, "in use"));

    Cluster other(3);
    const auto with_data = [&](std::uint64_t id, const std::string& data) {
      auto arguments = other.arguments(id);
      arguments[6] = data;
      return run(arguments);
    };
    const Run used = with_data(1, cluster.data(1));
    CHECK(used.exit_code == 4);
    CHECK(has(used.out, "in use by another node"));
    CHECK(run({program("stele"), "verify", "--data", cluster.data(1)}).exit_code == 4);

    cluster.kill(1);
    const Run wrong_node = with_data(2, cluster.data(1));
    CHECK(wrong_node.exit_code == 4);
    CHECK(has(wrong_node.out, "belongs to node 1"));
    auto named = other.arguments(1);
    named[6] = cluster.data(1);
    named.insert(named.end(), {"--cluster-name", "other"});
    const Run wrong_cluster = run(named);
    CHECK(wrong_cluster.exit_code == 4);
    CHECK(has(wrong_cluster.out, "belongs to the cluster 'stele'"));

    const TempDirectory letters;
    write_file(letters.path() + "/letter.txt", "dear reader");
    CHECK(with_data(1, letters.path()).exit_code == 4);
    const TempDirectory garbage;
    write_file(garbage.path() + "/data.mdb", std::string(100'000, 'x'));
    const Run not_ours = with_data(1, garbage.path());
    CHECK(not_ours.exit_code == 4);
    CHECK(has(not_ours.out, "not a store of Stele"));
    write_file(garbage.path() + "/file", "x");
    CHECK(with_data(1, garbage.path() + "/file").exit_code == 4);
  }

  // A wiped directory may have forgotten its votes.
  TEST_CASE("a wiped directory is refused, by name, and the others go on") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "x"}).exit_code == 0);
    REQUIRE(cluster.settle());
    cluster.kill(2);
    std::filesystem::remove_all(cluster.data(2));
    cluster.start(2);
    CHECK(eventually(
        [&] { return has(cluster.log(1) + cluster.log(3), "wiped or replaced directory"); }));
    CHECK(cluster.stele({"append", "y"}).exit_code == 0);
    for (const NodeStatus& node : cluster.status()) {
      if (node.answer.node != NodeId{2}) continue;
      CHECK(node.answer.role == "unborn");
      CHECK_MESSAGE(has(node.answer.fault, "wiped or replaced"), node.answer.fault);
    }
  }

  // However many there are, a connection that says hello is taken.
  TEST_CASE("connections that say nothing, more than a node takes, keep nobody out") {
    Cluster cluster(1);
    cluster.start_all();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit more = before;
    more.rlim_cur = std::min<rlim_t>(before.rlim_max, 4096);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &more) == 0);
    if (more.rlim_cur < 2500) {
      MESSAGE("too few descriptors here: not tested");
      return;
    }
    {
      std::vector<std::unique_ptr<RawSocket>> silent;
      for (int i = 0; i < 2000; ++i) {
        silent.push_back(std::make_unique<RawSocket>(cluster.address(1)));
      }
      CHECK(cluster.leader() == 1);
      CHECK(cluster.stele({"append", "x"}).exit_code == 0);
      CHECK(silent.front()->closed_by_peer());
      CHECK(has(cluster.log(1), "has not said hello"));
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
  }

  TEST_CASE("random bytes, huge lengths, silence, strangers: the node lives, and serves") {
    Cluster cluster(3);
    cluster.start_all();
    const Address address = cluster.address(cluster.leader());
    std::mt19937_64 random(9);
    std::vector<std::unique_ptr<RawSocket>> silent;
    for (int i = 0; i < 300; ++i) silent.push_back(std::make_unique<RawSocket>(address));
    for (int i = 0; i < 50; ++i) {
      std::string noise(1 + random() % 3000, '\0');
      for (char& c : noise) c = static_cast<char>(random());
      if (i % 2 == 0) noise.replace(0, 4, "STL1");
      RawSocket socket(address);
      socket.send(noise);
    }
    RawSocket huge(address);
    huge.send(std::string("STL1\x08\x00\x00\x00\xff\xff\xff\x7f\x00\x00\x00\x00", 16));
    const auto too_large = huge.receive();
    REQUIRE(too_large);
    CHECK(has(std::get<net::Refused>(*too_large).reason, "bytes"));
    CHECK(huge.closed_by_peer());
    RawSocket browser(address);
    browser.send(std::string("GET / HTTP/1.1\r\n\r\n"));
    const auto no_frame = browser.receive();
    REQUIRE(no_frame);
    CHECK(has(std::get<net::Refused>(*no_frame).reason, "Stele"));
    CHECK(browser.closed_by_peer());

    RawSocket old(address);
    net::Hello hello = client_hello();
    hello.protocol_version = 99;
    old.send(hello);
    const auto refused = old.receive();
    REQUIRE(refused);
    CHECK(has(std::get<net::Refused>(*refused).reason, "protocol version"));
    CHECK(old.closed_by_peer());

    RawSocket stranger(address);
    net::Hello peer;
    peer.cluster_name = "another";
    peer.node = {2};
    stranger.send(peer);
    const auto no = stranger.receive();
    REQUIRE(no);
    CHECK(has(std::get<net::Refused>(*no).reason, "another"));

    RawSocket rude(address);
    rude.send(net::StatusAsk{1});  // Before any hello.
    CHECK(rude.closed_by_peer());

    // What a client may not say, with more after it than the refusal waits for.
    RawSocket flood(address);
    flood.send(client_hello());
    flood.send(net::Append{append_of(100'000)});
    flood.send(client_hello());
    for (int i = 0; i < 100 && flood.send(std::string(100'000, 'x')); ++i) {
    }
    CHECK(flood.closed_by_peer());

    RawSocket voter(address);
    voter.send(client_hello());
    voter.send(paxos::Message{{1}, paxos::Prepare{{99, {2}}, {1}}});
    CHECK(voter.closed_by_peer());

    CHECK(has(cluster.log(1) + cluster.log(2) + cluster.log(3), "connection_refused"));
    CHECK(cluster.stele({"append", "still here"}).exit_code == 0);
    CHECK(cluster.process(cluster.leader()).running());
    for (std::uint64_t id = 1; id <= 3; ++id) CHECK_FALSE(has(cluster.log(id), "check_failed"));
  }

  TEST_CASE("an entry over the limit is refused for certain, exactly the limit is not") {
    Cluster cluster(3, {"--entry-bytes-max", "1000"});
    cluster.start_all();
    CHECK(cluster.stele({"append", std::string(1000, 'x')}).exit_code == 0);
    const Run over = cluster.stele({"append", "small", std::string(1001, 'y'), "after"});
    CHECK(over.exit_code == 1);
    CHECK(has(over.out, "too_large"));
    CHECK(has(over.out, "entry 2:"));
    CHECK(has(over.out, "it is not in the log"));
    CHECK(has(over.out, "2\n"));
    CHECK_FALSE(has(cluster.stele({"read"}).out, "yyy"));
  }

  TEST_CASE("a data file that was cut off ends node and verify with 4 and a sentence") {
    Cluster cluster(1);
    cluster.start_all();
    std::string lines;
    for (int i = 0; i < 2000; ++i) lines += std::string(500, 'x') + "\n";
    REQUIRE(cluster.stele({"append"}, lines).exit_code == 0);
    cluster.process(1).signal(SIGTERM);
    REQUIRE(cluster.process(1).wait() == 0);
    std::string file = cluster.data(1);
    SUBCASE("tables") { file += "/data.mdb"; }
    SUBCASE("values") { file += "/values/1"; }
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    const Run verdict = run({program("stele"), "verify", "--data", cluster.data(1)});
    CHECK(verdict.exit_code == 4);
    CHECK_FALSE(verdict.out.empty());
  }

  // Faulty is not absent: named, not served, fetched again from the others.
  TEST_CASE("a rotten record is named, not served, and repaired from the others") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "first", "needle-in-the-log", "last"}).exit_code == 0);
    REQUIRE(cluster.stele({"append", "more"}).exit_code == 0);
    REQUIRE(cluster.settle());
    const std::uint64_t victim = cluster.leader() == 1 ? 2 : 1;
    // Asked to end, it leaves nothing in the journal.
    cluster.process(victim).signal(SIGTERM);
    REQUIRE(cluster.process(victim).wait() == 0);
    REQUIRE(damage(cluster.data(victim) + "/data.mdb", "needle-in-the-log"));
    const Run verdict = run({program("stele"), "verify", "--data", cluster.data(victim)});
    CHECK(verdict.exit_code == 4);
    CHECK(has(verdict.out, "slots/"));
    cluster.start(victim);
    REQUIRE(cluster.settle());
    const std::string node = std::to_string(victim);
    const Run first = cluster.stele({"read", "--node", node});
    CHECK(first.exit_code != 0);
    CHECK(has(first.out, "corrupt"));
    CHECK(has(first.out, "slots/"));
    CHECK_FALSE(has(first.out, "needle"));
    CHECK(eventually([&] { return cluster.stele({"read", "--node", node}).exit_code == 0; }));
    CHECK(cluster.stele({"read", "--node", node}).out == "first\nneedle-in-the-log\nlast\nmore\n");
    CHECK(has(cluster.log(victim), "slot_faulty"));
    CHECK(has(cluster.log(victim), "slot_repaired"));
    REQUIRE(cluster.settle());
    cluster.process(victim).signal(SIGTERM);
    CHECK(cluster.process(victim).wait() == 0);
    CHECK(run({program("stele"), "verify", "--data", cluster.data(victim)}).exit_code == 0);
  }

  TEST_CASE("a rotten journal ends node and verify with 4 and a sentence: votes are missing") {
    Cluster cluster(3);
    cluster.start_all();
    REQUIRE(cluster.stele({"append", "needle-in-the-log"}).exit_code == 0);
    REQUIRE(cluster.stele({"append", "last"}).exit_code == 0);
    REQUIRE(cluster.settle());
    cluster.kill(1);
    REQUIRE(damage(cluster.data(1) + "/journal", "needle-in-the-log"));
    const Run verdict = run({program("stele"), "verify", "--data", cluster.data(1)});
    CHECK(verdict.exit_code == 4);
    CHECK(has(verdict.out, "the journal has record"));
    cluster.start(1);
    CHECK(cluster.process(1).wait() == 4);
    CHECK(has(cluster.log(1), "the journal has record"));
    CHECK(eventually([&] { return cluster.stele({"append", "more"}).exit_code == 0; }));
  }

  TEST_CASE("a full disk: appends get no_space, reads go on, and it names itself") {
    Cluster cluster(3, {"--disk-bytes-max", "33554432", "--disk-reserve-bytes", "8388608"});
    cluster.start_all();
    const std::string line = std::string(2000, 'x') + "\n";
    std::string lines;
    for (int i = 0; i < 20'000; ++i) lines += line;
    const Run full = cluster.stele({"append", "--timeout-ms", "20000"}, lines);
    CHECK(full.exit_code == 1);
    CHECK_MESSAGE(has(full.out, "no_space"), full.out.substr(full.out.size() - 300));
    const Run again = cluster.stele({"append", "--timeout-ms", "20000", "one more"});
    CHECK(again.exit_code == 1);
    CHECK(has(again.out, "no_space"));
    const Run read = cluster.stele({"read", "--count", "1"});
    CHECK(read.exit_code == 0);
    CHECK(read.out == line);
    for (std::uint64_t id = 1; id <= 3; ++id) CHECK(cluster.process(id).running());
    CHECK(has(cluster.log(1) + cluster.log(2) + cluster.log(3), "space_low"));
    // Also after a restart of all.
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.kill(id);
    for (std::uint64_t id = 1; id <= 3; ++id) cluster.start(id);
    REQUIRE(eventually([&] { return cluster.leader() != 0; }));
    CHECK(cluster.stele({"read", "--count", "1"}).out == line);
    CHECK(has(cluster.stele({"append", "--timeout-ms", "20000", "one more"}).out, "no_space"));
  }
}

}  // namespace stele::test
