#include "log/service/tails.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.tails") {
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

  TEST_CASE("tail: one whose next entry is trimmed ends at once, with or without credit") {
    Bench bench;
    FakeLink& writer = bench.connect();
    FakeLink& tailer = bench.connect();
    bench.open(writer);
    bench.append(writer, 1, {std::string(300, 'a'), std::string(300, 'b'), "c"});
    bench.sync();
    bench.say(tailer, net::Tail{9, {1}, 100});
    bench.loop.advance(milliseconds(10));
    CHECK(std::get<net::TailEntries>(tailer.sent.at(1)).count == 1);  // The first one always fits.
    tailer.sent.clear();
    bench.say(writer, net::Append{trim_command(bench.session, {4}, 2)});
    bench.sync();
    CHECK(tailer.sent.empty());  // Nothing that it has not had is gone.
    bench.say(writer, net::Append{trim_command(bench.session, {5}, 3)});
    bench.sync();
    REQUIRE(tailer.sent.size() == 1);
    CHECK(std::get<net::TailEnd>(tailer.sent[0]) == net::TailEnd{9, Outcome::trimmed, {3}, {}, {}});
    tailer.sent.clear();
    bench.say(tailer, net::Tail{10, {2}, 100});
    CHECK(std::get<net::TailEnd>(tailer.sent.at(0)).first_lsn == Lsn{3});
  }
}

}  // namespace stele::log
