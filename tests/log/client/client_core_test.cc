#include "log/client/client_core.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.client_core") {
  TEST_CASE("appends of one turn travel as one command, and are told their LSNs") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    CHECK(bench.commands(link) == Commands{"append 1 a"});
    bench.append("b");
    CHECK(bench.commands(link) == Commands{"append 2 b"});
    bench.answer(link, {kSession, {1}, 2, Outcome::ok, {10}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{10});
    CHECK(bench.told.at("b").result.lsn == Lsn{11});
    CHECK_FALSE(bench.told.at("b").error);
  }

  TEST_CASE("half of what is under way leaves before the rest has been told") {
    Bench bench;
    bench.append("first");
    FakeLink& link = bench.ready();
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {10}, {}});
    std::size_t told = 0;
    std::vector<std::size_t> told_when_sent;
    const std::string text(1000, 'x');
    struct Again final : AppendDone {
      explicit Again(std::function<void()> d) : done(std::move(d)) {}
      void complete(std::optional<Errc>, AppendResult) override { done(); }
      std::function<void()> done;
    };
    const auto append = [&](const std::function<void()>& then) {
      bench.core->append({std::as_bytes(std::span(text))}, seconds(60),
                         std::make_unique<Again>(then));
    };
    std::size_t sent = 0;
    for (int i = 0; i < 200; ++i) {
      append([&] {
        ++told;
        if (link.sent.size() != sent) told_when_sent.push_back(told);
        sent = link.sent.size();
        append([] {});
      });
    }
    bench.run();
    link.sent.clear();
    bench.answer(link, {kSession, {2}, 200, Outcome::ok, {11}, {}});
    CHECK(told == 200);
    REQUIRE(told_when_sent.size() == 1);
    CHECK(told_when_sent[0] > 60);
    CHECK(told_when_sent[0] < 140);
  }

  TEST_CASE("open: every try for one session has the same nonce, the next session another one") {
    Bench bench;
    const auto nonce_sent = [](FakeLink& link) {
      std::uint64_t nonce = 0;
      for (const net::Message& message : link.sent) {
        if (const auto* open = std::get_if<net::OpenSession>(&message)) nonce = open->nonce;
      }
      return nonce;
    };
    bench.append("a");
    FakeLink& first = bench.leader();
    const std::uint64_t nonce = nonce_sent(first);
    CHECK(nonce != 0);
    bench.say(first, net::SessionOpened{nonce, Outcome::not_leader, {}, {}, 0});
    bench.run(milliseconds(100));
    FakeLink& second = bench.leader();
    CHECK(nonce_sent(second) == nonce);
    bench.open(second);
    bench.answer(second, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    bench.run(milliseconds(100));
    CHECK(nonce_sent(second) != nonce);
  }

  TEST_CASE("void: everything from the missing sequence on is sent again, in order") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append("c");
    bench.commands(link);
    bench.answer(link, {kSession, {2}, 1, Outcome::resend, {}, {1}});
    bench.answer(link, {kSession, {3}, 1, Outcome::resend, {}, {1}});
    bench.run(milliseconds(30));
    CHECK(bench.commands(link) == Commands{"append 1 a b c"});
  }

  // Twice in a row the same refusal must not be taken for a stale answer.
  TEST_CASE("overloaded: sent again after the time asked for, as often as it takes") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    for (int i = 0; i < 5; ++i) {
      CHECK(bench.commands(link) == Commands{"append 1 a"});
      bench.answer(link, {kSession, {1}, 1, Outcome::overloaded, {}, {}});
      CHECK(bench.commands(link).empty());
      bench.run(milliseconds(40));
    }
    CHECK(bench.told.empty());
  }

  TEST_CASE("a lost answer: a later outcome shows it, and the earlier append is sent again") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.commands(link);
    bench.answer(link, {kSession, {2}, 1, Outcome::ok, {2}, {}});
    bench.run(milliseconds(30));
    CHECK(bench.commands(link) == Commands{"append 1 a"});
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{1});
    CHECK(bench.told.at("b").result.lsn == Lsn{2});
  }

  TEST_CASE("an answer that is known in part: the rest gets its own LSNs") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append("c");
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {10}, {}});
    bench.answer(link, {kSession, {1}, 3, Outcome::ok, {10}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{10});
    CHECK(bench.told.at("b").result.lsn == Lsn{11});
    CHECK(bench.told.at("c").result.lsn == Lsn{12});
  }

  TEST_CASE("unknown: the same sequences go to the leader that was hinted at") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.append("b");
    bench.commands(old);
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    CHECK(link.address == Address{"z", 9});
    CHECK(bench.commands(link) == Commands{"append 1 a b"});
    CHECK(bench.told.empty());
  }

  TEST_CASE("close: everything pending ends, and nothing is dialled again") {
    Bench bench;
    bench.append("a");
    bench.ready();
    bench.core->close();
    bench.run(seconds(2));
    CHECK(bench.told.at("a").error == Errc::shutting_down);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK(bench.dialer.links.empty());
    // A later operation begins anew.
    bench.append("b");
    CHECK(bench.dialer.links.size() == 1);
  }
}

}  // namespace stele::log
