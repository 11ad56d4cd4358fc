#include <doctest/doctest.h>

#include "tests/log/client/client_cluster.h"

namespace stele {
namespace {

using namespace client_cluster;

}  // namespace

TEST_SUITE("log.client.reads") {
  TEST_CASE("read: a result stays as it was, whatever is read later, and after its client") {
    std::vector<ReadResult> kept;
    {
      Bench bench;
      int appended = 0;
      for (char letter = 'a'; letter <= 'd'; ++letter) {
        const std::string text(30'000, letter);
        bench.client.async_append(asio::buffer(text), seconds(20),
                                  [&](asio::error_code error, const AppendResult&) {
                                    CHECK_FALSE(error);
                                    ++appended;
                                  });
      }
      REQUIRE(bench.nodes.run([&] { return appended == 4; }));
      for (std::uint64_t i = 0; i < 40; ++i) {
        ReadOptions one;
        one.lsn_begin = {i % 4 + 1};
        one.lsn_end = {i % 4 + 2};
        kept.push_back(bench.read_page(one));
      }
    }
    for (std::size_t i = 0; i < kept.size(); ++i) {
      REQUIRE(kept[i].entries.size() == 1);
      CHECK(text_of(kept[i].entries[0]) == std::string(30'000, static_cast<char>('a' + i % 4)));
    }
  }

  TEST_CASE("read: ranges, pages, one node's own state, and beyond the end") {
    Bench bench;
    int done = 0;
    for (int i = 1; i <= 10; ++i) {
      const std::string text(10'000, static_cast<char>('0' + i % 10));
      bench.client.async_append(asio::buffer(text), seconds(20),
                                [&](asio::error_code error, const AppendResult&) {
                                  CHECK_FALSE(error);
                                  ++done;
                                });
    }
    REQUIRE(bench.nodes.run([&] { return done == 10; }));
    REQUIRE(bench.nodes.settle());
    ReadOptions options;
    options.lsn_begin = {3};
    options.lsn_end = {5};
    CHECK(bench.read(options).size() == 2);
    options.lsn_end = {};
    options.bytes_max = 25'000;
    CHECK(bench.read_page(options).entries.size() == 2);
    CHECK(bench.read(options).size() == 8);
    options.bytes_max = 1;
    CHECK(bench.read_page(options).entries.size() == 1);
    options.lsn_begin = {11};
    CHECK(bench.read(options).empty());
    CHECK(bench.read_page(options).lsn_end == Lsn{11});
    for (std::uint64_t id = 1; id <= 3; ++id) {
      ReadOptions own;
      own.node = {id};
      CHECK(bench.read(own).size() == 10);
    }
  }

  TEST_CASE("tail: from the beginning, and on, through the death of the leader") {
    Bench bench;
    Client tailer(bench.nodes.context, bench.nodes.client_options());
    Texts tailed;
    std::function<void(Lsn)> next = [&](Lsn from) {
      tailer.async_tail(from, [&](asio::error_code error, ReadResult result) {
        if (error) return;
        for (const Entry& entry : result.entries) tailed.push_back(text_of(entry));
        next(result.lsn_next);
      });
    };
    next({1});
    int done = 0;
    Texts sent;
    const auto append_some = [&] {
      for (int i = 0; i < 100; ++i) {
        sent.push_back(std::to_string(sent.size()));
        bench.client.async_append(asio::buffer(sent.back()), seconds(50),
                                  [&](asio::error_code error, const AppendResult&) {
                                    CHECK_FALSE(error);
                                    ++done;
                                  });
      }
    };
    append_some();
    REQUIRE(bench.nodes.run([&] { return tailed.size() == 100; }));
    append_some();
    bench.nodes.crash(bench.nodes.leader());
    append_some();
    REQUIRE(bench.nodes.run([&] { return tailed.size() == 300 && done == 300; }));
    CHECK(tailed == sent);
  }

  TEST_CASE("tail: from now delivers what comes after, and a backlog larger than its credit") {
    Bench bench;
    const auto append = [&](const std::string& text, int times) {
      int done = 0;
      for (int i = 0; i < times; ++i) {
        bench.client.async_append(asio::buffer(text), seconds(20),
                                  [&](asio::error_code error, const AppendResult&) {
                                    CHECK_FALSE(error);
                                    ++done;
                                  });
      }
      REQUIRE(bench.nodes.run([&] { return done == times; }));
    };
    append(std::string(50'000, 'o'), 60);
    Client tailer(bench.nodes.context, bench.nodes.client_options());
    std::size_t entries = 0;
    std::function<void(Lsn)> next = [&](Lsn from) {
      tailer.async_tail(from, [&](asio::error_code error, const ReadResult& result) {
        if (error) return;
        entries += result.entries.size();
        next(result.lsn_next);
      });
    };
    next({1});
    REQUIRE(bench.nodes.run([&] { return entries == 60; }));

    Client late(bench.nodes.context, bench.nodes.client_options());
    Texts seen;
    late.async_tail({}, [&](asio::error_code error, const ReadResult& result) {
      CHECK_FALSE(error);
      for (const Entry& entry : result.entries) seen.push_back(text_of(entry));
    });
    // It begins when the node has heard of it; what is appended until then it may or may not see.
    for (int i = 0; seen.empty() && i < 100; ++i) append("new", 1);
    REQUIRE_FALSE(seen.empty());
    CHECK(seen[0] == "new");
  }

  TEST_CASE("status: every node, also one that is down") {
    Bench bench;
    const NodeId leader = bench.nodes.leader();
    const NodeId dead{leader == NodeId{1} ? 2U : 1U};
    REQUIRE(bench.nodes.settle());
    bench.nodes.crash(dead);
    ClientOptions options;
    options.addresses = {bench.nodes.addresses.at(leader)};  // The others are found through it.
    Client client(bench.nodes.context, options);
    std::optional<std::vector<NodeStatus>> status;
    client.async_status(seconds(2), [&](asio::error_code, std::vector<NodeStatus> nodes) {
      status = std::move(nodes);
    });
    REQUIRE(bench.nodes.run([&] { return status.has_value(); }));
    REQUIRE(status->size() == 3);
    for (const NodeStatus& node : *status) {
      CHECK(node.reachable == (node.answer.node != dead));
      if (node.reachable) CHECK((node.answer.role == "leader") == (node.answer.node == leader));
    }
  }
}

}  // namespace stele
