#include "log/service/appends.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.appends") {
  TEST_CASE("append: answered when it is durable and applied, not before") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a", "b"});
    CHECK(Bench::results(link).empty());
    bench.sync();
    CHECK(Bench::results(link) == Results{"1x2=ok@1"});
  }

  // A command that is sent again while it is under way must not cost another slot.
  TEST_CASE("append: sent again over a new connection, it is proposed once and told there") {
    Bench bench;
    FakeLink& old = bench.connect();
    bench.open(old);
    const std::uint64_t slots = bench.slots();
    bench.append(old, 1, {"a"});
    FakeLink& link = bench.connect();
    bench.append(link, 1, {"a"});
    bench.sync();
    CHECK(bench.slots() == slots + 1);
    CHECK(Bench::results(link) == Results{"1x1=ok@1"});
    CHECK(Bench::results(old).empty());
    // Long decided: answered at once, without a slot.
    bench.append(old, 1, {"a"});
    CHECK(Bench::results(old) == Results{"1x1=ok@1"});
    CHECK(bench.slots() == slots + 1);
  }

  TEST_CASE("append: regrouped, its applied part is told at once, the rest when it is applied") {
    Bench bench;
    FakeLink& old = bench.connect();
    bench.open(old);
    bench.append(old, 1, {"a", "b"});
    bench.sync();
    bench.append(old, 3, {"c"});
    FakeLink& link = bench.connect();
    bench.append(link, 1, {"a", "b", "c"});
    CHECK(Bench::results(link) == Results{"1x2=ok@1"});
    bench.sync();
    CHECK(Bench::results(link) == Results{"3x1=ok@3"});
    CHECK(bench.entries() == 3);
  }

  TEST_CASE("append: a gap is told at once, and costs no slot") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    const std::uint64_t slots = bench.slots();
    bench.append(link, 3, {"c"});
    CHECK(Bench::results(link) == Results{"3x1=resend@1"});
    bench.append(link, 1, {"a"});
    bench.append(link, 3, {"c"});
    CHECK(Bench::results(link) == Results{"3x1=resend@2"});
    bench.sync();
    CHECK(bench.slots() == slots + 1);
  }

  // Clients that share a connection: one bad command spoils the message, not the ones before it.
  TEST_CASE("append: commands of several sessions in one message are judged one by one") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    const SessionId first = bench.session;
    bench.say(link, net::OpenSession{78, 100, 60'000});
    bench.sync();
    const SessionId second = std::get<net::SessionOpened>(link.sent.back()).session;
    link.sent.clear();
    auto all = std::make_shared<std::vector<std::byte>>();
    for (const Slice& command :
         {append_command(first, {1}, {"a"}), append_command(second, {2}, {"gap"}),
          append_command(second, {1}, {"b"}), append_command(first, {2}, {"c"})}) {
      all->insert(all->end(), command.bytes.begin(), command.bytes.end());
    }
    bench.say(link, net::Append{{all, *all}});
    CHECK(Bench::results(link) == Results{"2x1=resend@1"});
    bench.sync();
    CHECK(Bench::results(link) == Results{"1x1=ok@1", "1x1=ok@2", "2x1=ok@3"});

    all->resize(all->size() - 1);
    bench.say(link, net::Append{{all, *all}});
    CHECK(bench.links.empty());
  }

  TEST_CASE("append: an unknown session is for apply to judge") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.session = {4711};
    bench.append(link, 1, {"a"});
    CHECK(Bench::results(link).empty());
    bench.sync();
    CHECK(Bench::results(link) == Results{"1x1=session_expired"});
    CHECK(bench.service.idle());
  }

  TEST_CASE("append: over the limit, or while shutting down, is refused") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {std::string(1001, 'x')});
    CHECK(Bench::results(link) == Results{"1x1=too_large"});
    bench.append(link, 1, {"a"});
    CHECK_FALSE(bench.service.idle());
    bench.service.shut_down();
    bench.append(link, 2, {"b"});
    CHECK(Bench::results(link) == Results{"2x1=shutting_down"});
    bench.sync();
    CHECK(Bench::results(link) == Results{"1x1=ok@1"});  // What was under way is answered.
    CHECK(bench.service.idle());
  }

  TEST_CASE("open: at most so many at a time, each once") {
    Bench bench;
    FakeLink& link = bench.connect();
    for (std::uint64_t nonce = 1; nonce <= 2 * Appends::kOpeningMax; ++nonce) {
      bench.say(link, net::OpenSession{nonce, 1, 1000});
    }
    bench.say(link, net::OpenSession{1, 1, 1000});
    std::size_t overloaded = 0;
    for (const net::Message& message : link.sent) {
      overloaded += std::get<net::SessionOpened>(message).outcome == Outcome::overloaded ? 1U : 0U;
    }
    CHECK(overloaded == Appends::kOpeningMax);
  }

  TEST_CASE("open: refused at once while all sessions of a full table are in use") {
    Bench bench({.sessions = 2, .idle_us = 60'000'000});
    FakeLink& link = bench.connect();
    const auto open = [&](std::uint64_t nonce) {
      bench.say(link, net::OpenSession{nonce, 1, 3'600'000});
      bench.sync();
      return std::get<net::SessionOpened>(link.sent.back());
    };
    CHECK(open(1).outcome == Outcome::ok);
    CHECK(bench.replica.fault().empty());
    bench.session = open(2).session;
    const std::uint64_t slots = bench.slots();
    const auto refused = open(3);
    CHECK(refused.outcome == Outcome::overloaded);
    CHECK(refused.retry_ms == 0);
    CHECK(bench.slots() == slots);
    CHECK(bench.replica.fault().find("table of sessions is full (2)") != std::string::npos);
    link.sent.clear();
    bench.append(link, 1, {"a"});  // A client that has one goes on.
    bench.sync();
    CHECK(Bench::results(link) == Results{"1x1=ok@1"});
    for (int i = 0; i < 6100; ++i) {
      bench.loop.advance(milliseconds(10));
      if (i % 10 == 0) bench.sync();
    }
    bench.append(link, 2, {"b"});
    bench.sync();
    CHECK(open(4).outcome == Outcome::ok);
    CHECK(bench.replica.state().sessions().next_sequence(bench.session) == Sequence{3});
  }

  // Otherwise clients that lose patience fill the queue with sessions that nobody waits for any
  // more.
  TEST_CASE("open: asked again over a new connection, it costs one slot and is told there") {
    Bench bench;
    FakeLink& old = bench.connect();
    bench.say(old, net::OpenSession{77, 1, 1000});
    const std::uint64_t slots = bench.slots();
    FakeLink& link = bench.connect();
    bench.say(link, net::OpenSession{77, 1, 1000});
    bench.sync();
    CHECK(bench.slots() == slots + 1);
    CHECK(old.sent.empty());
    REQUIRE(link.sent.size() == 1);
    CHECK(std::get<net::SessionOpened>(link.sent[0]).outcome == Outcome::ok);
  }

  // Each asks for the outcomes of a whole window again.
  TEST_CASE("append: answers to one message end where the client does not read them") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    for (std::uint64_t i = 1; i <= 100; ++i) {
      // Every other one is not appended: nothing to be told in one.
      bench.say(link, net::Append{i % 2 == 0 ? skip_command(bench.session, {i})
                                             : append_command(bench.session, {i}, {"x"})});
    }
    bench.sync();
    link.sent.clear();
    std::vector<std::byte> again;
    for (int i = 0; i < 10'000; ++i) {
      const Slice command = skip_command(bench.session, {1}, 100);
      again.insert(again.end(), command.bytes.begin(), command.bytes.end());
    }
    link.sent_max = 5;
    const auto owner = std::make_shared<std::vector<std::byte>>(std::move(again));
    link.handler->on_message(net::Append{{owner, *owner}});
    CHECK(link.sent.size() == 5);
    for (const net::Message& message : link.sent) {
      CHECK(std::get<net::AppendResults>(message).results.size() <= 8192);
    }
    CHECK(link.handler == nullptr);
    bench.loop.run();  // It is dropped.
  }

  TEST_CASE("what was refused is not on its way any more, though its connection is gone") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a"});
    CHECK_FALSE(bench.service.idle());
    link.handler->on_closed("gone");
    bench.service.on_dropped(append_command(bench.session, {1}, {"a"}), Outcome::no_space);
    CHECK(bench.service.idle());
    bench.sync();
  }
}

}  // namespace stele::log
