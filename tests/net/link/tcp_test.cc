#include "net/link/tcp.h"

#include <doctest/doctest.h>

#include "paxos/base/check.h"
#include "tests/net/link/tcp_bench.h"

namespace stele::net {
namespace {

using namespace tcp_bench;

}  // namespace

TEST_SUITE("net.tcp") {
  TEST_CASE("messages of every kind and size arrive, in order, in both directions") {
    for (const Speaker speaker : kSpeakers) {
      Pair pair({}, speaker);
      const auto all = samples_of(speaker);
      for (const Message& message : all) CHECK(pair.dialled->send(message));
      if (speaker == Speaker::node) CHECK(pair.dialled->send(accept_of(5 << 20)));
      CHECK(pair.accepted->send(small(7)));
      const std::size_t sent = all.size() + (speaker == Speaker::node ? 1 : 0);
      REQUIRE(pair.run(
          [&] { return pair.server.messages.size() == sent && pair.client.messages.size() == 1; }));
      for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(pair.server.messages[i].index() == all[i].index());
      }
      CHECK(pair.dialled->queued_bytes() == 0);
    }
  }

  // The author of a client wants to know what was wrong.
  TEST_CASE("what that side may not say ends the connection, and it hears why") {
    Pair pair({}, Speaker::client);
    pair.dialled->expect(Speaker::server, kFrameBytesMax);
    CHECK(pair.dialled->send(KeepAlive{}));
    CHECK(pair.dialled->send(small(1)));
    CHECK(pair.dialled->send(KeepAlive{}));
    REQUIRE(pair.run([&] { return pair.client.closed && pair.server.closed; }));
    CHECK(pair.server.messages.size() == 1);
    CHECK(*pair.server.closed == "a client does not send this kind of message");
    REQUIRE(pair.client.messages.size() == 1);
    CHECK(std::get<Refused>(pair.client.messages[0]).reason == *pair.server.closed);
  }

  TEST_CASE("flush: what is queued leaves before the end of the turn, in its order") {
    Pair pair;
    CHECK(pair.dialled->left_bytes() == 0);
    CHECK(pair.dialled->send(small(1)));
    const std::size_t first = pair.dialled->queued_bytes();
    CHECK(first != 0);
    CHECK(pair.run([&] { return pair.dialled->queued_bytes() == 0; }));
    CHECK(pair.dialled->send(small(2)));
    CHECK(pair.dialled->send(small(3)));
    pair.dialled->flush();
    CHECK(pair.dialled->queued_bytes() == 0);
    CHECK(pair.dialled->left_bytes() == 3 * first);
    CHECK(pair.dialled->send(accept_of(8 << 20)));
    pair.dialled->flush();  // More than the socket takes at once.
    pair.dialled->flush();
    CHECK(pair.dialled->send(small(4)));
    REQUIRE(pair.run([&] { return pair.server.messages.size() == 5; }));
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(number_of(pair.server.messages[i]) == i + 1);
    }
    const auto& large = std::get<paxos::Message>(pair.server.messages[3]);
    CHECK(std::get<paxos::Accept>(large.body).value.size() == 8 << 20);
    CHECK(number_of(pair.server.messages[4]) == 4);
  }

  TEST_CASE(
      "flush: a sender that was refused hears that there is room, though no write was under way") {
    TcpOptions options;
    options.queue_bytes_max = 50'000;
    Pair pair(options);
    CHECK(pair.dialled->send(small(1)));
    CHECK(pair.run([&] { return pair.dialled->queued_bytes() == 0; }));
    while (pair.dialled->send(accept_of(10'000))) {
    }
    pair.dialled->flush();
    CHECK(pair.dialled->queued_bytes() == 0);
    CHECK(pair.run([&] { return pair.client.writable == 1; }));
  }

  TEST_CASE("a value of very many parts arrives whole") {
    Pair pair;
    std::vector<Slice> parts;
    for (int i = 0; i < 500; ++i) parts.push_back(slice("part " + std::to_string(i)));
    const std::uint64_t digest = value_digest(parts);
    const paxos::Value value(paxos::ValueKind::batch, parts, digest);
    CHECK(pair.dialled->send(paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, value}}));
    REQUIRE(pair.run([&] { return pair.server.messages.size() == 1; }));
    CHECK(std::get<paxos::Accept>(std::get<paxos::Message>(pair.server.messages[0]).body).value ==
          value);
  }

  TEST_CASE("the queue is bounded: refused, and told when there is room again") {
    TcpOptions options;
    options.queue_bytes_max = 1 << 20;
    Pair pair(options);
    int sent = 0;
    while (pair.dialled->send(accept_of(100'000))) ++sent;
    CHECK(sent >= 10);
    CHECK(sent < 12);
    REQUIRE(pair.run([&] { return pair.client.writable == 1; }));
    REQUIRE(
        pair.run([&] { return pair.server.messages.size() == static_cast<std::size_t>(sent); }));
    // One larger than the bound passes when nothing else waits.
    REQUIRE(pair.run([&] { return pair.dialled->queued_bytes() == 0; }));
    CHECK(pair.dialled->send(accept_of(3 << 20)));
    CHECK(pair.run(
        [&] { return pair.server.messages.size() == static_cast<std::size_t>(sent) + 1; }));
  }

  TEST_CASE("a link that is destroyed closes the other one, with a reason") {
    Pair pair;
    pair.accepted.reset();
    REQUIRE(pair.run([&] { return pair.client.closed.has_value(); }));
    CHECK_FALSE(pair.client.closed->empty());
    CHECK_FALSE(pair.server.closed);
  }

  TEST_CASE("who has dialled asks whether the other side is there, several times within the time") {
    Pair pair({.unacknowledged_timeout = 7s});
    CHECK(pair.accepted->send(small(1)));
    REQUIRE(pair.run([&] { return pair.client.messages.size() == 1; }));
    const int client = client_socket(pair.listener->port());
    REQUIRE(client >= 0);
    CHECK(option_of(client, SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option_of(client, IPPROTO_TCP, TCP_USER_TIMEOUT) == 7000);
    CHECK(option_of(client, IPPROTO_TCP, TCP_KEEPIDLE) == 4);
    CHECK(option_of(client, IPPROTO_TCP, TCP_KEEPINTVL) == 1);
  }

  TEST_CASE("close_gently: what was queued arrives before the end") {
    Pair pair;
    for (int i = 0; i < 50; ++i) pair.accepted->send(accept_of(50'000));
    pair.accepted->send(small(99));
    pair.accepted->close_gently();
    pair.accepted.reset();
    REQUIRE(pair.run([&] { return pair.client.closed.has_value(); }));
    REQUIRE(pair.client.messages.size() == 51);
    CHECK(number_of(pair.client.messages.back()) == 99);
  }

  // A peer that goes on sending while it is refused must neither overrun a buffer nor keep it open.
  TEST_CASE("close_gently: input that nobody takes is dropped") {
    Pair pair;
    pair.accepted->send(accept_of(3 << 20));
    pair.accepted->close_gently();
    for (int i = 0; i < 100; ++i) pair.dialled->send(accept_of(100'000));
    REQUIRE(pair.run([&] { return pair.client.closed.has_value(); }));
    CHECK(pair.server.messages.empty());
  }

  TEST_CASE("close_gently: ends also after a failed check, though the other side never closes") {
    asio::io_context context;
    AsioLoop loop(context, [](const std::string&) {});
    TcpDialer dialer(loop, {});
    asio::ip::tcp::acceptor other(context, {asio::ip::address_v4::loopback(), 0});
    Ear ear;
    auto link = dialer.dial({"127.0.0.1", other.local_endpoint().port()}, ear);
    link->send(small(1));
    asio::ip::tcp::socket end(context);
    REQUIRE(log::run_until(context, [&] { return link->left_bytes() != 0; }));
    other.accept(end);
    link->close_gently();
    link.reset();
    loop.guard([] { STELE_CHECK(1 == 2); });
    context.restart();
    context.run();  // Returns once the connection is closed.
  }

  TEST_CASE("a handler may destroy its link from within a message") {
    Pair pair;
    pair.server.on_each = [&] { pair.accepted.reset(); };
    for (int i = 0; i < 10; ++i) pair.dialled->send(small(1));
    REQUIRE(pair.run([&] { return pair.client.closed.has_value(); }));
    CHECK(pair.server.messages.size() == 1);
  }

  TEST_CASE("dial: a name whose first address swallows everything") {
    asio::io_context context(1);
    AsioLoop loop(context);
    const auto here = asio::ip::make_address("127.0.0.1");
    asio::ip::tcp::acceptor hole(context, {here, 0});
    hole.listen(0);
    std::vector<asio::ip::tcp::socket> fill;
    for (int i = 0; i < 4; ++i) {
      fill.emplace_back(context);
      fill.back().async_connect(hole.local_endpoint(), [](asio::error_code) {});
    }
    Ear server;
    std::unique_ptr<Link> accepted;
    const auto listener = listen_at(loop, {"127.0.0.1", 0}, {}, [&](std::unique_ptr<Link> link) {
      accepted = std::move(link);
      accepted->expect(Speaker::node, kFrameBytesMax);
      accepted->start(server);
    });
    REQUIRE(listener);
    TcpDialer dialer(loop, {}, [&](const Address&, std::string&) {
      return Resolver::Endpoints{hole.local_endpoint(), {here, (*listener)->port()}};
    });
    Ear client;
    const auto link = dialer.dial({"two.addresses", 7001}, client);
    CHECK(link->send(small(1)));
    REQUIRE(log::run_until(context, [&] { return server.messages.size() == 1; }));
    CHECK_FALSE(client.closed);
  }

  TEST_CASE("dial: nobody there, or a name that does not resolve, is told") {
    asio::io_context context(1);
    AsioLoop loop(context);
    TcpDialer dialer(loop, {});
    Ear nobody;
    Ear unknown;
    const auto first = dialer.dial({"127.0.0.1", 1}, nobody);
    const auto second = dialer.dial({"no-such-host.invalid", 7101}, unknown);
    REQUIRE(log::run_until(context, [&] { return nobody.closed && unknown.closed; }));
    CHECK_FALSE(first->send(KeepAlive{}));
  }
}

}  // namespace stele::net
