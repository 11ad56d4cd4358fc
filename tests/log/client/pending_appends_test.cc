#include "log/client/pending_appends.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.pending_appends") {
  // A deadline consumes the sequence, so that what follows keeps its order.
  TEST_CASE("deadline: told as unknown, and the sequence is skipped when it is sent again") {
    Bench bench;
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.run(milliseconds(400));
    CHECK(bench.told.at("a").error == Errc::timed_out);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK_FALSE(bench.told.at("a").result.detail.empty());
    bench.commands(link);
    bench.answer(link, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& next = bench.leader();
    // One only, until it is known to lead: the others may be many.
    CHECK(bench.commands(next) == Commands{"skip 1 x1"});
    bench.answer(next, {kSession, {1}, 1, Outcome::skipped, {}, {}});
    CHECK(bench.commands(next) == Commands{"append 2 b"});
    bench.answer(next, {kSession, {2}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("b").result.lsn == Lsn{1});
  }

  TEST_CASE("deadline: of what was never sent is told as definite") {
    Bench bench;
    bench.append("a", milliseconds(300));
    bench.leader();  // No session is granted.
    bench.run(milliseconds(400));
    CHECK(bench.told.at("a").error == Errc::timed_out);
    CHECK_FALSE(bench.told.at("a").result.may_be_appended);
  }

  TEST_CASE("forgotten: unknown is said as unknown") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::forgotten, {}, {}});
    bench.answer(link, {kSession, {2}, 1, Outcome::ok, {7}, {}});
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK(bench.told.at("b").result.lsn == Lsn{7});
  }

  TEST_CASE("a full table of sessions: told at once, and nothing was sent") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.leader();
    bench.append("b");
    std::uint64_t nonce = 0;
    for (const net::Message& message : link.sent) {
      if (const auto* open = std::get_if<net::OpenSession>(&message)) nonce = open->nonce;
    }
    bench.say(link, net::SessionOpened{nonce, Outcome::overloaded, {}, {}, 20});
    CHECK(bench.told.empty());  // A moment's overload is tried again.
    bench.run(milliseconds(100));
    bench.say(link, net::SessionOpened{nonce, Outcome::overloaded, {}, {}, 0});
    for (const char* text : {"a", "b"}) {
      REQUIRE(bench.told.contains(text));
      CHECK(bench.told.at(text).error == Errc::overloaded);
      CHECK_FALSE(bench.told.at(text).result.may_be_appended);
      CHECK(bench.told.at(text).result.retry_after > milliseconds(0));
      CHECK(bench.told.at(text).result.detail.find("table of sessions") != std::string::npos);
    }
    bench.append("c");  // The next one tries again.
    bench.run(milliseconds(100));
    bench.ready();
    CHECK_FALSE(bench.told.contains("c"));
  }

  TEST_CASE("no_space: definite if no attempt was proposed, also for what stood after it") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
    for (const char* text : {"a", "b"}) {
      CHECK(bench.told.at(text).result.retry_after > milliseconds(0));
      CHECK(bench.told.at(text).error == Errc::no_space);
      CHECK_FALSE(bench.told.at(text).result.may_be_appended);
    }
  }

  TEST_CASE("no_space: not told while an earlier attempt may have been proposed") {
    Bench bench;
    bench.append("a", seconds(5));
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
    CHECK(bench.told.empty());
    SUBCASE("it is in the log") {
      bench.answer(link, {kSession, {1}, 1, Outcome::ok, {4}, {}});
      CHECK(bench.told.at("a").result.lsn == Lsn{4});
    }
    SUBCASE("until its time is up, and then why it waited") {
      for (int i = 0; i < 30; ++i) {
        bench.run(milliseconds(200));
        bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
      }
      CHECK(bench.told.at("a").error == Errc::timed_out);
      CHECK(bench.told.at("a").result.may_be_appended);
      CHECK(bench.told.at("a").result.detail == "z:9: the cluster's disks are full");
    }
  }

  TEST_CASE("session_expired: what was surely not appended goes into a new session") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    CHECK(bench.told.empty());
    bench.open(link, 9);
    const Commands sent = bench.commands(link);
    CHECK(sent.back() == "append 1 a b");
    bench.answer(link, {{9}, {1}, 2, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("b").result.lsn == Lsn{2});
  }

  TEST_CASE("session_expired: what may have been appended before is told so, and not sent again") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
  }

  // The refusal speaks of what takes the append back, not of the append before that.
  TEST_CASE("session_expired: of what was to be taken back is told as unknown") {
    ClientOptions options;
    options.stop_at_failure = true;
    Bench bench(options);
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.run(milliseconds(400));
    REQUIRE_FALSE(bench.told.contains("a"));
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    REQUIRE(bench.told.contains("a"));
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
  }

  TEST_CASE("too_large: told in its own turn, and its neighbours are appended") {
    Bench bench;
    bench.append("a");
    bench.append(std::string(2000, 'x'));
    bench.append("c");
    FakeLink& link = bench.ready();
    CHECK(bench.told.at(std::string(2000, 'x')).error == Errc::too_large);
    CHECK(bench.commands(link) == Commands{"append 1 a", "skip 2 x1", "append 3 c"});
  }
}

}  // namespace stele::log
