#include <stele/client.h>

#include <doctest/doctest.h>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#include <thread>

#include "tests/support/nodes_in_process.h"

namespace stele {
namespace {

using log::NodesInProcess;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string text_of(const Entry& entry) {
  return {reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size()};
}

/// A cluster with a leader, and a client.
struct Bench {
  explicit Bench(std::uint64_t count = 3) : nodes(count) { REQUIRE(nodes.has_leader()); }

  /// One page.
  ReadResult read_page(const ReadOptions& options) {
    std::optional<ReadResult> result;
    client.async_read(options, [&](asio::error_code error, ReadResult read) {
      CHECK_MESSAGE(!error, read.detail);
      result = std::move(read);
    });
    REQUIRE(nodes.run([&] { return result.has_value(); }));
    return *result;
  }
  /// To the end: a page may be short where the disk ends and memory begins.
  std::vector<std::string> read(ReadOptions options = {}) {
    std::vector<std::string> texts;
    while (true) {
      const ReadResult page = read_page(options);
      for (const Entry& entry : page.entries) texts.push_back(text_of(entry));
      if (page.entries.empty()) return texts;
      options.lsn_begin = page.lsn_next;
    }
  }

  NodesInProcess nodes;
  Client client{nodes.context, nodes.client_options()};
};

using Texts = std::vector<std::string>;

asio::awaitable<Texts> append_and_read(Client& client) {
  const std::string first = "from a";
  const std::string second = "coroutine";
  const AppendResult one =
      co_await client.async_append(asio::buffer(first), seconds(20), asio::use_awaitable);
  co_await client.async_append(asio::buffer(second), seconds(20), asio::use_awaitable);
  ReadOptions options;
  options.lsn_begin = one.lsn;
  const ReadResult read = co_await client.async_read(options, asio::use_awaitable);
  Texts texts;
  for (const Entry& entry : read.entries) texts.push_back(text_of(entry));
  co_return texts;
}

}  // namespace

TEST_SUITE("log.client") {
  TEST_CASE("append: pipelined appends get their LSNs in the order of the calls") {
    Bench bench;
    std::vector<std::uint64_t> lsns;
    for (int i = 0; i < 2000; ++i) {
      const std::string text = std::to_string(i);
      bench.client.async_append(asio::buffer(text), seconds(20),
                                [&](asio::error_code error, const AppendResult& result) {
                                  CHECK_FALSE(error);
                                  lsns.push_back(result.lsn.value);
                                });
    }
    REQUIRE(bench.nodes.run([&] { return lsns.size() == 2000; }));
    for (std::uint64_t i = 0; i < 2000; ++i) CHECK(lsns[i] == i + 1);
    const Texts log = bench.read();
    REQUIRE(log.size() == 2000);
    for (std::size_t i = 0; i < log.size(); ++i) CHECK(log[i] == std::to_string(i));
  }

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

  TEST_CASE("completion tokens: a coroutine") {
    Bench bench;
    std::optional<Texts> texts;
    asio::co_spawn(bench.nodes.context, append_and_read(bench.client),
                   [&](std::exception_ptr failed, Texts result) {
                     CHECK(failed == nullptr);
                     texts = std::move(result);
                   });
    REQUIRE(bench.nodes.run([&] { return texts.has_value(); }));
    CHECK(*texts == Texts{"from a", "coroutine"});
  }

  TEST_CASE("completion tokens: a future, and an error as an exception") {
    Bench bench;
    auto future = bench.client.async_append(asio::buffer("x", 1), seconds(20), asio::use_future);
    const std::string big(100 << 10, 'x');  // Above the 64 KiB of these nodes.
    auto refused = bench.client.async_append(asio::buffer(big), seconds(20), asio::use_future);
    const auto ready = [&] {
      return future.wait_for(seconds(0)) == std::future_status::ready &&
             refused.wait_for(seconds(0)) == std::future_status::ready;
    };
    REQUIRE(bench.nodes.run(ready));
    CHECK(future.get().lsn == Lsn{1});
    try {
      refused.get();
      FAIL("an entry over the limit was appended");
    } catch (const std::system_error& error) {
      CHECK(error.code() == Errc::too_large);
      CHECK(error.code().message() == "too_large");
    }
  }

  TEST_CASE(
      "append: an entry over the limit is refused for certain, and the next ones are appended") {
    Bench bench;
    const std::string big(100 << 10, 'x');
    std::vector<std::optional<Errc>> errors;
    const auto note = [&](asio::error_code error, const AppendResult& result) {
      CHECK_FALSE(result.may_be_appended);
      errors.push_back(error ? std::optional(static_cast<Errc>(error.value())) : std::nullopt);
    };
    bench.client.async_append(asio::buffer("a", 1), seconds(20), note);
    bench.client.async_append(asio::buffer(big), seconds(20), note);
    bench.client.async_append(asio::buffer("b", 1), seconds(20), note);
    REQUIRE(bench.nodes.run([&] { return errors.size() == 3; }));
    CHECK(std::count(errors.begin(), errors.end(), std::optional(Errc::too_large)) == 1);
    CHECK(bench.read() == Texts{"a", "b"});
  }

  TEST_CASE("append: largest, empty and binary entries are kept as they are") {
    Bench bench;
    Texts sent{std::string(64 << 10, 'x'), "", std::string("\0\r\n\xff", 4)};
    int done = 0;
    for (const std::string& text : sent) {
      bench.client.async_append(asio::buffer(text), seconds(20),
                                [&](asio::error_code error, const AppendResult&) {
                                  CHECK_FALSE(error);
                                  ++done;
                                });
    }
    REQUIRE(bench.nodes.run([&] { return done == 3; }));
    CHECK(bench.read() == sent);
  }

  TEST_CASE("append_at: only at the LSN asked for") {
    Bench bench;
    std::vector<asio::error_code> codes;
    const auto note = [&](asio::error_code error, const AppendResult&) { codes.push_back(error); };
    bench.client.async_append_at(asio::buffer("a", 1), {1}, seconds(20), note);
    bench.client.async_append_at(asio::buffer("b", 1), {1}, seconds(20), note);
    bench.client.async_append_at(asio::buffer("c", 1), {2}, seconds(20), note);
    REQUIRE(bench.nodes.run([&] { return codes.size() == 3; }));
    CHECK_FALSE(codes[0]);
    CHECK(codes[1] == Errc::condition_failed);
    CHECK_FALSE(codes[2]);
    CHECK(bench.read() == Texts{"a", "c"});
  }

  // A refusal is definite only if no attempt may have been proposed.
  TEST_CASE("append: without a quorum it times out, unknown; later appends keep their order") {
    Bench bench;
    std::optional<asio::error_code> first;
    bench.client.async_append(asio::buffer("a", 1), seconds(20),
                              [&](asio::error_code error, const AppendResult&) { first = error; });
    REQUIRE(bench.nodes.run([&] { return first.has_value(); }));
    const NodeId survivor = bench.nodes.leader();
    for (std::uint64_t id = 1; id <= 3; ++id) {
      if (NodeId{id} != survivor) bench.nodes.crash({id});
    }
    std::optional<asio::error_code> second;
    bool may_be = false;
    bench.client.async_append(asio::buffer("b", 1), milliseconds(300),
                              [&](asio::error_code error, const AppendResult& result) {
                                second = error;
                                may_be = result.may_be_appended;
                              });
    REQUIRE(bench.nodes.run([&] { return second.has_value(); }));
    CHECK(*second == Errc::timed_out);
    CHECK(may_be);
    std::optional<asio::error_code> third;
    bench.client.async_append(asio::buffer("c", 1), seconds(50),
                              [&](asio::error_code error, const AppendResult&) { third = error; });
    for (std::uint64_t id = 1; id <= 3; ++id) {
      if (NodeId{id} != survivor) bench.nodes.start({id});
    }
    REQUIRE(bench.nodes.run([&] { return third.has_value(); }));
    CHECK_FALSE(*third);
    const Texts log = bench.read();
    const bool with_b = log == Texts{"a", "b", "c"};
    const bool without_b = log == Texts{"a", "c"};
    CHECK((with_b || without_b));
  }

  TEST_CASE("append: a cluster that nobody reaches is unreachable, for certain") {
    asio::io_context context;
    ClientOptions options;
    options.addresses = {{"127.0.0.1", 1}};
    Client client(context, options);
    std::optional<asio::error_code> outcome;
    client.async_append(asio::buffer("x", 1), milliseconds(200),
                        [&](asio::error_code error, const AppendResult& result) {
                          outcome = error;
                          CHECK_FALSE(result.may_be_appended);
                          CHECK(result.detail.find("127.0.0.1:1") != std::string::npos);
                        });
    REQUIRE(log::run_until(context, [&] { return outcome.has_value(); }));
    CHECK(*outcome == Errc::unreachable);
  }

  TEST_CASE("append: more than may wait is refused at once, not queued") {
    Bench bench;
    ClientOptions options = bench.nodes.client_options();
    options.waiting_max = 10;
    Client client(bench.nodes.context, options);
    int overloaded = 0;
    int done = 0;
    for (int i = 0; i < 15; ++i) {
      client.async_append(asio::buffer("x", 1), seconds(20),
                          [&](asio::error_code error, const AppendResult& result) {
                            ++done;
                            if (error != Errc::overloaded) return;
                            ++overloaded;
                            CHECK_FALSE(result.may_be_appended);
                          });
    }
    REQUIRE(bench.nodes.run([&] { return done == 15; }));
    CHECK(overloaded == 5);
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

  TEST_CASE("destruction: everything pending completes with shutting_down") {
    Bench bench;
    std::optional<asio::error_code> append;
    std::optional<asio::error_code> tail;
    {
      Client client(bench.nodes.context, bench.nodes.client_options());
      client.async_append(asio::buffer("x", 1), seconds(20),
                          [&](asio::error_code error, const AppendResult&) { append = error; });
      client.async_tail({}, [&](asio::error_code error, const ReadResult&) { tail = error; });
    }
    REQUIRE(bench.nodes.run([&] { return append && tail; }));
    CHECK(*append == Errc::shutting_down);
    CHECK(*tail == Errc::shutting_down);
  }

  TEST_CASE("close: lets the context's run() return") {
    Bench bench;
    asio::io_context context;
    Client client(context, bench.nodes.client_options());
    bool done = false;
    client.async_append(asio::buffer("x", 1), seconds(20),
                        [&](asio::error_code error, const AppendResult&) {
                          CHECK_FALSE(error);
                          done = true;
                          client.close();
                        });
    std::atomic<bool> returned{false};
    std::thread other([&] {
      context.run();
      returned = true;
    });
    CHECK(bench.nodes.run([&] { return returned.load(); }));
    bench.nodes.context.stop();
    other.join();
    CHECK(done);
  }

  TEST_CASE("blocking client: append, read, status, and an error with its detail") {
    Bench bench;
    std::atomic<bool> finished{false};
    std::thread user([&] {
      BlockingClient client(bench.nodes.client_options());
      const std::string text = "blocking";
      const auto lsn = client.append(std::as_bytes(std::span(text)), seconds(20));
      CHECK(lsn.has_value());
      const auto read = client.read({});
      CHECK(read->entries.size() == 1);
      CHECK(client.status(seconds(2)).size() == 3);
      const std::string big(100 << 10, 'x');
      const auto refused = client.append(std::as_bytes(std::span(big)), seconds(20));
      CHECK(refused.error().code == Errc::too_large);
      finished = true;
    });
    CHECK(bench.nodes.run([&] { return finished.load(); }));
    user.join();
  }
}

}  // namespace stele
