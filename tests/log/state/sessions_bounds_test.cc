#include <doctest/doctest.h>

#include "tests/log/state/log_state_bench.h"

namespace stele::log {
namespace {

using namespace log_state_bench;

}  // namespace

TEST_SUITE("log.sessions.bounds") {
  TEST_CASE("a full table lets go of the longest idle session, of several of the lowest") {
    Bench bench;
    bench.state = LogState(known_sections({.sessions = 3, .idle_us = 1000}));
    const SessionId a = bench.open(1);
    const SessionId b = bench.open(2);
    const SessionId c = bench.open(3);
    const auto open = [&](std::uint64_t nonce, std::uint64_t elapsed_us) {
      return bench.apply({open_command(nonce)}, elapsed_us).opened.at(0);
    };
    CHECK(bench.state.sessions().refuses(bench.state.numbers()));
    CHECK(open(4, 999).outcome == Outcome::overloaded);
    bench.apply({append_command(a, {1}, {"a"})});  // At 999.
    CHECK(open(5, 1).outcome == Outcome::ok);      // b and c have been idle since 0.
    CHECK(bench.state.sessions().next_sequence(b) == Sequence{});
    CHECK(bench.state.sessions().next_sequence(c) == Sequence{1});
    CHECK(bench.state.sessions().size() == 3);
    CHECK(open(6, 0).outcome == Outcome::ok);
    CHECK(bench.state.sessions().next_sequence(c) == Sequence{});
    CHECK(open(7, 998).outcome == Outcome::overloaded);
    CHECK(open(8, 1).outcome == Outcome::ok);  // a, idle since 999.
    CHECK(bench.state.sessions().next_sequence(a) == Sequence{});
    // Gone as if they had expired: nothing of them gets into the log any more.
    CHECK(bench.apply({append_command(a, {2}, {"late"})}).results[0].outcome ==
          Outcome::session_expired);
    CHECK(bench.log == Log{"a"});
  }

  TEST_CASE("a full table lets go of all that have expired, first") {
    Bench bench;
    bench.state = LogState(known_sections({.sessions = 3, .idle_us = 1000}));
    const SessionId a = bench.open(1);
    bench.open(2, 100, 10);
    bench.open(3, 100, 10);
    CHECK(bench.apply({open_command(4)}, 2000).opened[0].outcome == Outcome::ok);
    CHECK(bench.state.sessions().size() == 2);
    CHECK(bench.state.sessions().next_sequence(a) == Sequence{1});
  }

  TEST_CASE("what all sessions remember is bounded, and each remembers something") {
    Bench bench;
    bench.state = LogState(known_sections({.sessions = 100, .runs_each = 2, .runs = 6}));
    const SessionId a = bench.open(1, 100);
    const SessionId b = bench.open(2, 100);
    const auto outcome_of = [&](SessionId session, std::uint64_t sequence) {
      const auto command = skip_command(session, {sequence});
      return bench.state.sessions().recall(*parse_command(command.bytes)).at(0).outcome;
    };
    // Runs of one sequence each: appends and skips in turn.
    const auto alternate = [&](SessionId session, std::uint64_t from, std::uint64_t end) {
      for (std::uint64_t at = from; at < end; ++at) {
        bench.apply(
            {at % 2 == 0 ? skip_command(session, {at}) : append_command(session, {at}, {"x"})});
      }
    };
    alternate(a, 1, 11);
    CHECK(outcome_of(a, 4) == Outcome::forgotten);
    CHECK(outcome_of(a, 5) == Outcome::ok);
    alternate(b, 1, 11);
    CHECK(outcome_of(b, 8) == Outcome::forgotten);  // A session that comes later has its own share.
    CHECK(outcome_of(b, 9) == Outcome::ok);
    CHECK(outcome_of(a, 5) == Outcome::ok);  // No session takes the share of another one.
    alternate(a, 11, 12);
    CHECK(outcome_of(a, 8) == Outcome::skipped);
    CHECK(outcome_of(a, 7) == Outcome::forgotten);
    // What is closed makes room.
    bench.apply({close_command(a, {12})});
    alternate(b, 11, 15);
    CHECK(outcome_of(b, 9) == Outcome::ok);
    // The same after a restart.
    std::vector<Row> rows;
    for (Row& row : bench.state.take_changed()) {
      if (!row.bytes.empty()) rows.push_back(std::move(row));
    }
    const Sections sections = known_sections({.sessions = 100, .runs_each = 2, .runs = 6});
    bench.state = LogState::load(sections, bench.state.numbers(), rows).value();
    alternate(b, 15, 16);
    CHECK(outcome_of(b, 9) == Outcome::forgotten);
    CHECK(outcome_of(b, 10) == Outcome::skipped);
  }
}

}  // namespace stele::log
