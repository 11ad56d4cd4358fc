#include "log/client/nodes.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.nodes") {
  // Sequences that nobody waits for any more are not given to others.
  TEST_CASE("another cluster: what is appended afterwards gets an answer of its own") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    link.handler->on_closed("gone");
    bench.run(milliseconds(100));
    bench.leader(8);
    for (const char* text : {"a", "b"}) {
      REQUIRE(bench.told.contains(text));
      CHECK(bench.told.at(text).error == Errc::refused);
      CHECK(bench.told.at(text).result.may_be_appended);
    }
    bench.append("c");
    bench.run(milliseconds(500));
    FakeLink& again = bench.leader();
    bench.answer(again, {kSession, {1}, 2, Outcome::ok, {40}, {}});  // Late, of "a" and "b".
    CHECK_FALSE(bench.told.contains("c"));
    bench.open(again, 6);
    const auto commands = bench.commands(again);
    CHECK(commands == std::vector<std::string>{"append 1 c"});
    bench.answer(again, {{6}, {1}, 1, Outcome::ok, {42}, {}});
    CHECK(bench.told.at("c").result.lsn == Lsn{42});
  }

  TEST_CASE("another cluster: one node of it is passed over while others serve") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.core->status(milliseconds(500), [](const auto&) {});
    bench.run(milliseconds(50));
    FakeLink* foreign = nullptr;
    for (FakeLink* each : bench.dialer.links) {
      if (each != &link) foreign = each;
    }
    REQUIRE(foreign != nullptr);
    net::Hello hello;
    hello.node = {2};
    hello.cluster_id = 8;
    bench.say(*foreign, hello);
    bench.run(milliseconds(50));
    CHECK_FALSE(bench.told.contains("a"));
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {4}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{4});
  }

  TEST_CASE("a node of another cluster is not used") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    const FakeLink* stranger = &bench.leader(1234);
    // It is left as soon as it says who it is.
    const auto& links = bench.dialer.links;
    CHECK(std::find(links.begin(), links.end(), stranger) == links.end());
  }
}

}  // namespace stele::log
