#include "log/service/answer_budget.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.answer_budget") {
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
}

}  // namespace stele::log
