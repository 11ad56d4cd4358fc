#include "log/client/subscription.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.subscription") {
  TEST_CASE("tail: what does not join is not delivered, and asked for again") {
    Bench bench;
    std::vector<std::uint64_t> seen;
    std::function<void(Lsn)> next = [&](Lsn from) {
      bench.core->tail(from, [&](std::optional<Errc> error, ReadResult result) {
        if (error) return;  // The end of the test.
        for (const Entry& entry : result.entries) seen.push_back(entry.lsn.value);
        next(result.lsn_next);
      });
    };
    next({1});
    bench.run();
    FakeLink& link = bench.leader();
    const auto request = [](FakeLink& at) {
      net::Tail last;
      for (const net::Message& message : at.sent) {
        if (const auto* tail = std::get_if<net::Tail>(&message)) last = *tail;
      }
      return last;
    };
    std::vector<std::byte> two;
    put_entry(std::as_bytes(std::span("x")), two);
    put_entry(std::as_bytes(std::span("y")), two);
    bench.say(link, net::TailEntries{request(link).request, {1}, 2, {to_slice(two)}});
    CHECK(seen == std::vector<std::uint64_t>{1, 2});
    bench.say(link, net::TailEntries{request(link).request, {4}, 2, {to_slice(two)}});
    CHECK(seen.size() == 2);
    bench.run(milliseconds(200));
    FakeLink& again = bench.leader();
    bench.run(milliseconds(100));
    CHECK(request(again).lsn_begin == Lsn{3});
  }

  TEST_CASE("tail: a second one takes the place of the first one, which is told so") {
    Bench bench;
    std::vector<std::optional<Errc>> told;
    const auto tell = [&](std::optional<Errc> error, const ReadResult&) { told.push_back(error); };
    bench.core->tail({1}, tell);
    bench.core->tail({1}, tell);
    bench.core->tail({std::uint64_t{1} << 62}, tell);
    bench.run();
    CHECK(told == std::vector<std::optional<Errc>>{Errc::stopped, Errc::invalid_argument});
    bench.core->close();
    bench.run();
    CHECK(told.back() == Errc::shutting_down);
  }
}

}  // namespace stele::log
