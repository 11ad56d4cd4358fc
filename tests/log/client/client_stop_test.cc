// Clients for whom an append that fails is the end of the input (ClientOptions::stop_at_failure).

#include <doctest/doctest.h>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

ClientOptions stops() {
  ClientOptions options;
  options.stop_at_failure = true;
  return options;
}

}  // namespace

TEST_SUITE("log.client_core.stop") {
  TEST_CASE("a refusal: what is after it fails at once, or is taken back") {
    Bench bench(stops());
    bench.append("a");
    FakeLink& link = bench.ready();
    for (const char* text : {"b", "c"}) bench.append(text);
    REQUIRE(bench.commands(link) == Commands{"append 1 a", "append 2 b", "append 3 c"});
    // Another node may have proposed c meanwhile; b was never.
    bench.answer(link, {{5}, {1}, 1, Outcome::ok, {10}, {}});
    bench.answer(link, {{5}, {2}, 1, Outcome::no_space, {}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{10});
    CHECK(bench.told.at("b").error == Errc::no_space);
    CHECK_FALSE(bench.told.at("b").result.may_be_appended);
    CHECK(bench.told.at("c").error == Errc::no_space);
    CHECK_FALSE(bench.told.at("c").result.may_be_appended);
    bench.append("d");
    CHECK(bench.told.at("d").error == Errc::stopped);
    bench.run(milliseconds(300));
    CHECK(bench.commands(link) == Commands{"skip 2 x2"});
    bench.answer(link, {{5}, {2}, 2, Outcome::skipped, {}, {}});
    // Until its owner says so.
    bench.core->go_on();
    bench.append("e");
    CHECK(bench.commands(link) == Commands{"append 4 e"});
  }

  TEST_CASE("a deadline: what was on its way is a beginning, and which is known") {
    Bench bench(stops());
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append("c");
    bench.commands(link);
    for (int i = 0; i < 10; ++i) bench.run(milliseconds(35));
    CHECK(bench.told.empty());  // It may become known.
    CHECK(bench.commands(link) == Commands{"skip 1 x3"});
    bench.answer(link, {{5}, {1}, 1, Outcome::ok, {10}, {}});
    bench.answer(link, {{5}, {2}, 2, Outcome::skipped, {}, {}});
    CHECK_FALSE(bench.told.at("a").error);
    for (const char* text : {"b", "c"}) {
      CHECK(bench.told.at(text).error == Errc::stopped);
      CHECK_FALSE(bench.told.at(text).result.may_be_appended);
      // It has not failed, as is known now.
      CHECK(bench.told.at(text).result.detail == "an append before it was not answered in time");
    }
  }

  TEST_CASE("a deadline, and nobody answers: unknown, within a bound") {
    Bench bench(stops());
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.commands(link);
    for (int i = 0; i < 50; ++i) bench.run(milliseconds(100));
    for (const char* text : {"a", "b"}) {
      CHECK(bench.told.at(text).error == Errc::timed_out);
      CHECK(bench.told.at(text).result.may_be_appended);
    }
  }

  TEST_CASE("a condition: nothing is sent after it before it is decided") {
    Bench bench(stops());
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b", seconds(60), Lsn{20});
    bench.append("c");
    bench.append("d", seconds(60), Lsn{12});
    bench.append("e");
    CHECK(bench.commands(link) == Commands{"append 1 a", "append 2 b"});
    bench.answer(link, {{5}, {1}, 1, Outcome::ok, {19}, {}});
    bench.answer(link, {{5}, {2}, 1, Outcome::ok, {20}, {}});
    CHECK(bench.commands(link) == Commands{"append 3 c", "append 4 d"});
    bench.answer(link, {{5}, {3}, 1, Outcome::ok, {21}, {}});
    bench.answer(link, {{5}, {4}, 1, Outcome::condition_failed, {}, {}});
    CHECK(bench.told.at("d").error == Errc::condition_failed);
    CHECK(bench.told.at("e").error == Errc::stopped);
    CHECK_FALSE(bench.told.at("e").result.may_be_appended);
  }

  TEST_CASE("too large: nothing after it is sent") {
    Bench bench(stops());
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append(std::string(2000, 'x'));
    bench.append("b");
    CHECK(bench.told.at(std::string(2000, 'x')).error == Errc::too_large);
    CHECK(bench.told.at("b").error == Errc::stopped);
    CHECK_FALSE(bench.told.at("b").result.may_be_appended);
    CHECK(bench.commands(link).front() == "append 1 a");
    bench.answer(link, {{5}, {1}, 1, Outcome::ok, {10}, {}});
    CHECK_FALSE(bench.told.at("a").error);
  }

  TEST_CASE("too large, as is known only once a node has said its limit") {
    Bench bench(stops());
    bench.append("a");
    bench.append(std::string(2000, 'x'));
    bench.append("b");
    FakeLink& link = bench.ready();
    bench.answer(link, {{5}, {1}, 1, Outcome::ok, {10}, {}});
    bench.run(milliseconds(300));
    const auto sent = bench.commands(link);
    REQUIRE_FALSE(sent.empty());
    CHECK(sent.front() == "append 1 a");
    for (const std::string& command : sent) CHECK(command.find(" b") == std::string::npos);
    CHECK(bench.told.at(std::string(2000, 'x')).error == Errc::too_large);
    CHECK(bench.told.at("b").error == Errc::stopped);
    CHECK_FALSE(bench.told.at("a").error);
  }

  TEST_CASE("close: the next operation begins anew") {
    Bench bench(stops());
    bench.append("a");
    bench.ready();
    bench.core->close();
    bench.run();
    CHECK(bench.told.at("a").error == Errc::shutting_down);
    bench.append("b");
    CHECK_FALSE(bench.told.contains("b"));
  }

  TEST_CASE("an earlier one that fails later takes back what is after it, too") {
    Bench bench(stops());
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append(std::string(2000, 'x'));
    CHECK(bench.commands(link) == Commands{"append 1 a", "append 2 b"});
    for (int i = 0; i < 10; ++i) bench.run(milliseconds(35));
    CHECK(bench.commands(link) == Commands{"skip 1 x2"});
    bench.answer(link, {{5}, {1}, 2, Outcome::skipped, {}, {}});
    for (const char* text : {"a", "b"}) CHECK_FALSE(bench.told.at(text).result.may_be_appended);
  }

  TEST_CASE("an expired session answers what takes back: the attempt before may have got there") {
    Bench bench(stops());
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    for (int i = 0; i < 10; ++i) bench.run(milliseconds(35));
    bench.commands(link);
    bench.answer(link, {{5}, {1}, 2, Outcome::session_expired, {}, {}});
    for (const char* text : {"a", "b"}) CHECK(bench.told.at(text).result.may_be_appended);
  }

  TEST_CASE("without a session: what is after one that has failed does not take its place") {
    Bench bench(stops());
    bench.append("a", milliseconds(100));
    bench.append("b", milliseconds(200));
    bench.append("c");
    for (int i = 0; i < 20; ++i) bench.run(milliseconds(20));
    CHECK(bench.told.at("a").error == Errc::unreachable);
    for (const char* text : {"b", "c"}) CHECK(bench.told.at(text).error == Errc::stopped);
    bench.core->go_on();
    bench.append("d", milliseconds(100));
    bench.append("e", milliseconds(50));
    bench.append("f");
    for (int i = 0; i < 20; ++i) bench.run(milliseconds(20));
    for (const char* text : {"d", "e"}) CHECK(bench.told.at(text).error == Errc::unreachable);
    CHECK(bench.told.at("f").error == Errc::stopped);
  }

  TEST_CASE("an expired session: nothing goes into a new one") {
    Bench bench(stops());
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.commands(link);
    // Sent again, after the first attempt's fate is unknown.
    bench.answer(link, {{5}, {1}, 0, Outcome::unknown, {}, {}});
    FakeLink& next = bench.leader();
    bench.run(milliseconds(100));
    bench.commands(next);
    bench.answer(next, {{5}, {1}, 2, Outcome::session_expired, {}, {}});
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK(bench.told.at("b").error == Errc::session_expired);
    bench.run(seconds(1));
    CHECK(bench.commands(next).empty());
  }
}

}  // namespace stele::log
