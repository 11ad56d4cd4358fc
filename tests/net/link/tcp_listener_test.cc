#include "net/link/tcp_listener.h"

#include <doctest/doctest.h>

#include "tests/net/link/tcp_bench.h"

namespace stele::net {
namespace {

using namespace tcp_bench;

}  // namespace

TEST_SUITE("net.tcp_listener") {
  TEST_CASE("listen: on all addresses of a name") {
    asio::io_context context(1);
    AsioLoop loop(context);
    std::string failure;
    const auto found = Resolver::look_up({"localhost", 1}, failure);
    REQUIRE_FALSE(found.empty());
    int accepted = 0;
    // A port that is free now, of both families most likely: with 0 they would be two.
    const std::uint16_t port =
        asio::ip::tcp::acceptor(context, {asio::ip::tcp::v4(), 0}).local_endpoint().port();
    const auto listener =
        listen_at(loop, {"localhost", port}, {}, [&](std::unique_ptr<Link>) { ++accepted; });
    REQUIRE(listener);
    int there = 0;  // Addresses that this machine has.
    int connected = 0;
    for (asio::ip::tcp::endpoint endpoint : found) {
      asio::error_code error;
      asio::ip::tcp::acceptor any(context, endpoint.protocol());
      endpoint.port(0);
      any.bind(endpoint, error);
      there += error ? 0 : 1;
      endpoint.port(port);
      asio::ip::tcp::socket(context).connect(endpoint, error);
      connected += error ? 0 : 1;
    }
    CHECK(connected != 0);
    CHECK(connected == there);
    CHECK(log::run_until(context, [&] { return accepted == connected; }));
  }

  TEST_CASE("listen: no more at a time than it takes, those that end gently among them") {
    Pair pair({.accepted_max = 1});
    Ear second;
    const auto link = pair.dialer.dial({"127.0.0.1", pair.listener->port()}, second);
    const Link* const first = pair.accepted.get();
    CHECK(link->send(small(1)));
    pair.context.run_for(std::chrono::milliseconds(300));
    CHECK(pair.accepted.get() == first);
    pair.accepted->close_gently();
    pair.dialled.reset();
    CHECK(pair.run([&] { return pair.accepted.get() != first; }));
  }

  TEST_CASE("listen: a port in use is told as such") {
    Pair pair;
    const auto second = listen_at(pair.loop, {"127.0.0.1", pair.listener->port()}, {}, [](auto) {});
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::in_use);
  }
}

}  // namespace stele::net
