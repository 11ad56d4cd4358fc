#include "net/link/tcp.h"
#include "net/link/tcp_listener.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <filesystem>

#include "tests/net/wire/samples.h"
#include "tests/support/directory.h"
#include "tests/support/listen.h"

namespace stele::net {
namespace {

using namespace std::chrono_literals;

/// Remembers what it was told.
class Ear final : public LinkHandler {
 public:
  void on_message(Message message) override {
    messages.push_back(std::move(message));
    if (on_each) on_each();
  }
  void on_closed(const std::string& reason) override { closed = reason; }
  void on_writable() override { ++writable; }

  std::vector<Message> messages;
  std::optional<std::string> closed;
  int writable = 0;
  std::function<void()> on_each;
};

/// A dialled link and the accepted one that belongs to it.
struct Pair {
  explicit Pair(TcpOptions options = {}, Speaker speaker = Speaker::node) : dialer(loop, options) {
    auto made = listen_at(loop, {"127.0.0.1", 0}, options, [=, this](std::unique_ptr<Link> link) {
      accepted = std::move(link);
      accepted->expect(speaker, kFrameBytesMax);
      accepted->start(server);
    });
    REQUIRE(made);
    listener = *std::move(made);
    dialled = dialer.dial({"127.0.0.1", listener->port()}, client);
    dialled->expect(Speaker::node, kFrameBytesMax);
    REQUIRE(run([this] { return accepted != nullptr; }));
  }
  bool run(const std::function<bool()>& done) { return log::run_until(context, done); }

  asio::io_context context{1};
  AsioLoop loop{context};
  Ear client;
  Ear server;
  TcpDialer dialer;
  std::unique_ptr<TcpListener> listener;
  std::unique_ptr<Link> dialled;
  std::unique_ptr<Link> accepted;
};

/// This process's end of the connection to that port; -1 if there is none.
int client_socket(std::uint16_t port) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int file = std::stoi(entry.path().filename().string());
    sockaddr_in remote{};
    socklen_t size = sizeof(remote);
    if (::getpeername(file, reinterpret_cast<sockaddr*>(&remote), &size) == 0 &&
        remote.sin_family == AF_INET && ntohs(remote.sin_port) == port) {
      return file;
    }
  }
  return -1;
}

int option_of(int file, int level, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  REQUIRE(::getsockopt(file, level, name, &value, &size) == 0);
  return value;
}

Message accept_of(std::size_t bytes) {
  return paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value(std::string(bytes, 'x'))}};
}

Message small(std::uint64_t number) { return paxos::Message{{1}, paxos::PreVote{number, {1}}}; }

std::uint64_t number_of(const Message& message) {
  return std::get<paxos::PreVote>(std::get<paxos::Message>(message).body).attempt;
}

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

  TEST_CASE("large frames of many links arrive within the memory for all, one after the other") {
    TcpOptions options;
    options.receive_memory = std::make_shared<ReceiveMemory>(1 << 20, 1 << 20);
    asio::io_context context{1};
    AsioLoop loop{context};
    Ear server;
    std::vector<std::unique_ptr<Link>> accepted;
    std::size_t most = 0;
    server.on_each = [&] { most = std::max(most, options.receive_memory->reserved()); };
    const auto listener =
        listen_at(loop, {"127.0.0.1", 0}, options, [&](std::unique_ptr<Link> link) {
          accepted.push_back(std::move(link));
          accepted.back()->expect(Speaker::node, kFrameBytesMax);
          accepted.back()->start(server);
        });
    REQUIRE(listener);
    TcpDialer dialer(loop, {});
    Ear client;
    std::vector<std::unique_ptr<Link>> dialled;
    for (int i = 0; i < 20; ++i) {
      dialled.push_back(dialer.dial({"127.0.0.1", (*listener)->port()}, client));
      for (int k = 0; k < 3; ++k) CHECK(dialled.back()->send(accept_of(700'000)));
    }
    REQUIRE(log::run_until(context, [&] { return server.messages.size() == 60; }));
    CHECK(most <= 1 << 20);
    CHECK_FALSE(server.closed);
  }

  TEST_CASE("a link that waits for memory has not stopped, however long it waits") {
    TcpOptions options;
    options.receive_memory = std::make_shared<ReceiveMemory>(1 << 20, 1 << 20);
    options.frame_timeout = std::chrono::milliseconds(500);
    ReceiveMemory& memory = *options.receive_memory;
    Pair pair(options);
    // Small frames fill the first buffer, and the link gets a larger one of its own.
    std::vector<std::byte> small;
    while (small.size() < 20'000) {
      const auto frame = wire_bytes(encode(accept_of(1000)));
      small.insert(small.end(), frame.begin(), frame.end());
    }
    asio::ip::tcp::socket waits(pair.context);
    waits.connect({asio::ip::make_address("127.0.0.1"), pair.listener->port()});
    asio::write(waits, asio::buffer(small.data(), small.size() - 100));
    REQUIRE(pair.run([&] { return memory.reserved() != 0; }));
    REQUIRE(memory.reserve(500'000));
    const auto large = wire_bytes(encode(accept_of(700'000)));
    asio::write(waits, asio::buffer(small.data() + small.size() - 100, 100));
    asio::write(waits, asio::buffer(large.data(), 3000));
    REQUIRE(pair.run([&] { return memory.scarce(); }));
    const std::unique_ptr<Link> waiting = std::move(pair.accepted);

    // One that does stop elsewhere is closed meanwhile: so much time has passed.
    TcpOptions others = options;
    others.receive_memory = std::make_shared<ReceiveMemory>(1 << 20, 1 << 20);
    Pair clock(others);
    asio::ip::tcp::socket stops(clock.context);
    stops.connect({asio::ip::make_address("127.0.0.1"), clock.listener->port()});
    asio::write(stops, asio::buffer(large.data(), 50'000));
    REQUIRE(clock.run([&] { return clock.server.closed.has_value(); }));
    pair.context.poll();
    CHECK_FALSE(pair.server.closed);
    memory.release(500'000);
    asio::write(waits, asio::buffer(large.data() + 3000, large.size() - 3000));
    const auto arrived = [&] {
      const auto* last = pair.server.messages.empty()
                             ? nullptr
                             : std::get_if<paxos::Message>(&pair.server.messages.back());
      return last != nullptr && std::get<paxos::Accept>(last->body).value.size() == 700'000;
    };
    CHECK(pair.run(arrived));
  }

  // Otherwise it would keep the memory that others wait for.
  TEST_CASE("a peer that stops in the middle of a large frame is closed") {
    TcpOptions options;
    options.receive_memory = std::make_shared<ReceiveMemory>(1 << 20, 1 << 20);
    options.frame_timeout = std::chrono::milliseconds(50);
    Pair pair(options);
    asio::ip::tcp::socket socket(pair.context);
    socket.connect({asio::ip::make_address("127.0.0.1"), pair.listener->port()});
    const auto bytes = wire_bytes(encode(accept_of(700'000)));
    asio::write(socket, asio::buffer(bytes.data(), 500'000));
    REQUIRE(pair.run([&] { return pair.server.closed.has_value(); }));
    CHECK(*pair.server.closed == "it stopped in the middle of a frame");
    CHECK(pair.run([&] { return options.receive_memory->reserved() == 0; }));
  }

  TEST_CASE("a peer that takes for ever with a frame is closed if others wait for its memory") {
    TcpOptions options;
    options.receive_memory = std::make_shared<ReceiveMemory>(1 << 20, 1 << 20);
    options.frame_timeout = std::chrono::seconds(1);
    Pair pair(options);
    asio::ip::tcp::socket socket(pair.context);
    socket.connect({asio::ip::make_address("127.0.0.1"), pair.listener->port()});
    const auto bytes = wire_bytes(encode(accept_of(700'000)));
    asio::steady_timer timer(pair.context);
    const auto began = std::chrono::steady_clock::now();
    std::size_t sent = 5000;
    asio::write(socket, asio::buffer(bytes.data(), sent));
    std::function<void()> trickle = [&] {
      timer.expires_after(std::chrono::milliseconds(20));
      timer.async_wait([&](asio::error_code error) {
        if (error || pair.server.closed) return;
        asio::error_code ignored;
        asio::write(socket, asio::buffer(bytes.data() + sent++, 1), ignored);
        trickle();
      });
    };
    trickle();
    const auto is_old = [&] { return std::chrono::steady_clock::now() - began > 1200ms; };
    REQUIRE(pair.run(is_old));
    CHECK_FALSE(pair.server.closed);
    options.receive_memory->wait([] {});
    REQUIRE(pair.run([&] { return pair.server.closed.has_value(); }));
    CHECK(*pair.server.closed == "it takes too long for a frame whose memory others wait for");
  }
}

}  // namespace stele::net
