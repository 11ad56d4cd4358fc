#include "log/node/host.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "log/store/files/value_log.h"
#include "tests/support/cached_pages.h"
#include "tests/support/nodes_in_process.h"

namespace stele::log {
namespace {

using std::chrono::seconds;

/// Appends through `client` and waits.
std::pair<asio::error_code, AppendResult> append(NodesInProcess& nodes, Client& client,
                                                 const std::string& text,
                                                 std::chrono::milliseconds timeout = seconds(20)) {
  std::optional<std::pair<asio::error_code, AppendResult>> outcome;
  client.async_append(asio::buffer(text), timeout,
                      [&](asio::error_code error, AppendResult result) {
                        outcome.emplace(error, std::move(result));
                      });
  REQUIRE(nodes.run([&] { return outcome.has_value(); }));
  return *outcome;
}

}  // namespace

TEST_SUITE("log.host") {
  TEST_CASE("one, two, three and seven nodes are born, elect a leader, and append") {
    for (const std::uint64_t count : {1U, 2U, 3U, 7U}) {
      CAPTURE(count);
      NodesInProcess nodes(count);
      REQUIRE(nodes.has_leader());
      Client client(nodes.context, nodes.client_options());
      for (std::uint64_t i = 1; i <= 5; ++i) {
        const auto [error, result] = append(nodes, client, "entry");
        CHECK_FALSE(error);
        CHECK(result.lsn == Lsn{i});
      }
      CHECK(nodes.settle());
      CHECK(nodes.events.counts["cluster_born"] == static_cast<int>(count));
    }
  }

  TEST_CASE("a crashed leader is replaced, comes back, and all states are equal") {
    NodesInProcess nodes(3);
    REQUIRE(nodes.has_leader());
    Client client(nodes.context, nodes.client_options());
    CHECK_FALSE(append(nodes, client, "before").first);
    const NodeId old = nodes.leader();
    nodes.crash(old);
    const auto [error, result] = append(nodes, client, "after");
    CHECK_FALSE(error);
    CHECK(result.lsn == Lsn{2});
    CHECK(nodes.leader() != old);
    nodes.start(old);
    CHECK(nodes.settle());
  }

  TEST_CASE("while a node is away, what a follower writes stays in the page cache for it") {
    NodesInProcess nodes(3);
    REQUIRE(nodes.has_leader());
    if (!goes_past_cache(nodes.directory(nodes.leader()))) {
      MESSAGE("what is written past the page cache is in it, here: there is nothing to see");
      return;
    }
    Client client(nodes.context, nodes.client_options());
    const NodeId away{nodes.leader().value % 3 + 1};
    // Of one entry that goes to the value log, the pages that `node` has of it in the cache.
    const auto cached_of_one = [&](NodeId node) {
      const std::string path = segment_path(nodes.directory(node), 1);
      const auto pages = [&] {
        return std::filesystem::exists(path) ? cached_pages(path) : std::string();
      };
      const std::size_t before = pages().size();
      CHECK_FALSE(append(nodes, client, std::string(40 << 10, 'x')).first);
      REQUIRE(nodes.run([&] { return pages().size() >= before + 10; }));
      return std::ranges::count(pages().substr(before), 'x');
    };
    const auto follower = [&] {
      REQUIRE(nodes.has_leader());
      return NodeId{6 - nodes.leader().value - away.value};
    };
    CHECK(cached_of_one(follower()) == 0);
    nodes.crash(away);
    CHECK(nodes.run([&] { return cached_of_one(follower()) >= 10; }));
    CHECK(cached_of_one(nodes.leader()) == 0);
    nodes.start(away);
    CHECK(nodes.run([&] { return cached_of_one(NodeId{away.value % 3 + 1}) == 0; }));
  }

  TEST_CASE("stop: leadership is handed over without waiting for a time-out") {
    NodesInProcess nodes(3);
    REQUIRE(nodes.has_leader());
    Client client(nodes.context, nodes.client_options());
    CHECK_FALSE(append(nodes, client, "x").first);
    const NodeId old = nodes.leader();
    const Ballot before = nodes.node(old).replica()->proposer().ballot();
    bool stopped = false;
    nodes.node(old).stop([&] { stopped = true; });
    REQUIRE(nodes.run([&] { return stopped; }));
    nodes.crash(old);
    REQUIRE(nodes.has_leader());
    CHECK(nodes.node(nodes.leader()).replica()->proposer().ballot().round == before.round + 1);
    CHECK_FALSE(append(nodes, client, "y").first);
  }

  TEST_CASE("status: tells who leads, how far it is, and what it waits for before birth") {
    NodesInProcess nodes(3);
    REQUIRE(nodes.has_leader());
    Client client(nodes.context, nodes.client_options());
    CHECK_FALSE(append(nodes, client, "x").first);
    REQUIRE(nodes.settle());
    const NodeReport status = nodes.node(nodes.leader()).status();
    CHECK(status.role == "leader");
    CHECK(status.leader == nodes.leader());
    CHECK(status.applied_lsn == Lsn{1});
    CHECK(status.members.size() == 3);
    CHECK(status.cluster_id != 0);
    CHECK(status.fault.empty());
  }
}

}  // namespace stele::log
