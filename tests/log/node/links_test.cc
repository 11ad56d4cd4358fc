#include "log/node/links.h"

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <utility>

#include "net/wire/frame.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/fake_link.h"
#include "tests/support/nodes_in_process.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

net::Hello node_hello(std::uint64_t node, std::uint64_t start = 50) {
  net::Hello hello;
  hello.kind = net::Hello::Kind::peer;
  hello.node = {node};
  hello.incarnation = node * 10;
  hello.recent_starts.push_back({.id = start, .commits_found = 0});
  return hello;
}

/// Node 1 of three, among connections whose other ends are the test.
class Bench final : LinksListener {
 public:
  explicit Bench(std::size_t inbound_max = 4) {
    Links::Options options;
    options.self = {1};
    options.cluster = {{{1}, {"a", 1}}, {{2}, {"b", 1}}, {{3}, {"c", 1}}};
    options.inbound_max = inbound_max;
    links = std::make_unique<Links>(options, Surroundings{loop, dialer, events});
    links->begin(*this);
  }

  /// A connection that somebody opens; null once it is gone.
  FakeLink* come() {
    auto link = std::make_unique<FakeLink>(Address{"x", 9}, nullptr, came);
    FakeLink* const raw = link.get();
    links->on_link(std::move(link));
    loop.advance(milliseconds(1));
    return lives(raw) ? raw : nullptr;
  }
  bool lives(const FakeLink* link) const { return std::ranges::find(came, link) != came.end(); }
  void say(FakeLink& link, net::Message message) {
    link.handler->on_message(std::move(message));
    loop.advance(milliseconds(1));
  }
  /// A node's connection that has come and is listened to.
  FakeLink& node(std::uint64_t id, std::uint64_t start = 50) {
    FakeLink* link = come();
    REQUIRE(link != nullptr);
    say(*link, node_hello(id, start));
    heard();
    REQUIRE(lives(link));
    return *link;
  }
  /// What was heard is durable.
  void heard() {
    for (const auto& durable : std::exchange(durables, {})) durable();
    loop.advance(milliseconds(1));
  }

  sim::SimLoop loop{3};
  FakeDialer dialer;
  QuietEvents events;
  std::vector<FakeLink*> came;
  std::unique_ptr<Links> links;

  std::string admit_refuses;             // The reason, if it does.
  std::set<std::uint64_t> ended_starts;  // May not be listened to any more.
  std::vector<std::function<void()>> durables;
  std::vector<std::pair<NodeId, std::uint64_t>> messages;  // From whom, and which start of it.
  std::vector<std::unique_ptr<net::Link>> clients;

 private:
  [[nodiscard]] net::Hello hello() const override { return node_hello(1, 40); }
  [[nodiscard]] Result<bool> admit(const net::Hello&) override {
    if (!admit_refuses.empty()) return fail(Errc::refused, admit_refuses);
    return true;
  }
  void on_heard(NodeId, std::uint64_t, std::function<void()> durable) override {
    durables.push_back(std::move(durable));
  }
  [[nodiscard]] Result<void> check(NodeId, std::uint64_t start_id) const override {
    if (ended_starts.contains(start_id)) return fail(Errc::refused, "another start was heard");
    return {};
  }
  [[nodiscard]] std::optional<Sighting> seen(NodeId) const override { return std::nullopt; }
  void on_message(NodeId from, std::uint64_t start_id, paxos::Message&&) override {
    messages.emplace_back(from, start_id);
  }
  void on_report(NodeId, const net::Report&) override {}
  void on_told(const net::Report&) override {}
  void on_connected(NodeId) override {}
  void on_gone(NodeId) override {}
  void on_client(std::unique_ptr<net::Link> link) override { clients.push_back(std::move(link)); }
};

const net::Message kPaxosMessage = paxos::Message{{}, paxos::Fetch{}};

}  // namespace

TEST_SUITE("log.links") {
  // What a forgetful node had heard might otherwise be heard again of an older copy.
  TEST_CASE("a node is listened to once it is durable that it was heard") {
    Bench bench;
    FakeLink* link = bench.come();
    bench.say(*link, node_hello(2));
    CHECK(link->sent.empty());
    bench.heard();
    REQUIRE(link->sent.size() == 1);
    CHECK(std::get<net::Hello>(link->sent[0]).node == NodeId{1});
    bench.say(*link, kPaxosMessage);
    CHECK(bench.messages == std::vector<std::pair<NodeId, std::uint64_t>>{{{2}, 50}});
  }

  TEST_CASE("a start that may not be listened to any more: nothing that it says counts") {
    Bench bench;
    FakeLink& link = bench.node(2, 50);
    FakeLink& other = bench.node(3, 60);
    bench.ended_starts = {50};
    link.handler->on_message(kPaxosMessage);
    bench.loop.advance(milliseconds(1));
    CHECK(bench.messages.empty());
    CHECK_FALSE(bench.lives(&link));
    bench.ended_starts = {60};
    bench.links->check_all();
    bench.loop.advance(milliseconds(1));
    CHECK_FALSE(bench.lives(&other));
  }

  TEST_CASE("a start that ended while it was made durable is not listened to") {
    Bench bench;
    FakeLink* link = bench.come();
    bench.say(*link, node_hello(2, 50));
    bench.ended_starts = {50};
    bench.heard();
    CHECK_FALSE(bench.lives(link));
  }

  TEST_CASE("a connection that is gone when it is durable harms nobody") {
    Bench bench;
    FakeLink* link = bench.come();
    bench.say(*link, node_hello(2));
    link->handler->on_closed("gone");
    bench.loop.advance(milliseconds(1));
    CHECK_FALSE(bench.lives(link));
    bench.heard();
    CHECK(bench.came.empty());
  }

  TEST_CASE(
      "a client's connection goes on with the node's hello, without what only members learn") {
    Bench bench;
    FakeLink* link = bench.come();
    net::Hello hello;
    hello.kind = net::Hello::Kind::client;
    bench.say(*link, hello);
    REQUIRE(bench.clients.size() == 1);
    REQUIRE(link->sent.size() == 1);
    const auto& answer = std::get<net::Hello>(link->sent[0]);
    CHECK(answer.node == NodeId{1});
    CHECK(answer.incarnation == 0);
    CHECK(answer.recent_starts.empty());
    CHECK(bench.lives(link));
  }

  TEST_CASE("what is no hello, or of another version or cluster, is refused with the reason") {
    net::Hello version;
    version.kind = net::Hello::Kind::client;
    version.protocol_version = net::kProtocolVersion + 1;
    net::Hello cluster;
    cluster.kind = net::Hello::Kind::client;
    cluster.cluster_name = "another";
    for (const net::Message& first :
         {net::Message{net::StatusAsk{1}}, net::Message{version}, net::Message{cluster}}) {
      Bench bench;
      FakeLink* link = bench.come();
      link->handler->on_message(first);
      REQUIRE(link->sent.size() == 1);
      CHECK_FALSE(std::get<net::Refused>(link->sent[0]).reason.empty());
      bench.loop.advance(milliseconds(1));
      CHECK_FALSE(bench.lives(link));
      CHECK(bench.clients.empty());
    }
  }

  TEST_CASE("a node that is not admitted hears why") {
    Bench bench;
    bench.admit_refuses = "another cluster";
    FakeLink* link = bench.come();
    link->handler->on_message(node_hello(2));
    REQUIRE(link->sent.size() == 1);
    CHECK(std::get<net::Refused>(link->sent[0]).reason == "another cluster");
    bench.loop.advance(milliseconds(1));
    CHECK_FALSE(bench.lives(link));
  }

  TEST_CASE("who says nothing for long is let go") {
    Bench bench;
    FakeLink* link = bench.come();
    bench.loop.advance(Links::kHelloWithin);
    bench.loop.advance(milliseconds(1));
    CHECK_FALSE(bench.lives(link));
  }

  TEST_CASE("too many connections: the oldest that has said nothing makes room, nodes stay") {
    Bench bench(2);
    FakeLink& node = bench.node(2);
    FakeLink* silent = bench.come();
    FakeLink* next = bench.come();
    CHECK(bench.lives(&node));
    CHECK_FALSE(bench.lives(silent));
    REQUIRE(next != nullptr);
    bench.say(*next, node_hello(3));
    bench.heard();
    CHECK(bench.lives(next));
    CHECK(bench.come() == nullptr);  // None of them is silent.
    CHECK(bench.lives(&node));
    CHECK(bench.lives(next));
  }

  TEST_CASE("who is no member any more is dropped") {
    Bench bench;
    FakeLink& two = bench.node(2);
    FakeLink& three = bench.node(3);
    bench.links->drop_strangers({{{1}, 10}, {{2}, 20}});
    bench.loop.advance(milliseconds(1));
    CHECK(bench.lives(&two));
    CHECK_FALSE(bench.lives(&three));
  }
}

}  // namespace stele::log
