#include "log/state/retention.h"

#include <doctest/doctest.h>

#include <memory>

#include "log/state/log_state.h"
#include "tests/support/commands.h"

namespace stele::log {
namespace {

/// A state with one session, whose commands follow each other.
struct Bench {
  Bench() { apply({open_command(1)}); }

  LogState::Applied apply(const std::vector<Slice>& commands, std::uint64_t elapsed_us = 0) {
    const paxos::Value value = batch_of(commands, elapsed_us);
    return state.apply(state.numbers().chosen_end, value).value();
  }
  /// A command of the session; what it is told.
  CommandResult tell(CommandKind kind, const std::vector<std::byte>& body, std::uint64_t elapsed_us = 0) {
    return apply({command(kind, body)}, elapsed_us).results.at(0);
  }
  Slice command(CommandKind kind, const std::vector<std::byte>& body) {
    Command header;
    header.kind = kind;
    if (kind != CommandKind::retain) {
      header.session = {1};
      header.sequence = ++sequence;
    }
    header.count = 1;
    return command_with(header, body);
  }
  void append(std::uint64_t entries) {
    std::vector<std::string> payloads(entries, "x");
    apply({append_command({1}, sequence + 1, payloads)});
    sequence = sequence + entries;
  }
  CommandResult trim(std::uint64_t before, bool force = false) {
    return tell(CommandKind::trim, body_of(TrimCommand{{before}, force}));
  }
  CommandResult hold(const std::string& name, std::uint64_t lsn, std::uint64_t ttl_us = 1000) {
    return tell(CommandKind::set_hold, body_of(HoldCommand{name, {lsn}, ttl_us}));
  }
  CommandResult release(const std::string& name) {
    const auto bytes = std::as_bytes(std::span(name));
    return tell(CommandKind::release_hold, {bytes.begin(), bytes.end()});
  }
  CommandResult retain(std::uint64_t before, Slot policy_slot) {
    return tell(CommandKind::retain, body_of(RetainCommand{{before}, policy_slot}));
  }
  void set_policy(std::uint64_t bytes, std::uint64_t age_us) {
    tell(CommandKind::set_retention, body_of(RetentionPolicy{bytes, age_us}));
  }
  [[nodiscard]] std::uint64_t first() const { return state.numbers().first_lsn.value; }

  LogState state;
  Sequence sequence;
};

}  // namespace

TEST_SUITE("log.retention") {
  TEST_CASE("trim: moves the trim point, never back, never past the end") {
    Bench bench;
    CHECK(bench.trim(1).lsn == Lsn{1});  // Of nothing.
    CHECK(bench.trim(2).outcome == Outcome::out_of_range);
    bench.append(10);
    CHECK(bench.trim(5).lsn == Lsn{5});
    CHECK(bench.first() == 5);
    const CommandResult back = bench.trim(3);
    CHECK(back.outcome == Outcome::ok);
    CHECK(back.lsn == Lsn{5});
    CHECK(bench.trim(12).outcome == Outcome::out_of_range);
    CHECK(bench.first() == 5);
    CHECK(bench.trim(11).lsn == Lsn{11});  // All of it.
    bench.append(1);
    CHECK(bench.state.numbers().next_lsn == Lsn{12});
    CHECK(bench.state.check() == "");
  }

  TEST_CASE("trim: once, in the order of its session; a duplicate is told what was told") {
    Bench bench;
    bench.append(10);
    const Slice trim = bench.command(CommandKind::trim, body_of(TrimCommand{{4}}));
    bench.apply({trim});
    bench.trim(8);
    const auto again = bench.apply({trim});
    CHECK(again.results.at(0).lsn == Lsn{4});
    CHECK(bench.first() == 8);
  }

  TEST_CASE("holds: a trim stops at the lowest one, past which only force goes") {
    Bench bench;
    bench.append(10);
    CHECK(bench.hold("backup", 4).lsn == Lsn{4});
    CHECK(bench.hold("other", 7).outcome == Outcome::ok);
    CHECK(bench.trim(5).outcome == Outcome::held);
    CHECK(bench.first() == 1);
    CHECK(bench.trim(4).lsn == Lsn{4});
    CHECK(bench.trim(6, true).lsn == Lsn{6});
    // The one that was passed holds nothing any more, and is still told of.
    CHECK(bench.state.retention().holds().contains("backup"));
    CHECK(bench.state.retention().held_from({6}) == Lsn{7});
    CHECK(bench.trim(8).outcome == Outcome::held);
    CHECK(bench.release("other").outcome == Outcome::ok);
    CHECK(bench.release("other").outcome == Outcome::not_found);
    CHECK(bench.trim(8).lsn == Lsn{8});
  }

  TEST_CASE("holds: within the log only; set anew they move; so many and no more") {
    Bench bench;
    bench.append(10);
    bench.trim(3);
    CHECK(bench.hold("a", 2).outcome == Outcome::trimmed);
    CHECK(bench.hold("a", 12).outcome == Outcome::out_of_range);
    CHECK(bench.hold("a", 11).outcome == Outcome::ok);
    CHECK(bench.hold("a", 5).outcome == Outcome::ok);
    CHECK(bench.state.retention().held_from({3}) == Lsn{5});
    for (std::size_t i = 1; i < Retention::kHoldsMax; ++i) bench.hold("h" + std::to_string(i), 9);
    CHECK(bench.hold("more", 9).outcome == Outcome::too_many);
    CHECK(bench.hold("a", 9).outcome == Outcome::ok);
    CHECK(bench.state.check() == "");
  }

  TEST_CASE("holds: end by log time, before the commands of the slot that brings it") {
    Bench bench;
    bench.append(10);
    bench.hold("short", 2, 1000);
    bench.hold("long", 6, 5000);
    bench.apply({}, 999);
    CHECK(bench.state.retention().holds().size() == 2);
    const auto trimmed = bench.tell(CommandKind::trim, body_of(TrimCommand{{5}}), 1);
    CHECK(trimmed.lsn == Lsn{5});
    CHECK(bench.state.retention().holds().size() == 1);
    bench.apply({}, 10'000);
    CHECK(bench.state.retention().holds().empty());
  }

  // A leader may have known another policy, and no hold.
  TEST_CASE("retain: by the policy that is in force, back from holds, never back") {
    Bench bench;
    bench.append(10);
    CHECK(bench.retain(5, {}).outcome == Outcome::skipped);
    bench.set_policy(100, 0);
    const Slot first = bench.state.retention().policy_slot();
    bench.set_policy(0, 50);
    const Slot second = bench.state.retention().policy_slot();
    CHECK(first != second);
    CHECK(bench.retain(5, first).outcome == Outcome::skipped);
    CHECK(bench.first() == 1);
    CHECK(bench.retain(5, second).lsn == Lsn{5});
    CHECK(bench.retain(3, second).lsn == Lsn{5});
    bench.hold("h", 7);
    CHECK(bench.retain(9, second).lsn == Lsn{7});
    CHECK(bench.retain(9, second).lsn == Lsn{7});
    bench.release("h");
    CHECK(bench.retain(99, second).lsn == Lsn{11});
    bench.set_policy(0, 0);
    bench.append(3);
    CHECK(bench.retain(12, bench.state.retention().policy_slot()).outcome == Outcome::skipped);
    CHECK(bench.first() == 11);
  }

  TEST_CASE("what only a leader does is refused from clients") {
    Bench bench;
    const Slice retain = bench.command(CommandKind::retain, body_of(RetainCommand{{2}, {1}}));
    CHECK(bench.state.check_command(*parse_command(retain.bytes)).error().code == Errc::malformed);
  }

  TEST_CASE("its rows make the same again, and a state without them is the same as before") {
    Bench bench;
    const LogState empty;
    CHECK(empty.retention().fingerprint() == 0);
    bench.append(10);
    bench.set_policy(1000, 2000);
    bench.hold("a", 3);
    bench.hold("b", 4);
    std::vector<Row> rows = bench.state.take_changed();
    bench.release("a");
    for (Row& row : bench.state.take_changed()) {
      std::erase_if(rows,
                    [&](const Row& old) { return old.key == row.key && old.table == row.table; });
      if (!row.bytes.empty()) rows.push_back(std::move(row));
    }
    const auto loaded = LogState::load(known_sections(), bench.state.numbers(), rows);
    REQUIRE(loaded);
    const Retention& kept = loaded->retention();
    CHECK(kept.policy() == RetentionPolicy{1000, 2000});
    CHECK(kept.policy_slot() == bench.state.retention().policy_slot());
    CHECK(kept.holds() == bench.state.retention().holds());
    CHECK(kept.fingerprint() == bench.state.retention().fingerprint());
    CHECK(kept.fingerprint() != 0);
  }

  TEST_CASE("rows that are none are refused") {
    Retention retention;
    const auto load = [&](std::vector<std::byte> key, std::vector<std::byte> bytes) {
      return retention.load({Table::retention, std::move(key), std::move(bytes)}).error().code;
    };
    CHECK(load({}, begin_record(1)) == Errc::corrupt);
    CHECK(load({std::byte{'p'}}, begin_record(1)) == Errc::corrupt);
    CHECK(load({std::byte{'p'}}, begin_record(9)) == Errc::newer_format);
    CHECK(load({std::byte{'x'}}, begin_record(1)) == Errc::newer_format);
  }
}

TEST_SUITE("log.retention_commands") {
  TEST_CASE("bodies are read back; what is out of range or of another length is malformed") {
    CHECK(*parse_trim(body_of(TrimCommand{{7}, true})) == TrimCommand{{7}, true});
    CHECK(*parse_retain(body_of(RetainCommand{{7}, {9}})) == RetainCommand{{7}, {9}});
    CHECK(*parse_policy(body_of(RetentionPolicy{1, 2})) == RetentionPolicy{1, 2});
    CHECK(*parse_hold(body_of(HoldCommand{"n", {7}, 9})) == HoldCommand{"n", {7}, 9});
    constexpr std::uint64_t kEnd = std::uint64_t{1} << 62;
    CHECK_FALSE(parse_trim(body_of(TrimCommand{})).has_value());
    CHECK_FALSE(parse_trim(body_of(TrimCommand{{kEnd}})).has_value());
    CHECK_FALSE(parse_policy(body_of(RetentionPolicy{kEnd, 0})).has_value());
    CHECK_FALSE(parse_policy(body_of(RetentionPolicy{0, kEnd})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{"", {7}, 9})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{"a b", {7}, 9})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{std::string(65, 'n'), {7}, 9})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{"n", {}, 9})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{"n", {7}, 0})).has_value());
    CHECK_FALSE(parse_hold(body_of(HoldCommand{"n", {7}, kHoldTtlMaxUs + 1})).has_value());
    CHECK_FALSE(parse_release({}).has_value());
    std::vector<std::byte> longer = body_of(TrimCommand{{7}});
    longer.push_back({});
    CHECK_FALSE(parse_trim(longer).has_value());
    CHECK_FALSE(parse_trim(std::span(longer).first(8)).has_value());
    longer = body_of(TrimCommand{{7}});
    longer.back() = std::byte{2};
    CHECK_FALSE(parse_trim(longer).has_value());
  }
}

}  // namespace stele::log
