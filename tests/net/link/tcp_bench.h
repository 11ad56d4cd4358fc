// Two ends of a TCP connection on loopback.
#pragma once

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

namespace stele::net::tcp_bench {

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
inline int client_socket(std::uint16_t port) {
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

inline int option_of(int file, int level, int name) {
  int value = 0;
  socklen_t size = sizeof(value);
  REQUIRE(::getsockopt(file, level, name, &value, &size) == 0);
  return value;
}

inline Message accept_of(std::size_t bytes) {
  return paxos::Message{{1}, paxos::Accept{{1, {1}}, {1}, paxos::value(std::string(bytes, 'x'))}};
}

inline Message small(std::uint64_t number) {
  return paxos::Message{{1}, paxos::PreVote{number, {1}}};
}

inline std::uint64_t number_of(const Message& message) {
  return std::get<paxos::PreVote>(std::get<paxos::Message>(message).body).attempt;
}

}  // namespace stele::net::tcp_bench
