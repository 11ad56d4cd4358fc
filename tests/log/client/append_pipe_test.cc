// What a client sends again over a line that is slow.

#include <doctest/doctest.h>

#include "tests/log/client/client_bench.h"

namespace stele::log::client_bench {
namespace {

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

/// Three appends were sent, and are sent again, since the first is missed; what is sent waits for
/// the line.
struct Missed {
  Missed() {
    bench.append("a");
    link = &bench.ready();
    bench.append("b");
    bench.append("c");
    bench.commands(*link);
    link->queued = 0;
    link->queued_each = 20'000;
    miss();
    bench.run(milliseconds(50));
    REQUIRE(bench.commands(*link) == Commands{"append 1 a b c"});
  }
  /// What comes after it says that it is missed.
  void miss() { bench.answer(*link, {kSession, {2}, 1, Outcome::resend, {}, {1}}); }

  Bench bench;
  FakeLink* link = nullptr;
};

}  // namespace

TEST_SUITE("log.append_pipe") {
  TEST_CASE("resend: what is on its way over a slow line is not sent once more, however long") {
    Missed missed;
    for (int i = 0; i < 30; ++i) {
      missed.miss();
      missed.bench.run(milliseconds(100));
      missed.link->left += 10;
    }
    CHECK(missed.bench.commands(*missed.link).empty());
    missed.link->left = missed.link->queued;  // It must have come, and is missed all the same.
    missed.miss();
    missed.bench.run(milliseconds(100));
    CHECK(missed.bench.commands(*missed.link) == Commands{"append 1 a b c"});
  }

  TEST_CASE("resend: what does not get on is sent once more") {
    Missed missed;
    missed.miss();
    missed.bench.run(milliseconds(300));
    CHECK(missed.bench.commands(*missed.link).empty());
    missed.bench.run(milliseconds(400));
    CHECK(missed.bench.commands(*missed.link) == Commands{"append 1 a b c"});
  }

  TEST_CASE("resend: what has come meanwhile is not sent once more, nor what follows it") {
    Missed missed;
    missed.miss();
    missed.bench.answer(*missed.link, {kSession, {1}, 3, Outcome::ok, {1}, {}});
    missed.bench.append("d");
    CHECK(missed.bench.commands(*missed.link) == Commands{"append 4 d"});
    missed.bench.run(milliseconds(300));
    missed.bench.answer(*missed.link, {kSession, {4}, 1, Outcome::ok, {4}, {}});
    missed.bench.append("e");
    CHECK(missed.bench.commands(*missed.link) == Commands{"append 5 e"});
    missed.bench.run(milliseconds(400));
    CHECK(missed.bench.commands(*missed.link).empty());
  }

  TEST_CASE("results: without a session nothing counts, whatever a node says") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.leader();
    bench.answer(link, {{}, {1}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.told.empty());
    bench.open(link);
    CHECK(bench.commands(link) == Commands{"append 1 a"});
  }

  TEST_CASE("open: what another node grants late says nothing of whether the target leads") {
    Bench bench;
    for (int i = 0; i < 100; ++i) bench.append(std::to_string(i) + std::string(990, 'x'));
    FakeLink& first = bench.leader();
    net::OpenSession asked;
    for (const net::Message& message : first.sent) {
      if (const auto* open = std::get_if<net::OpenSession>(&message)) asked = *open;
    }
    bench.say(first, net::SessionOpened{asked.nonce, Outcome::not_leader, {}, "z:9", 0});
    bench.run(milliseconds(100));
    FakeLink& second = bench.leader();
    REQUIRE(&second != &first);
    net::StatusAnswer leads;
    leads.report.role = "leader";
    bench.say(second, leads);
    bench.say(first, net::SessionOpened{asked.nonce, Outcome::ok, kSession, {}, 0});
    bench.run(milliseconds(100));
    CHECK(bench.commands(second).size() == 1);
    bench.answer(second, {kSession, {1}, 1, Outcome::ok, {1}, {}});  // It does.
    CHECK(bench.commands(second).size() > 0);
  }

  TEST_CASE("append: at an LSN that cannot be is refused, and nothing is sent") {
    Bench bench;
    bench.append("a", seconds(60), {std::uint64_t{1} << 62});
    REQUIRE(bench.told.contains("a"));
    CHECK(bench.told.at("a").error == Errc::invalid_argument);
    CHECK_FALSE(bench.told.at("a").result.may_be_appended);
  }
}

}  // namespace stele::log::client_bench
