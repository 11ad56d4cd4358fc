#include "log/client/status_requests.h"

#include <doctest/doctest.h>

#include <optional>
#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

/// Asks nodes a:1, b:1 and c:1 for their status.
struct Status : Bench {
  explicit Status(Duration timeout = seconds(2)) {
    core->status(timeout, [this](std::vector<NodeStatus> nodes) {
      CHECK_FALSE(told_nodes);  // Once.
      told_nodes = std::move(nodes);
    });
    run();
  }
  ~Status() { core.reset(); }  // It tells to its end.
  /// The connection to that host, its handshake done.
  FakeLink& node(const std::string& host, std::uint64_t id) {
    for (FakeLink* link : dialer.links) {
      if (link->address.host != host) continue;
      if (!std::exchange(link->shaken, true)) {
        net::Hello hello;
        hello.node = {id};
        hello.cluster_id = 7;
        say(*link, hello);
      }
      return *link;
    }
    FAIL("not dialled: " << host);
    std::abort();
  }
  /// Answers what was asked over that connection.
  void answer(const std::string& host, std::uint64_t id) {
    FakeLink& link = node(host, id);
    for (const net::Message& message : std::exchange(link.sent, {})) {
      const auto* ask = std::get_if<net::StatusAsk>(&message);
      if (ask == nullptr || ask->request == 0) continue;
      net::StatusAnswer answer;
      answer.request = ask->request;
      answer.report.node = {id};
      say(link, answer);
    }
  }

  std::optional<std::vector<NodeStatus>> told_nodes;
};

}  // namespace

TEST_SUITE("log.status_requests") {
  TEST_CASE("told once all nodes have answered, in the order of their ids") {
    Status bench;
    bench.answer("b", 3);
    bench.answer("a", 2);
    CHECK_FALSE(bench.told_nodes);
    bench.answer("c", 1);
    REQUIRE(bench.told_nodes);
    REQUIRE(bench.told_nodes->size() == 3);
    for (std::uint64_t id = 1; id <= 3; ++id) {
      const NodeStatus& node = bench.told_nodes->at(id - 1);
      CHECK(node.reachable);
      CHECK(node.answer.node == NodeId{id});
      CHECK(node.detail.empty());
    }
  }

  TEST_CASE("a node that does not answer is named, with the reason, when the time is over") {
    Status bench(seconds(1));
    bench.answer("a", 1);
    bench.answer("b", 2);
    bench.node("c", 3);  // Shakes hands, and says no more.
    bench.run(milliseconds(1'100));
    REQUIRE(bench.told_nodes);
    REQUIRE(bench.told_nodes->size() == 3);
    const NodeStatus& silent = bench.told_nodes->at(0);  // Its id is not known.
    CHECK_FALSE(silent.reachable);
    CHECK(silent.address == Address{"c", 1});
    CHECK(silent.detail == "no answer within the time-out");
  }

  TEST_CASE("a connection that is lost is an answer, too: nobody waits for it") {
    Status bench(seconds(60));
    bench.answer("a", 1);
    bench.answer("b", 2);
    bench.node("c", 3).handler->on_closed("it has gone");
    bench.run(milliseconds(100));
    REQUIRE(bench.told_nodes);
    CHECK_FALSE(bench.told_nodes->at(0).reachable);
    CHECK(bench.told_nodes->at(0).detail == "it has gone");
  }

  TEST_CASE("one node that is known under two names is told once") {
    Status bench;
    bench.answer("a", 1);
    bench.answer("b", 1);
    bench.answer("c", 2);
    REQUIRE(bench.told_nodes);
    CHECK(bench.told_nodes->size() == 2);
  }

  TEST_CASE("closed: told that there is nothing, not left without an answer") {
    Status bench;
    bench.core->close();
    bench.run();
    REQUIRE(bench.told_nodes);
    CHECK(bench.told_nodes->empty());
  }
}

}  // namespace stele::log
