#include <stele/client.h>

#include <doctest/doctest.h>

#include "tests/log/client/client_cluster.h"

namespace stele {
namespace {

using namespace client_cluster;

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

  TEST_CASE("blocking client: what on_waiting throws leaves the call, and the client goes on") {
    struct Enough {};
    ClientOptions options;
    options.addresses = {{"127.0.0.1", 1}};
    options.on_waiting = [](const std::string&) { throw Enough(); };
    BlockingClient client(options);
    const std::string text(1000, 'x');
    CHECK_THROWS_AS(
        std::ignore = client.append(std::as_bytes(std::span(text)), std::chrono::seconds(60)),
        Enough);
    ReadOptions read;
    read.timeout = std::chrono::milliseconds(1);
    CHECK(client.read(read).error().code == Errc::unreachable);
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
