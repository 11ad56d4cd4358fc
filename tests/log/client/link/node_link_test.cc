#include "log/client/link/node_link.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "net/wire/frame.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/fake_link.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;

struct Bench final : NodeLinkListener {
  void on_ready(NodeLink&) override { told.emplace_back("ready"); }
  void on_lost(NodeLink&, const std::string& reason) override { told.push_back("lost: " + reason); }
  void on_message(NodeLink&, net::Message&) override { told.emplace_back("message"); }
  void on_writable(NodeLink&) override { told.emplace_back("writable"); }

  static net::Hello hello() {
    net::Hello hello;
    hello.node = {2};
    hello.cluster_id = 7;
    hello.entry_bytes_max = 1'000;
    return hello;
  }
  FakeLink& other_end() {
    REQUIRE(dialer.links.size() == 1);
    return *dialer.links[0];
  }

  sim::SimLoop loop{3};
  FakeDialer dialer;
  std::vector<std::string> told;
  NodeLink link{loop, dialer, *this, {"b", 1}};
};

}  // namespace

TEST_SUITE("log.node_link") {
  TEST_CASE("down until dialled; ready after the handshake; then messages are passed on") {
    Bench bench;
    CHECK(bench.link.down());
    CHECK_FALSE(bench.link.send(net::StatusAsk{1}));
    bench.link.dial();
    CHECK(bench.link.shaking_hands());
    FakeLink& end = bench.other_end();
    REQUIRE(end.sent.size() == 1);
    CHECK(std::get<net::Hello>(end.sent[0]).kind == net::Hello::Kind::client);
    CHECK_FALSE(bench.link.send(net::StatusAsk{1}));  // Not before it is known what answers.
    end.handler->on_message(Bench::hello());
    CHECK(bench.told == std::vector<std::string>{"ready"});
    CHECK(bench.link.node() == NodeId{2});
    CHECK(bench.link.takes(1'000));
    CHECK_FALSE(bench.link.takes(1'001));
    CHECK(bench.link.send(net::StatusAsk{1}));
    end.handler->on_message(net::StatusAnswer{});
    CHECK(bench.told.back() == "message");
  }

  TEST_CASE("what is no handshake of this version ends it, with the reason") {
    net::Hello other = Bench::hello();
    other.protocol_version = net::kProtocolVersion + 1;
    for (const net::Message& first : {net::Message{other}, net::Message{net::StatusAnswer{}},
                                      net::Message{net::Refused{"no"}}}) {
      Bench bench;
      bench.link.dial();
      bench.other_end().handler->on_message(first);
      REQUIRE(bench.told.size() == 1);
      CHECK(bench.told[0].starts_with("lost: it "));
      CHECK(bench.link.down());
      CHECK(bench.dialer.links.empty());
    }
  }

  TEST_CASE("lost, it is not dialled again at once") {
    Bench bench;
    CHECK(bench.link.may_dial());
    bench.link.dial();
    CHECK_FALSE(bench.link.may_dial());
    bench.other_end().handler->on_closed("gone");
    CHECK(bench.told == std::vector<std::string>{"lost: gone"});
    CHECK_FALSE(bench.link.may_dial());
    bench.loop.advance(milliseconds(50));
    CHECK(bench.link.may_dial());
  }

  TEST_CASE("a handshake that takes too long is overdue") {
    Bench bench;
    CHECK_FALSE(bench.link.overdue(bench.loop.now(), milliseconds(100)));
    bench.link.dial();
    bench.loop.advance(milliseconds(100));
    CHECK(bench.link.overdue(bench.loop.now(), milliseconds(100)));
    CHECK_FALSE(bench.link.overdue(bench.loop.now(), milliseconds(101)));
    bench.other_end().handler->on_message(Bench::hello());
    CHECK_FALSE(bench.link.overdue(bench.loop.now(), milliseconds(100)));
  }
}

}  // namespace stele::log
