#include "log/state/log_state.h"

#include <doctest/doctest.h>

#include "log/format/snapshot.h"
#include "tests/log/state/log_state_bench.h"

namespace stele::log {
namespace {

using namespace log_state_bench;

}  // namespace

TEST_SUITE("log.log_state") {
  TEST_CASE("open: the id of a session is its slot") {
    Bench bench;
    CHECK(bench.open(1) == SessionId{1});
    CHECK(bench.open(2) == SessionId{2});
    CHECK(bench.state.sessions().next_sequence({1}) == Sequence{1});
    CHECK(bench.state.sessions().next_sequence({99}) == Sequence{});
  }

  // Invariant 11: LSNs are dense from 1.
  TEST_CASE("append: entries get dense LSNs in their order") {
    Bench bench;
    const SessionId a = bench.open(1);
    const SessionId b = bench.open(2);
    const auto first =
        bench.apply({append_command(a, {1}, {"a1", "a2"}), append_command(b, {1}, {"b1"})});
    REQUIRE(first.results.size() == 2);
    CHECK(first.results[0] == CommandResult{a, {1}, 2, Outcome::ok, {1}, {}});
    CHECK(first.results[1] == CommandResult{b, {1}, 1, Outcome::ok, {3}, {}});
    const auto second = bench.apply({append_command(a, {3}, {"a3"})});
    CHECK(second.results[0].lsn == Lsn{4});
    CHECK(bench.log == Log{"a1", "a2", "b1", "a3"});
    CHECK(bench.state.numbers().next_lsn == Lsn{5});
  }

  // Invariant 9: a sequence is consumed once.
  TEST_CASE("append: a duplicate is answered with the remembered LSN and appended once") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({append_command(a, {1}, {"x", "y"})});
    const auto again = bench.apply({append_command(a, {1}, {"x", "y"})});
    CHECK(again.row.count == 0);
    REQUIRE(again.results.size() == 1);
    CHECK(again.results[0] == CommandResult{a, {1}, 2, Outcome::ok, {1}, {}});
    CHECK(bench.log == Log{"x", "y"});
  }

  TEST_CASE("append: of a command that is half a duplicate only the rest is appended") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({append_command(a, {1}, {"1", "2"})});
    const auto mixed =
        bench.apply({append_command(a, {2}, {"2", "3", "4"}), append_command(a, {5}, {"5"})});
    CHECK(bench.log == Log{"1", "2", "3", "4", "5"});
    REQUIRE(mixed.results.size() == 3);
    CHECK(mixed.results[0] == CommandResult{a, {2}, 1, Outcome::ok, {2}, {}});
    CHECK(mixed.results[1] == CommandResult{a, {3}, 2, Outcome::ok, {3}, {}});
    CHECK(mixed.row.skipped == std::vector<IndexRow::Skipped>{{0, 1}});
  }

  // What Zab calls primary order: nothing is appended after a hole of the same client.
  TEST_CASE(
      "append: after a gap it is void, consumes nothing, and the client is told where to go on") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({append_command(a, {1}, {"1"})});
    const auto gap = bench.apply({append_command(a, {3}, {"3"})});
    CHECK(gap.results[0] == CommandResult{a, {3}, 1, Outcome::resend, {}, {2}});
    CHECK(gap.row.count == 0);
    bench.apply({append_command(a, {2}, {"2", "3"})});
    CHECK(bench.log == Log{"1", "2", "3"});
  }

  TEST_CASE("skip: consumes sequences without entries; whichever is applied first wins") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({skip_command(a, {1})});
    const auto late = bench.apply({append_command(a, {1}, {"late"})});
    CHECK(late.results[0].outcome == Outcome::skipped);
    bench.apply({append_command(a, {2}, {"2"})});
    const auto too_late = bench.apply({skip_command(a, {2})});
    CHECK(too_late.results[0] == CommandResult{a, {2}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.log == Log{"2"});
  }

  TEST_CASE("append: a condition that fails is remembered, and consumes") {
    Bench bench;
    const SessionId a = bench.open();
    CHECK(bench.apply({append_command(a, {1}, {"1"}, {}, {1})}).results[0].outcome == Outcome::ok);
    CHECK(bench.apply({append_command(a, {2}, {"2"}, {}, {1})}).results[0].outcome ==
          Outcome::condition_failed);
    CHECK(bench.apply({append_command(a, {2}, {"2"}, {}, {2})}).results[0].outcome ==
          Outcome::condition_failed);
    CHECK(bench.apply({append_command(a, {3}, {"3"}, {}, {2})}).results[0].lsn == Lsn{2});
    CHECK(bench.log == Log{"1", "3"});
  }

  TEST_CASE("sessions: unknown, closed and expired ones append nothing") {
    Bench bench;
    const SessionId a = bench.open(1, 100, 1000);
    CHECK(bench.apply({append_command({77}, {1}, {"x"})}).results[0].outcome ==
          Outcome::session_expired);
    CHECK(bench.apply({append_command(a, {1}, {"1"})}, 1000).results[0].outcome == Outcome::ok);
    CHECK(bench.apply({append_command(a, {2}, {"2"})}, 1001).results[0].outcome ==
          Outcome::session_expired);
    const SessionId b = bench.open(2);
    bench.apply({close_command(b, {1})});
    CHECK(bench.apply({append_command(b, {1}, {"x"})}).results[0].outcome ==
          Outcome::session_expired);
    CHECK(bench.log == Log{"1"});
    CHECK(bench.state.sessions().size() == 0);
  }

  TEST_CASE("log time: advances by what slots carry, and sweeps expired sessions") {
    Bench bench;
    bench.open(1, 100, 1'000'000);
    bench.apply({}, 61'000'000);
    CHECK(bench.state.numbers().log_time_us == 61'000'000);
    CHECK(bench.state.sessions().size() == 0);
  }

  TEST_CASE("time stamps never go back") {
    LogState state;
    REQUIRE(state.apply({1}, batch_of({}, 0, 500)));
    REQUIRE(state.apply({2}, batch_of({}, 0, 300)));
    CHECK(state.numbers().stamp_us == 500);
  }

  TEST_CASE("a batch that cannot be read, and a noop, have no effect but on the slot") {
    Bench bench;
    const SessionId a = bench.open();
    const auto before = bench.state.numbers();
    REQUIRE(bench.state.apply({2}, paxos::value("garbage")));
    REQUIRE(bench.state.apply({3}, paxos::Value{}));
    CHECK(bench.state.numbers().next_lsn == before.next_lsn);
    CHECK(bench.state.numbers().chosen_end == Slot{4});
    CHECK(bench.state.sessions().next_sequence(a) == Sequence{1});
  }

  // Else nodes of different versions would differ, and nobody would know.
  TEST_CASE("what this version does not know is not applied, and not passed over") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({append_command(a, {1}, {"1"})});
    const StateNumbers before = bench.state.numbers();
    const paxos::Value batch = batch_of({append_command(a, {2}, {"2"})});
    constexpr std::size_t kCommand = BatchHeader::kBytes;
    constexpr std::size_t kEntry = kCommand + Command::kHeaderBytes;
    const auto of_kind = [](std::uint8_t kind) {
      const auto bytes = to_slice({std::byte{1}});
      return paxos::Value(static_cast<paxos::ValueKind>(kind), {bytes},
                          net::value_digest(bytes.bytes));
    };
    const std::vector<std::pair<paxos::Value, std::string>> unknown{
        {with_bytes(batch, 0, {kLogFormat + 1, 0}), "a batch of log format 4"},
        // Those before the first release.
        {with_bytes(batch, 0, {kLogFormatFirst - 1, 0}), "a batch of log format 2"},
        {with_bytes(batch, 2, {1}), "a batch with flags"},
        {with_bytes(batch, 4, {1}), "a batch with flags"},
        {with_bytes(batch, 24, {1}), "a batch with flags"},
        {with_bytes(batch, kCommand, {99}), "a command of kind 99"},
        {with_bytes(batch, kCommand + 1, {1}), "a command with flags"},
        {with_bytes(batch, kEntry + 4, {1}), "an entry with flags"},
        {of_kind(2), "a stop-sign"},
        {of_kind(7), "a value of kind 7"},
    };
    for (const auto& [value, what] : unknown) {
      const auto applied = bench.state.apply(before.chosen_end, value);
      CAPTURE(what);
      REQUIRE_FALSE(applied.has_value());
      CHECK(applied.error().code == Errc::newer_format);
      const std::string says = "slot " + std::to_string(before.chosen_end.value) + " holds " + what;
      CHECK_MESSAGE(applied.error().detail.starts_with(says), applied.error().detail);
      CHECK(applied.error().detail.find("log formats up to 3") != std::string::npos);
      CHECK(bench.state.numbers() == before);
    }
    CHECK(bench.state.apply(before.chosen_end, batch).has_value());
  }

  TEST_CASE("a snapshot is asked for once, after the whole slot, and by leaders only") {
    Bench bench;
    const SessionId a = bench.open();
    const auto ask = [&](Slot previous) {
      Command command;
      command.kind = CommandKind::snapshot;
      command.count = 1;
      return command_with(command, body_of(SnapshotCommand{previous}));
    };
    const auto asked = bench.apply({ask({}), append_command(a, {1}, {"x"})});
    CHECK(asked.snapshot);
    CHECK(bench.state.numbers().next_lsn == Lsn{2});
    const Slot first = bench.state.numbers().chosen_end;
    CHECK(bench.state.numbers().snapshot_slot == first);
    CHECK(bench.state.numbers().snapshot_log_bytes == bench.state.numbers().log_bytes);
    // That of a leader which does not know of it.
    CHECK_FALSE(bench.apply({ask({})}).snapshot);
    CHECK(bench.state.numbers().snapshot_slot == first);
    CHECK(bench.apply({ask(first)}).snapshot);
    CHECK(bench.state.numbers().snapshot_slot > first);
    Command command;
    command.kind = CommandKind::snapshot;
    command.sequence = {1};
    command.count = 1;
    const std::vector<std::byte> body = body_of(SnapshotCommand{});
    command.body = body;
    CHECK_FALSE(bench.state.check_command(command));
  }

  TEST_CASE("check_command: what clients may not say is refused before it is proposed") {
    const LogState state;
    const auto check = [&](const Slice& command) {
      const auto checked = state.check_command(*parse_command(command.bytes));
      return checked ? Outcome::ok : Outcome::corrupt;
    };
    CHECK(check(append_command({7}, {3}, {"x"})) == Outcome::ok);
    CHECK(check(skip_command({7}, {3}, 65536)) == Outcome::ok);
    CHECK(check(close_command({7}, {3})) == Outcome::ok);
    CHECK(check(append_command({7}, {0}, {"x"})) == Outcome::corrupt);  // Sequence 0.
    CHECK(check(append_command({7}, {1}, {})) == Outcome::corrupt);     // Consumes nothing.
    CHECK(check(append_command({7}, {1ULL << 62}, {"x"})) == Outcome::corrupt);
    CHECK(check(skip_command({7}, {3}, 65537)) == Outcome::corrupt);
    Command unknown = *parse_command(skip_command({7}, {3}).bytes);
    unknown.kind = static_cast<CommandKind>(99);
    CHECK(state.check_command(unknown).error().code == Errc::newer_format);
    Command with_body = *parse_command(skip_command({7}, {3}).bytes);
    const std::byte body[1]{};
    with_body.body = body;
    CHECK(state.check_command(with_body).error().code == Errc::malformed);
    with_body.kind = CommandKind::close_session;
    CHECK(state.check_command(with_body).error().code == Errc::malformed);
  }

  // Equal for all programs of a format, so the order in which faults are found is a rule, too.
  TEST_CASE("apply: of several faults in a batch the first one counts") {
    const auto outcome = [](const std::vector<Slice>& commands) -> std::string {
      const paxos::Value empty = batch_of({});
      std::vector<Slice> parts(empty.parts().begin(), empty.parts().end());
      for (const Slice& command : commands) parts.push_back(command);
      LogState state;
      const auto applied = state.apply({1}, {paxos::ValueKind::batch, parts, 1});
      if (!applied) return applied.error().detail;
      return applied->results.empty() ? "void" : "applied";
    };
    const auto changed = [](const Slice& command, std::size_t at, std::uint8_t to) {
      const auto bytes =
          std::make_shared<std::vector<std::byte>>(command.bytes.begin(), command.bytes.end());
      (*bytes)[at] = std::byte{to};
      return Slice{bytes, *bytes};
    };
    const Slice good = append_command({1}, {1}, {"x"});
    const Slice unknown_kind = changed(good, 0, 99);
    const Slice flags_in_an_entry = changed(good, Command::kHeaderBytes + 4, 1);
    const Slice skip_with_a_body = changed(good, 0, static_cast<std::uint8_t>(CommandKind::skip));
    const Slice cut{good.owner, good.bytes.first(good.bytes.size() - 1)};
    CHECK(outcome({good}) == "applied");
    CHECK(outcome({unknown_kind, cut}).find("holds a command of kind 99") != std::string::npos);
    CHECK(outcome({cut, unknown_kind}) == "void");
    CHECK(outcome({skip_with_a_body, flags_in_an_entry}) == "void");
    CHECK(outcome({flags_in_an_entry, skip_with_a_body}).find("an entry with flags") !=
          std::string::npos);
  }

  TEST_CASE("recall: answers only what is consumed as a whole") {
    Bench bench;
    const SessionId a = bench.open();
    bench.apply({append_command(a, {1}, {"1", "2"})});
    const auto all = append_command(a, {1}, {"1", "2"});
    const auto more = append_command(a, {1}, {"1", "2", "3"});
    CHECK(bench.state.sessions().recall(*parse_command(all.bytes)).size() == 1);
    CHECK(bench.state.sessions().recall(*parse_command(more.bytes)).empty());
  }

  // Invariant 8: the hash at each slot is equal, also when the state was stored and loaded half
  // way.
  TEST_CASE(
      "apply: a state restored from its records goes on exactly as the one it was taken from") {
    std::mt19937_64 random(11);
    Bench original;
    std::vector<SessionId> sessions;
    for (std::uint64_t i = 1; i <= 5; ++i) {
      sessions.push_back(original.open(i, 8, 50'000'000 + i * 30'000'000));
    }
    std::map<std::vector<std::byte>, Row> stored;
    const auto store = [&](LogState& state) {
      for (Row& row : state.take_changed()) {
        if (row.bytes.empty()) {
          stored.erase(row.key);
        } else {
          stored[row.key] = std::move(row);
        }
      }
    };
    const auto restarted = [&](const StateNumbers& numbers) {
      std::vector<Row> rows;
      for (const auto& [key, row] : stored) rows.push_back(row);
      return LogState::load(known_sections(), numbers, rows).value();
    };
    store(original.state);
    LogState replica = restarted(original.state.numbers());
    for (int slot = 0; slot < 500; ++slot) {
      std::vector<Slice> commands;
      for (std::size_t k = 0; k < random() % 4; ++k) {
        const SessionId session = sessions[random() % sessions.size()];
        const std::uint64_t next =
            std::max<std::uint64_t>(original.state.sessions().next_sequence(session).value, 1);
        const std::uint64_t from = next > 3 ? next - random() % 3 : next + random() % 2;
        commands.push_back(random() % 5 == 0
                               ? skip_command(session, {from})
                               : append_command(session, {from}, {"x", "y"}, {from - 1}));
      }
      const paxos::Value value = batch_of(commands, random() % 2'000'000);
      const Slot at = original.state.numbers().chosen_end;
      const auto a = original.state.apply(at, value).value();
      const auto b = replica.apply(at, value).value();
      store(replica);
      CHECK(a.results == b.results);
      CHECK(a.row == b.row);
      REQUIRE(original.state.numbers() == replica.numbers());
      CHECK(replica.check().empty());
      if (slot % 50 == 49) replica = restarted(replica.numbers());
    }
  }
}

}  // namespace stele::log
