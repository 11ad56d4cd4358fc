#include "tests/sim/checker/checker.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::sim {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::kN3;
using paxos::record;

/// Three nodes whose disks the test writes.
class Bench {
 public:
  Bench() {
    for (NodeId node : {kN1, kN2, kN3}) {
      Disk& disk = disks[node];
      disk.on_durable = [this, node](const Txn& txn) { checker.on_durable(node, txn); };
      checker.on_new_disk(node, disk);
    }
  }
  void write(NodeId node, paxos::Acceptor::Write write) {
    Txn txn;
    txn.votes.push_back(std::move(write));
    disks[node].write(txn);
    disks[node].sync();
  }
  void vote(NodeId node, std::uint64_t slot, Ballot ballot, std::string_view text) {
    write(node, paxos::WriteAccepted{record(slot, ballot, text)});
  }
  void send(NodeId from, NodeId to, paxos::Body body) {
    const paxos::Message message = paxos::message(std::move(body));
    checker.on_send(from, {to, message});
    if (to != from) checker.on_receive(from, to, message);
  }
  /// The invariant that it violates; empty if none.
  template <class Act>
  static std::string violated(Act act) {
    try {
      act();
    } catch (const Violation& violation) {
      return violation.invariant;
    }
    return {};
  }

  Coverage coverage;
  std::map<NodeId, Disk> disks;
  Checker checker{paxos::three_nodes(), 16, 1 << 20, coverage};
};

constexpr Ballot kB1{1, kN1};
constexpr Ballot kB2{2, kN2};

}  // namespace

TEST_SUITE("sim.checker") {
  TEST_CASE("1: two values with a quorum of votes each") {
    Bench bench;
    bench.vote(kN1, 1, kB1, "a");
    bench.vote(kN2, 1, kB1, "a");
    bench.vote(kN2, 1, kB2, "b");
    CHECK(Bench::violated([&] { bench.vote(kN3, 1, kB2, "b"); }) == "1");
  }

  TEST_CASE("2: two values in one ballot; another value than the chosen one") {
    Bench bench;
    bench.vote(kN1, 1, kB1, "a");
    CHECK(Bench::violated([&] { bench.vote(kN2, 1, kB1, "b"); }) == "2");
    Bench other;
    other.vote(kN1, 1, kB1, "a");
    other.vote(kN2, 1, kB1, "a");
    CHECK(Bench::violated([&] {
            other.send(kN2, kN3, paxos::Accept{kB2, {1}, paxos::value("b")});
          }) == "2");
  }

  TEST_CASE("3: what leaves before it is durable") {
    Bench bench;
    CHECK(Bench::violated([&] { bench.send(kN1, kN2, paxos::Prepare{kB1, {1}}); }) == "3");
    CHECK(Bench::violated([&] { bench.send(kN2, kN1, paxos::Accepted{kB1, {1}, {2}}); }) == "3");
    CHECK(Bench::violated([&] {
            bench.send(kN2, kN1, paxos::Promise{kB1, {1}, {1}, true, {1}, {}});
          }) == "3");
  }

  TEST_CASE("4: a ballot without its promises, or with a slot left out") {
    Bench bench;
    const auto promise = [&](NodeId node) {
      bench.write(node, paxos::WritePromised{kB1});
      bench.send(node, kN1, paxos::Promise{kB1, {1}, {1}, true, {1}, {}});
    };
    promise(kN1);
    const paxos::Accept first{kB1, {1}, paxos::value("a")};
    CHECK(Bench::violated([&] { bench.send(kN1, kN2, first); }) == "4");
    Bench other;
    for (NodeId node : {kN1, kN2}) {
      other.write(node, paxos::WritePromised{kB1});
      other.send(node, kN1, paxos::Promise{kB1, {1}, {1}, true, {1}, {}});
    }
    other.send(kN1, kN2, first);
    CHECK(Bench::violated([&] {
            other.send(kN1, kN2, paxos::Accept{kB1, {3}, paxos::value("c")});
          }) == "4");
    Bench third;  // The promise of the second goes on after slot 1.
    for (NodeId node : {kN1, kN2}) {
      third.write(node, paxos::WritePromised{kB1});
      third.send(node, kN1, paxos::Promise{kB1, {1}, {2}, node == kN1, {1}, {}});
    }
    third.send(kN1, kN2, first);
    third.vote(kN1, 1, kB1, "a");
    third.vote(kN2, 1, kB1, "a");
    CHECK(Bench::violated([&] {
            third.send(kN1, kN2, paxos::Accept{kB1, {2}, paxos::value("b")});
          }) == "4");
  }

  TEST_CASE("5: a promise without a vote that has left, a vote after the promise") {
    Bench bench;
    bench.vote(kN2, 1, kB1, "a");
    bench.send(kN2, kN1, paxos::Accepted{kB1, {1}, {2}});
    bench.write(kN2, paxos::WritePromised{kB2});
    CHECK(Bench::violated([&] {
            bench.send(kN2, kN3, paxos::Promise{kB2, {1}, {1}, true, {1}, {}});
          }) == "5");
    CHECK(Bench::violated([&] { bench.vote(kN2, 2, kB1, "b"); }) == "5");
  }

  TEST_CASE("6: told or served as chosen, and not chosen") {
    Bench bench;
    bench.vote(kN1, 1, kB1, "a");
    CHECK(Bench::violated([&] { bench.send(kN1, kN2, paxos::Chosen{kB1, {1}, {2}}); }) == "6");
    CHECK(Bench::violated([&] {
            bench.send(kN1, kN2, paxos::Fetched{{1}, {2}, {record(1, kB1, "a")}});
          }) == "6");
    bench.vote(kN3, 1, kB1, "a");
    CHECK(Bench::violated([&] { bench.send(kN1, kN2, paxos::Chosen{kB1, {1}, {2}}); }).empty());
  }
}

}  // namespace stele::sim
