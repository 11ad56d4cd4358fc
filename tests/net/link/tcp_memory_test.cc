#include <doctest/doctest.h>

#include "tests/net/link/tcp_bench.h"

namespace stele::net {
namespace {

using namespace tcp_bench;

}  // namespace

TEST_SUITE("net.tcp.memory") {
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
