#include "log/service/service.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.client_service") {
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

  TEST_CASE("read: from the applied state, refused beyond what may wait") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a", "b", "c"});
    bench.sync();
    link.sent.clear();
    bench.say(link, net::Read{5, {2}, {}, 1000, false});
    REQUIRE(link.sent.size() == 1);
    const auto& result = std::get<net::ReadAnswer>(link.sent[0]);
    CHECK(payloads(result.entries) == std::vector<std::string>{"b", "c"});
    CHECK(result.lsn_end == Lsn{4});
    link.sent.clear();
    link.queued = 100 << 20;  // It does not read its answers: reads wait, and then are refused.
    for (std::uint64_t i = 0; i < ClientReads::kWaitingMax + 5; ++i) {
      bench.say(link, net::Read{i, {1}, {}, 1000, false});
    }
    CHECK(link.sent.size() == 5);
    link.queued = 0;
    bench.loop.advance(milliseconds(100));
    CHECK(link.sent.size() == ClientReads::kWaitingMax + 5);
  }

  TEST_CASE("tail: pushed as it is applied, within the credit") {
    Bench bench;
    FakeLink& writer = bench.connect();
    FakeLink& tailer = bench.connect();
    bench.open(writer);
    bench.say(tailer, net::Tail{9, {1}, 100});
    CHECK(std::get<net::TailEntries>(tailer.sent.at(0)).count == 0);
    tailer.sent.clear();
    for (std::uint64_t i = 1; i <= 10; ++i) {
      bench.append(writer, i, {std::string(30, 'x')});
      bench.sync();
    }
    std::uint32_t pushed = 0;
    for (const net::Message& message : tailer.sent)
      pushed += std::get<net::TailEntries>(message).count;
    CHECK(pushed == 3);  // 38 bytes each; the third uses up the credit.
    tailer.sent.clear();
    bench.say(tailer, net::TailCredit{9, 10'000});
    bench.loop.advance(milliseconds(10));
    for (const net::Message& message : tailer.sent)
      pushed += std::get<net::TailEntries>(message).count;
    CHECK(pushed == 10);
    // An idle tail hears that the node lives.
    tailer.sent.clear();
    bench.loop.advance(std::chrono::seconds(3));
    CHECK(tailer.sent.size() >= 2);
    CHECK(std::holds_alternative<net::KeepAlive>(tailer.sent[0]));
  }

  TEST_CASE("tail: one more than a connection may have ends the oldest, and says so") {
    Bench bench;
    FakeLink& tailer = bench.connect();
    for (std::uint64_t i = 1; i <= ClientTails::kTailsMax + 1; ++i) {
      bench.say(tailer, net::Tail{i, {1}, 100});
    }
    const auto ended = std::ranges::find_if(tailer.sent, [](const net::Message& message) {
      return std::holds_alternative<net::TailEnd>(message);
    });
    REQUIRE(ended != tailer.sent.end());
    CHECK(std::get<net::TailEnd>(*ended).request == 1);
    CHECK(std::get<net::TailEnd>(*ended).outcome == Outcome::overloaded);
  }

  // However many clients are slow, what is queued for them is bounded.
  TEST_CASE("read, tail: wait while too much is queued for all clients together") {
    Bench bench;
    FakeLink& slow = bench.connect();
    FakeLink& reader = bench.connect();
    FakeLink& tailer = bench.connect();
    bench.open(slow);
    bench.append(slow, 1, {"a"});
    bench.sync();
    slow.queued = 2 << 20;
    bench.loop.advance(milliseconds(100));  // Counted.
    bench.say(reader, net::Read{1, {1}, {}, 100, false});
    bench.say(tailer, net::Tail{2, {1}, 1000});
    bench.loop.advance(milliseconds(100));
    CHECK(reader.sent.empty());
    CHECK(tailer.sent.size() == 1);  // Where it begins.

    slow.queued = 0;
    bench.loop.advance(milliseconds(100));
    REQUIRE(reader.sent.size() == 1);
    CHECK(std::get<net::ReadAnswer>(reader.sent[0]).count == 1);
    REQUIRE(tailer.sent.size() == 2);
    CHECK(std::get<net::TailEntries>(tailer.sent[1]).count == 1);

    slow.queued = 2 << 20;
    bench.loop.advance(milliseconds(100));
    bench.say(reader, net::Read{3, {1}, {}, 100, false});
    CHECK(reader.sent.size() == 1);
    slow.handler->on_closed("gone");  // What was queued for it counts no more.
    bench.loop.advance(milliseconds(100));
    CHECK(reader.sent.size() == 2);
  }

  TEST_CASE("read: slow clients leave room for others, who get a little each, in turn") {
    Bench bench;
    FakeLink& slow = bench.connect();
    FakeLink& reader = bench.connect();
    bench.open(slow);
    std::vector<std::string> entries(100, std::string(1000, 'x'));
    bench.append(slow, 1, entries);
    bench.sync();
    slow.sent.clear();
    slow.queued = 900 << 10;  // Nearly what all may have.
    bench.say(slow, net::Read{1, {1}, {}, 1 << 20, false});
    CHECK(slow.sent.empty());
    bench.say(reader, net::Read{2, {1}, {}, 1 << 20, false});
    REQUIRE(reader.sent.size() == 1);
    const auto count = std::get<net::ReadAnswer>(reader.sent[0]).count;
    CHECK(count > 50);
    CHECK(count * 1000 <= AnswerBudget::kScarceBytesMax);
    reader.queued = 60'000;  // Which it has to take in before it gets more.
    bench.say(reader, net::Read{3, {1}, {}, 1 << 20, false});
    bench.loop.advance(milliseconds(10));
    CHECK(reader.sent.size() == 1);
    CHECK(slow.sent.empty());
    slow.queued = 0;
    bench.loop.advance(milliseconds(10));
    REQUIRE(slow.sent.size() == 1);
    CHECK(std::get<net::ReadAnswer>(slow.sent[0]).count == 100);
    CHECK(reader.sent.size() == 2);
  }

  TEST_CASE("read: nobody overtakes those who wait and have nothing") {
    Bench bench;
    FakeLink& slow = bench.connect();
    FakeLink& first = bench.connect();
    FakeLink& second = bench.connect();
    bench.open(slow);
    bench.append(slow, 1, {"a"});
    bench.sync();
    slow.queued = 1 << 20;
    bench.loop.advance(milliseconds(100));  // Counted.
    bench.say(first, net::Read{1, {1}, {}, 100, false});
    CHECK(first.sent.empty());
    slow.queued = 900 << 10;
    bench.say(slow, net::Read{2, {1}, {}, 100, false});  // Counted again.
    bench.say(second, net::Read{3, {1}, {}, 100, false});
    CHECK(second.sent.empty());
    bench.loop.advance(milliseconds(10));
    CHECK(first.sent.size() == 1);
    CHECK(second.sent.size() == 1);
  }

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

  TEST_CASE("read: what is done makes room at once for those who wait") {
    Bench bench;
    FakeLink& writer = bench.connect();
    bench.open(writer);
    for (std::uint64_t i = 1; i <= 8; ++i) {
      bench.append(writer, i, std::vector<std::string>(1000, std::string(1000, 'x')));
      bench.sync();
    }
    bench.loop.advance(milliseconds(100));
    // They come from the disk, of which each takes a share of what all may have.
    std::vector<FakeLink*> readers;
    for (int i = 0; i < 6; ++i) readers.push_back(&bench.connect());
    for (FakeLink* reader : readers) {
      for (std::uint64_t request = 1; request <= 3; ++request) {
        reader->handler->on_message(net::Read{request, {1}, {}, 300'000, false});
      }
    }
    for (int i = 0; i < 20; ++i) {
      bench.sync();
      bench.loop.advance(Duration{});  // No time passes.
    }
    for (FakeLink* reader : readers) CHECK(reader->sent.size() == 3);
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
