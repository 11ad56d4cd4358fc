#include "log/client/pending_reads.h"

#include <doctest/doctest.h>

#include <utility>

#include "log/format/batch.h"
#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

/// What the caller of a read is told.
struct Answered {
  std::optional<Errc> error;
  ReadResult result;
  int times = 0;
};

/// The read that was sent last over that connection, or one of no request.
net::Read asked(FakeLink& link) {
  net::Read last;
  for (const net::Message& message : link.sent) {
    if (const auto* read = std::get_if<net::Read>(&message)) last = *read;
  }
  return last;
}

struct Reads : Bench {
  ~Reads() { core.reset(); }  // It tells to its end.
  Answered& read(ReadOptions options = {}) {
    core->read(options, [this](std::optional<Errc> error, ReadResult result) {
      answered = {error, std::move(result), answered.times + 1};
    });
    run();
    return answered;
  }
  /// Answers the last read that was asked over that connection.
  void answer_read(FakeLink& link, net::ReadAnswer result) {
    result.request = asked(link).request;
    say(link, std::move(result));
  }

  Answered answered;
};

/// A frame's part with these entries.
Slice entries(std::initializer_list<const char*> texts) {
  auto bytes = std::make_shared<std::vector<std::byte>>();
  for (const char* text : texts)
    put_entry(std::as_bytes(std::span(std::string_view(text))), *bytes);
  const std::span<const std::byte> view(*bytes);
  return {std::move(bytes), view};
}

}  // namespace

TEST_SUITE("log.pending_reads") {
  TEST_CASE("read: the leader's entries, with where to go on and where the log ends") {
    Reads bench;
    ReadOptions options;
    options.lsn_begin = {3};
    options.lsn_end = {9};
    bench.read(options);
    FakeLink& link = bench.leader();
    CHECK(asked(link).lsn_begin == Lsn{3});
    CHECK(asked(link).lsn_end == Lsn{9});
    bench.answer_read(link, {0, Outcome::ok, {3}, 2, {12}, {1}, {}, {}, 0, {entries({"c", "d"})}});
    REQUIRE(bench.answered.times == 1);
    CHECK_FALSE(bench.answered.error);
    REQUIRE(bench.answered.result.entries.size() == 2);
    CHECK(bench.answered.result.entries[1].lsn == Lsn{4});
    CHECK(bench.answered.result.lsn_next == Lsn{5});
    CHECK(bench.answered.result.lsn_end == Lsn{12});
    bench.answer_read(link, {0, Outcome::ok, {3}, 0, {12}, {1}, {}, {}, 0, {}});  // Once more.
    CHECK(bench.answered.times == 1);
  }

  TEST_CASE("read: entries that are not what was said end the connection, and it is asked again") {
    for (const std::uint32_t count : {1U, 3U}) {
      Reads bench;
      bench.read();
      FakeLink& link = bench.leader();
      bench.answer_read(link,
                        {0, Outcome::ok, {1}, count, {9}, {1}, {}, {}, 0, {entries({"a", "b"})}});
      CHECK(bench.answered.times == 0);
      bench.run(milliseconds(200));
      FakeLink& again = bench.leader();
      bench.run(milliseconds(50));
      bench.answer_read(again,
                        {0, Outcome::ok, {1}, 2, {9}, {1}, {}, {}, 0, {entries({"a", "b"})}});
      CHECK(bench.answered.times == 1);
      CHECK(bench.answered.result.entries.size() == 2);
    }
  }

  TEST_CASE("read: trimmed says from where there is something") {
    Reads bench;
    bench.read();
    bench.answer_read(bench.leader(), {0, Outcome::trimmed, {}, 0, {90}, {40}, {}, {}, 0, {}});
    CHECK(bench.answered.error == Errc::trimmed);
    CHECK(bench.answered.result.first_lsn == Lsn{40});
    CHECK(bench.answered.result.detail == "entries below 40 are trimmed");
  }

  TEST_CASE("read: a lost connection is no answer; the next node is asked the same") {
    Reads bench;
    ReadOptions options;
    options.lsn_begin = {7};
    bench.read(options);
    FakeLink& link = bench.leader();
    const std::uint64_t request = asked(link).request;
    link.handler->on_closed("gone");
    bench.run(milliseconds(200));
    FakeLink& next = bench.leader();
    bench.run(milliseconds(50));
    CHECK(asked(next).request == request);
    CHECK(asked(next).lsn_begin == Lsn{7});
    CHECK(bench.answered.times == 0);
  }

  TEST_CASE("read: of LSNs that cannot be, and without an address, says why") {
    Reads bench;
    ReadOptions options;
    options.lsn_begin = {UINT64_MAX};
    bench.read(options);
    CHECK(bench.answered.error == Errc::invalid_argument);
    CHECK_FALSE(bench.answered.result.detail.empty());
    Reads silent;
    options = {};
    options.timeout = milliseconds(100);
    silent.read(options);
    silent.run(milliseconds(200));
    CHECK(silent.answered.error == Errc::unreachable);
    CHECK_FALSE(silent.answered.result.detail.empty());
  }

  TEST_CASE("read: for ever is long, and less than nothing is at once") {
    Reads bench;
    ReadOptions options;
    options.timeout = milliseconds::max();
    bench.read(options);
    bench.run(seconds(1000));
    CHECK(bench.answered.times == 0);
    Reads late;
    options.timeout = milliseconds::min();
    late.read(options);
    late.run(milliseconds(100));
    CHECK(late.answered.error == Errc::unreachable);
  }

  TEST_CASE("read of one node: of one that the cluster does not have, that is said") {
    Reads bench;
    bench.append("a");
    FakeLink& link = bench.leader();
    ReadOptions options;
    options.node = {9};
    options.timeout = seconds(60);
    bench.read(options);
    CHECK(bench.answered.times == 0);  // Nobody has said yet which there are.
    net::StatusAnswer status;
    status.report.members = {{{1}, "a:1"}, {{2}, "b:1"}};
    bench.say(link, status);
    bench.run(milliseconds(100));
    CHECK(bench.answered.error == Errc::unreachable);
    CHECK(bench.answered.result.detail == "the cluster has no node 9");
  }

  TEST_CASE("read of one node: why it does not answer") {
    Bench bench;
    std::optional<Errc> error;
    std::string detail;
    ReadOptions options;
    options.lsn_begin = {1};
    options.node = {1};
    options.timeout = seconds(1);
    bench.core->read(options, [&](std::optional<Errc> e, ReadResult result) {
      error = e;
      detail = result.detail;
    });
    bench.run();
    for (int i = 0; i < 200 && !error; ++i) {
      FakeLink& link = bench.leader();
      for (const net::Message& message : std::exchange(link.sent, {})) {
        const auto* read = std::get_if<net::Read>(&message);
        if (read == nullptr) continue;
        net::ReadAnswer result;
        result.request = read->request;
        result.outcome = Outcome::not_leader;
        result.detail = "gone_back: it has forgotten";
        bench.say(link, result);
      }
      bench.run(milliseconds(10));
    }
    REQUIRE(error);
    CHECK(*error == Errc::timed_out);
    CHECK(detail.ends_with(": gone_back: it has forgotten"));
  }

  TEST_CASE(
      "read: a large answer that is coming is waited for; after one that was not, less is asked") {
    Bench bench;
    bench.core->read({}, [](std::optional<Errc>, const ReadResult&) {});
    FakeLink& link = bench.leader();
    const Address slow = link.address;
    CHECK(asked(link).bytes_max == 1 << 20);
    for (int i = 0; i < 50; ++i) {
      link.receiving += 1000;
      bench.run(milliseconds(40));
    }
    REQUIRE(bench.dialer.links.back()->address == slow);
    bench.run(milliseconds(700));  // Nothing more comes.
    FakeLink& other = bench.leader();
    CHECK_FALSE(other.address == slow);
    bench.run(milliseconds(200));
    CHECK(asked(other).bytes_max == 1 << 18);
  }
}

}  // namespace stele::log
