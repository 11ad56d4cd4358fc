#include "log/service/service.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.client_service") {
  TEST_CASE("on_stopped: what was on its way then is not waited for afterwards") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    const std::uint64_t before = bench.slots();
    bench.append(link, 1, {"a"});
    bench.append(link, 1, {"a"});  // On its way: not taken twice.
    bench.service.on_stopped();
    bench.append(link, 1, {"a"});
    bench.sync();
    CHECK(bench.slots() == before + 2);
    CHECK(bench.entries() == 1);
  }

  TEST_CASE("a client that does not read its answers is closed, and told why") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a"});
    link.full = true;
    bench.sync();
    CHECK(bench.links.empty());
    CHECK(bench.events.counts["client_refused"] == 1);
  }

  TEST_CASE("birth: who came before it comes again, and hears of which cluster this is") {
    Bench bench;
    FakeLink& early = bench.connect();
    bench.service.on_born();
    bench.loop.run();
    CHECK(std::ranges::find(bench.links, &early) == bench.links.end());
    CHECK(bench.results(bench.connect()).empty());
  }

  TEST_CASE("what a client may not say ends its connection, not the node") {
    for (const net::Message& message :
         {net::Message(net::Hello{}), net::Message(net::AppendResults{}),
          net::Message(net::Append{open_command(1)}), net::Message(net::Append{to_slice({})})}) {
      Bench bench;
      FakeLink& link = bench.connect();
      bench.say(link, message);
      CHECK(bench.links.empty());
    }
  }

  // An operator wants to know why others are refused.
  TEST_CASE(
      "as many clients as it takes: others may ask for the status, for a while, and nothing else") {
    Bench bench({}, 2);
    bench.connect();
    bench.connect();
    FakeLink& asks = bench.connect();
    bench.say(asks, net::StatusAsk{.request = 7});
    REQUIRE(std::holds_alternative<net::StatusAnswer>(asks.sent.back()));
    CHECK(std::get<net::StatusAnswer>(asks.sent.back()).request == 7);
    const auto lives = [&](FakeLink* link) {
      return std::ranges::find(bench.links, link) != bench.links.end();
    };
    FakeLink* const opens = &bench.connect();
    bench.say(*opens, net::OpenSession{77, 100, 60'000});
    CHECK_FALSE(lives(opens));
    // Room for no more than a few of them, and not for ever.
    for (int i = 0; i < 20; ++i) bench.connect();
    CHECK(bench.links.size() == 2 + 8);
    bench.loop.advance(std::chrono::seconds(6));
    CHECK(bench.links.size() == 2);
    FakeLink& later = bench.connect();
    bench.say(later, net::StatusAsk{.request = 8});
    CHECK(std::holds_alternative<net::StatusAnswer>(later.sent.back()));
    CHECK(bench.events.counts["client_refused"] == 0);
    CHECK(bench.events.counts["clients_full"] == 1);
  }
}

}  // namespace stele::log
