#include "net/link/peers.h"

#include <doctest/doctest.h>

#include <map>

#include "net/link/tcp.h"
#include "net/link/tcp_listener.h"
#include "net/wire/digest.h"
#include "net/wire/frame.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/fake_link.h"
#include "tests/support/listen.h"
#include "tests/support/nodes_in_process.h"

namespace stele::net {
namespace {

/// A node at the other end: answers the handshake as the test wants, and keeps what it is sent.
class OtherNode final {
 public:
  explicit OtherNode(AsioLoop& loop) {
    auto made = listen_at(loop, {"127.0.0.1", 0}, {}, [this](std::unique_ptr<Link> link) {
      ends_.push_back(std::make_unique<End>(*this, std::move(link)));
      ++connections;
    });
    REQUIRE(made);
    listener_ = *std::move(made);
  }
  void hang_up() { ends_.clear(); }
  /// As a process that has ended: nobody listens any more.
  void end() {
    listener_.reset();
    hang_up();
  }
  /// The connection over which the message of that kind came.
  [[nodiscard]] int came_over(std::string_view name) const { return came_over_.at(name); }
  void hang_up(int connection) {
    std::erase_if(ends_, [&](const auto& end) { return end->number == connection; });
  }
  [[nodiscard]] Address address() const { return {"127.0.0.1", listener_->port()}; }

  Message answer;
  std::vector<paxos::Message> received;
  int connections = 0;

 private:
  struct End final : LinkHandler {
    End(OtherNode& n, std::unique_ptr<Link> l)
        : node(n), number(n.connections), link(std::move(l)) {
      link->start(*this);
    }
    void on_message(Message message) override {
      if (std::holds_alternative<Hello>(message)) {
        link->expect(Speaker::node, kFrameBytesMax);
        link->send(node.answer);
      } else if (auto* paxos_message = std::get_if<paxos::Message>(&message)) {
        node.came_over_[paxos::name_of(paxos_message->body)] = number;
        node.received.push_back(*paxos_message);
      }
    }
    void on_closed(const std::string&) override { link.reset(); }

    OtherNode& node;
    int number;
    std::unique_ptr<Link> link;
  };

  std::unique_ptr<TcpListener> listener_;
  std::vector<std::unique_ptr<End>> ends_;
  std::map<std::string_view, int> came_over_;
};

/// Says that it is node 1, and remembers what it is told.
struct FirstNode : PeersListener {
  [[nodiscard]] Hello hello() const override {
    Hello hello;
    hello.node = {1};
    return hello;
  }
  [[nodiscard]] Result<void> on_hello(const Hello&) override {
    if (admits) return {};
    return fail(Errc::refused, "not you");
  }
  void on_refused(NodeId, const std::string& reason) override { refusal = reason; }
  void on_told(const Report&) override {}
  void on_connected(NodeId node) override { reached.push_back(node); }
  void on_gone(NodeId node) override { gone.push_back(node); }

  bool admits = true;
  std::string refusal;
  std::vector<NodeId> gone;
  std::vector<NodeId> reached;  // As told by on_connected.
};

struct Bench final : FirstNode {
  Bench() {
    Hello hello;
    hello.node = {2};
    other.answer = hello;
  }
  bool run(const std::function<bool()>& done) { return log::run_until(context, done); }

  asio::io_context context{1};
  AsioLoop loop{context};
  TcpDialer dialer{loop, {}};
  log::QuietEvents events;
  OtherNode other{loop};
  Peers peers{loop, dialer, events, *this};
};

const paxos::Message kMessage{{1}, paxos::Fetch{{1}}};

}  // namespace

TEST_SUITE("net.peers") {
  TEST_CASE("send: nothing before the handshake, everything after it") {
    Bench bench;
    bench.peers.add({2}, bench.other.address());
    bench.peers.send({2}, kMessage);
    REQUIRE(bench.run([&] { return bench.peers.connected({2}); }));
    bench.peers.send({2}, kMessage);
    bench.peers.send({9}, kMessage);  // Nobody.
    REQUIRE(bench.run([&] { return !bench.other.received.empty(); }));
    CHECK(bench.other.received.size() == 1);
  }

  TEST_CASE("a lost connection is dialled again, and told once") {
    Bench bench;
    bench.peers.add({2}, bench.other.address());
    for (int i = 1; i <= 3; ++i) {
      REQUIRE(bench.run(
          [&] { return bench.peers.connected({2}) && bench.other.connections == 2 * i; }));
      CHECK(bench.reached.size() == static_cast<std::size_t>(i));
      bench.other.hang_up();
    }
    REQUIRE(bench.run([&] { return bench.other.connections == 8; }));
    CHECK(bench.events.counts["peer_lost"] == 3);
    CHECK(bench.gone.empty());
  }

  TEST_CASE("what carries values and what is small go over connections of their own") {
    Bench bench;
    bench.peers.add({2}, bench.other.address());
    REQUIRE(bench.run([&] { return bench.peers.connected({2}); }));
    const auto message = [](paxos::Body body) { return paxos::Message{{1}, std::move(body)}; };
    const Ballot ballot{1, {1}};
    bench.peers.send({2}, message(paxos::Accept{ballot, {1}, {}}));
    bench.peers.send({2}, message(paxos::Chosen{ballot, {1}, {2}}));
    bench.peers.send({2}, message(paxos::Heartbeat{ballot, 1}));
    REQUIRE(bench.run([&] { return bench.other.received.size() == 3; }));
    CHECK(bench.other.came_over("accept") == bench.other.came_over("chosen"));
    CHECK(bench.other.came_over("accept") != bench.other.came_over("heartbeat"));
  }

  TEST_CASE("a node is lost with either of its connections") {
    for (const int connection : {0, 1}) {
      Bench bench;
      bench.peers.add({2}, bench.other.address());
      REQUIRE(bench.run([&] { return bench.peers.connected({2}); }));
      bench.other.hang_up(connection);
      REQUIRE(bench.run([&] { return bench.reached.size() == 2; }));
      CHECK(bench.events.counts["peer_lost"] == 1);
      CHECK(bench.other.connections == 4);
    }
  }

  // A line that takes nothing: the other side does not read.
  TEST_CASE(
      "progress: what the other system has acknowledged, and what is lost with the connection") {
    Bench bench;
    bench.peers.add({2}, bench.other.address());
    CHECK(bench.peers.progress({2}).sent == 0);
    REQUIRE(bench.run([&] { return bench.peers.connected({2}); }));
    auto bytes = std::make_shared<std::vector<std::byte>>(1 << 20);
    const std::span<const std::byte> view(*bytes);
    const paxos::Value value(paxos::ValueKind::batch, {{bytes, view}}, value_digest(view));
    bench.peers.send({2}, {{1}, paxos::Accept{{1, {1}}, {1}, value}});
    const auto sent = bench.peers.progress({2});
    CHECK(sent.sent > bytes->size());
    CHECK(sent.arrived + bytes->size() < sent.sent);
    CHECK(bench.peers.progress({9}).sent == 0);
    const auto all_there = [&] {
      const auto now = bench.peers.progress({2});
      return now.arrived == now.sent;
    };
    REQUIRE(bench.run(all_there));
    CHECK(bench.peers.progress({2}).sent == sent.sent);
    REQUIRE(bench.run([&] { return bench.other.received.size() == 1; }));
    bench.peers.send({2}, {{1}, paxos::Accept{{1, {1}}, {1}, value}});
    bench.other.hang_up();
    REQUIRE(bench.run([&] { return bench.events.counts["peer_lost"] == 1; }));
    CHECK(bench.peers.progress({2}).sent > sent.sent + bytes->size());
    CHECK(all_there());
  }

  TEST_CASE("who was connected and refuses the next connection is gone, told once") {
    Bench bench;
    bench.peers.add({2}, bench.other.address());
    REQUIRE(bench.run([&] { return bench.peers.connected({2}); }));
    bench.other.end();
    REQUIRE(bench.run([&] { return !bench.gone.empty(); }));
    CHECK(bench.gone == std::vector<NodeId>{{2}});
  }

  TEST_CASE("a node that connects itself is dialled at once, not with the next try") {
    sim::SimLoop loop(1);
    log::FakeDialer dialer;
    log::QuietEvents events;
    FirstNode first;
    Peers peers(loop, dialer, events, first);
    peers.add({2}, {"other", 1});
    // The tries become rare.
    for (int i = 0; i < 10; ++i) {
      if (!dialer.links.empty()) dialer.links.back()->handler->on_closed("nobody listens");
      loop.advance(Peers::kBackoffMax);
    }
    REQUIRE(dialer.links.size() == 2);
    dialer.links.back()->handler->on_closed("nobody listens");
    loop.advance(Peers::kBackoffMin);
    REQUIRE(dialer.links.empty());

    peers.heard_from({9});  // Nobody known.
    CHECK(dialer.links.empty());
    peers.heard_from({2});
    REQUIRE(dialer.links.size() == 2);
    std::size_t dials = dialer.dials;
    loop.advance(Peers::kTryAnswered);
    peers.heard_from({2});  // A try that began when the other node was there goes on.
    CHECK(dialer.dials == dials);
    dialer.links.back()->handler->on_closed("nobody listens");
    loop.advance(Peers::kBackoffMax);
    REQUIRE(dialer.dials == dials + 2);
    peers.heard_from({2});  // A try that is young goes on, too.
    CHECK(dialer.dials == dials + 2);
    loop.advance(Peers::kTryAnswered);
    peers.heard_from({2});  // A try that may have come too early is replaced.
    CHECK(dialer.dials == dials + 4);
    loop.advance(2 * Peers::kTryAnswered);
    peers.heard_from({2});  // It is replaced only once.
    CHECK(dialer.dials == dials + 4);
    dials += 2;
    REQUIRE(dialer.links.size() == 2);
    Hello hello;
    hello.node = {2};
    dialer.links.front()->handler->on_message(hello);
    CHECK_FALSE(peers.connected({2}));
    dialer.links.back()->handler->on_message(hello);
    REQUIRE(peers.connected({2}));
    peers.heard_from({2});  // A connection stays.
    CHECK(peers.connected({2}));
    loop.advance(2 * Peers::kBackoffMax);
    CHECK(dialer.dials == dials + 2);
  }

  TEST_CASE("a node that is not admitted, refuses, or is another one, gets no message") {
    for (const int kind : {0, 1, 2}) {
      Bench bench;
      Hello hello;
      hello.node = {kind == 0 ? 3U : 2U};
      bench.other.answer = hello;
      if (kind == 1) bench.other.answer = Refused{"go away"};
      if (kind == 2) bench.admits = false;
      bench.peers.add({2}, bench.other.address());
      REQUIRE(bench.run([&] { return bench.other.connections >= 3; }));
      CHECK_FALSE(bench.peers.connected({2}));
      CHECK(bench.refusal == (kind == 1 ? "go away" : ""));
      CHECK(bench.events.counts["peer_unreachable"] == 1);  // Once, not once a try.
    }
  }
}

}  // namespace stele::net
