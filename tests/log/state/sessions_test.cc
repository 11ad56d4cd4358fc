#include "log/state/sessions.h"

#include <doctest/doctest.h>

#include "tests/support/commands.h"

namespace stele::log {
namespace {

/// A table with one session, that of slot 1.
struct Bench {
  Bench() { CHECK(apply(open_command(7), 1) == Outcome::ok); }

  Outcome apply(const Slice& command, std::uint64_t slot) {
    return sessions.apply(*parse_command(command.bytes), {.slot = {slot}}).outcome;
  }
  /// Admits a command, and settles it as appended at that LSN.
  Sessions::Admission append(Sequence sequence, std::uint32_t count, Lsn lsn) {
    Command command;
    command.session = {1};
    command.sequence = sequence;
    command.count = count;
    const auto admission = sessions.admit(command, {.slot = {2}}, results);
    if (admission.outcome == Outcome::ok) {
      sessions.settle(admission, command, {Outcome::ok, lsn});
    }
    return admission;
  }
  Row stored() {
    std::vector<Row> rows;
    sessions.take_changed(rows);
    REQUIRE(rows.size() == 1);
    return rows[0];
  }

  Sessions sessions;
  std::vector<CommandResult> results;
};

}  // namespace

TEST_SUITE("log.sessions") {
  TEST_CASE("admit: what is fresh, what was consumed before, and what is void") {
    Bench bench;
    auto admitted = bench.append({1}, 3, {10});
    CHECK(admitted.next == Sequence{1});
    CHECK(admitted.fresh == 3);
    CHECK(bench.results.empty());
    admitted = bench.append({2}, 4, {13});  // Two of them again.
    CHECK(admitted.next == Sequence{4});
    CHECK(admitted.fresh == 2);
    CHECK(bench.results == std::vector<CommandResult>{{{1}, {2}, 2, Outcome::ok, {11}, {}}});
    admitted = bench.append({9}, 1, {15});
    CHECK(admitted.outcome == Outcome::resend);
    CHECK(admitted.next == Sequence{6});
    CHECK(bench.sessions.check() == "");
  }

  TEST_CASE("rows: a session is stored under its id, and gone once it is closed") {
    Bench bench;
    bench.append({1}, 3, {10});
    const Row row = bench.stored();
    CHECK(row.table == Table::sessions);
    CHECK(number_of(row.key) == 1);
    Sessions loaded;
    REQUIRE(loaded.load(row));
    CHECK(loaded.next_sequence({1}) == Sequence{4});
    CHECK(loaded.fingerprint() == 1);
    CHECK(loaded.check() == "");
    CHECK(bench.apply(close_command({1}, {4}), 3) == Outcome::ok);
    CHECK(bench.stored().bytes.empty());
    CHECK(bench.apply(close_command({1}, {4}), 4) == Outcome::session_expired);
  }

  TEST_CASE("load: what is no session is corrupt") {
    Bench bench;
    Row row = bench.stored();
    row.bytes.pop_back();
    CHECK(Sessions().load(row).error().code == Errc::corrupt);
    row.key.pop_back();
    CHECK(Sessions().load(row).error().code == Errc::corrupt);
  }

  // A mistake in the counts would show in `stele verify`, and at once in the simulation.
  TEST_CASE("check: says what does not hold") {
    Bench bench;
    bench.append({1}, 3, {10});
    Row row = bench.stored();
    // The record: version, window, runs, ttl, active at, last, and one run: first, count, outcome,
    // LSN.
    const std::size_t last = kVersionBytes + 24;
    const std::size_t run = kVersionBytes + 32;
    REQUIRE(row.bytes.size() == run + 24);
    const auto check = [&](std::size_t at, std::uint8_t value) {
      Row changed = row;
      changed.bytes[at] = std::byte{value};
      Sessions sessions;
      REQUIRE(sessions.load(changed));
      return sessions.check();
    };
    CHECK(check(run + 16, 10) == "");
    CHECK(check(run, 2) == "session 1: its runs do not end at its last sequence");
    CHECK(check(run + 8, 0) == "session 1: a run is empty");
    CHECK(check(run + 12, 5) == "session 1: a refusal has an LSN");
    CHECK(check(last, 9) == "session 1: its runs do not end at its last sequence");
  }
}

}  // namespace stele::log
