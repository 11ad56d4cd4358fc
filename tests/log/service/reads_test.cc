#include "log/service/reads.h"

#include <doctest/doctest.h>

#include "tests/log/service/service_bench.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using Bench = ServiceBench;

}  // namespace

TEST_SUITE("log.reads") {
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

  // Invariant 14: no reader passes a gap without being told, and none is told of one that is not.
  TEST_CASE("read: what is trimmed is told, with the first LSN, also in the midst of a read") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a", "b", "c", "d"});
    bench.sync();
    std::uint64_t trims = 0;
    const auto read = [&](std::uint64_t from) {
      link.sent.clear();
      bench.say(link, net::Read{5, {from}, {}, 1000, false});
      return std::get<net::ReadAnswer>(link.sent.at(0));
    };
    const auto trim = [&](std::uint64_t before) {
      bench.say(link, net::Append{trim_command(bench.session, {++trims + 4}, before)});
      bench.sync();
    };
    trim(3);
    CHECK(read(2).outcome == Outcome::trimmed);
    CHECK(read(2).first_lsn == Lsn{3});
    CHECK(payloads(read(3).entries) == std::vector<std::string>{"c", "d"});
    trim(5);  // All there is.
    CHECK(read(4).outcome == Outcome::trimmed);
    CHECK(read(5).outcome == Outcome::ok);
    CHECK(read(5).count == 0);
  }

  TEST_CASE("read: of what is kept, with the holds, from a leader") {
    Bench bench;
    FakeLink& link = bench.connect();
    bench.open(link);
    bench.append(link, 1, {"a", "b", "c", "d"});
    Command command;
    command.kind = CommandKind::set_hold;
    command.session = bench.session;
    command.sequence = {5};
    command.count = 1;
    const auto body = body_of(HoldCommand{"backup", {2}, 5'000'000});
    bench.say(link, net::Append{command_with(command, body)});
    bench.sync();
    link.sent.clear();
    bench.say(link, net::Read{6, {}, {}, 0, true, true});
    bench.sync();
    const auto& answer = std::get<net::ReadAnswer>(link.sent.at(0));
    REQUIRE(answer.retention);
    CHECK(answer.retention->holds == std::vector<Hold>{{"backup", {2}, milliseconds(5000)}});
    CHECK(answer.retention->retention == stele::Retention{});
    CHECK(answer.retention->retained_bytes == bench.replica.state().numbers().log_bytes);
    CHECK(answer.first_lsn == Lsn{1});
    CHECK(answer.lsn_end == Lsn{5});
  }
}

}  // namespace stele::log
