// A section that no file of the product knows: counters. The state of a feature is a file like this
// one, its numbers in log/format, and a line in the list of sections.

#include "log/state/section.h"

#include <doctest/doctest.h>

#include <map>

#include "log/state/log_state.h"
#include "log/store/offline/verify.h"
#include "paxos/base/bytes.h"
#include "tests/support/commands.h"
#include "tests/support/submit.h"

namespace stele::log {
namespace {

constexpr Table kCounters{5};
constexpr CommandKind kAdd{200};

/// Adds to a counter by its number. Adding nothing is refused.
class Counters final : public Section {
 public:
  [[nodiscard]] Result<void> check_command(const Command& command) const override {
    if (command.body.size() != 16) return fail(Errc::malformed, "not a counter and a number");
    return {};
  }
  Effect apply(const Command& command, const Applying&) override {
    ByteReader reader(command.body);
    const auto counter = reader.get<std::uint64_t>();
    const auto add = reader.get<std::uint64_t>();
    if (add == 0) return Outcome::condition_failed;
    values_[counter] += add;
    changed_[counter] = true;
    return Outcome::ok;
  }
  void take_changed(std::vector<Row>& rows) override {
    for (const auto& [counter, changed] : changed_) {
      rows.push_back({kCounters, key_of(counter), key_of(values_.at(counter))});
    }
    changed_.clear();
  }
  Result<void> load(const Row& row) override {
    if (row.bytes.size() != 8) return fail(Errc::corrupt, "a counter is cut off");
    values_[number_of(row.key)] = number_of(row.bytes);
    return {};
  }
  [[nodiscard]] std::uint64_t fingerprint() const override {
    std::uint64_t sum = 0;
    for (const auto& [counter, value] : values_) sum += counter * value;
    return sum;
  }
  [[nodiscard]] std::string check() const override {
    for (const auto& [counter, value] : values_) {
      if (value == 0) return "counter " + std::to_string(counter) + " was never added to";
    }
    return {};
  }

  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& values() const { return values_; }

 private:
  std::map<std::uint64_t, std::uint64_t> values_;
  std::map<std::uint64_t, bool> changed_;
};

Sections with_counters() {
  Sections sections = known_sections();
  sections.push_back(
      {{kCounters, "counters"}, {kAdd}, [] { return std::make_unique<Counters>(); }});
  return sections;
}

const Counters& counters(const LogState& state) {
  return dynamic_cast<const Counters&>(*state.section(kCounters));
}

Slice add_command(SessionId session, Sequence sequence, std::uint64_t counter, std::uint64_t add) {
  Command command;
  command.kind = kAdd;
  command.session = session;
  command.sequence = sequence;
  command.count = 1;
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 16, *bytes);
  ByteWriter writer(*bytes);
  writer.put(counter);
  writer.put(add);
  return {bytes, *bytes};
}

using Values = std::map<std::uint64_t, std::uint64_t>;

/// Nodes that have the section, and what clients of it would do.
struct Bench {
  void add(std::uint64_t counter, std::uint64_t add) {
    ++sequence;
    submit(nodes, kAdd, add_command(session, sequence, counter, add), session, sequence);
  }
  [[nodiscard]] Values values(NodeId node) {
    return counters(nodes.node(node).replica()->state()).values();
  }

  NodesInProcess nodes{3, with_counters()};
  SessionId session;
  Sequence sequence;
};

}  // namespace

TEST_SUITE("log.section") {
  TEST_CASE("a command of a section is applied once, and its refusal is remembered") {
    LogState state(with_counters());
    const auto apply = [&](const Slice& command) {
      return state.apply(state.numbers().chosen_end, batch_of({command})).value();
    };
    const SessionId session = apply(open_command(1)).opened.at(0).session;
    const auto outcome = [&](const Slice& command) { return apply(command).results.at(0).outcome; };
    CHECK(outcome(add_command(session, {1}, 7, 5)) == Outcome::ok);
    CHECK(outcome(add_command(session, {1}, 7, 5)) == Outcome::ok);  // The same again.
    CHECK(outcome(add_command(session, {3}, 7, 5)) == Outcome::resend);
    CHECK(outcome(add_command(session, {2}, 7, 0)) == Outcome::condition_failed);
    CHECK(outcome(add_command(session, {2}, 7, 9)) == Outcome::condition_failed);
    CHECK(outcome(add_command({99}, {1}, 7, 9)) == Outcome::session_expired);
    CHECK(counters(state).values() == Values{{7, 5}});
    CHECK(state.numbers().next_lsn == Lsn{1});
    CHECK(state.check().empty());

    // Beside appends, in one batch; each keeps its place in the session.
    const auto applied =
        state
            .apply(state.numbers().chosen_end,
                   batch_of({append_command(session, {3}, {"a"}), add_command(session, {4}, 8, 1),
                             append_command(session, {5}, {"b"})}))
            .value();
    CHECK(applied.row.count == 2);
    CHECK(applied.row.skipped.empty());
    CHECK(counters(state).values() == Values{{7, 5}, {8, 1}});
  }

  TEST_CASE("what a section does not understand is malformed; without it, unknown") {
    const LogState state(with_counters());
    const Slice good = add_command({1}, {1}, 7, 5);
    CHECK(state.check_command(*parse_command(good.bytes)));
    Command cut = *parse_command(good.bytes);
    cut.body = cut.body.first(15);
    CHECK(state.check_command(cut).error().code == Errc::malformed);
    Command several = *parse_command(good.bytes);
    several.count = 2;
    CHECK(state.check_command(several).error().code == Errc::malformed);

    LogState without;
    CHECK(without.check_command(*parse_command(good.bytes)).error().code == Errc::newer_format);
    const auto applied = without.apply({1}, batch_of({good}));
    REQUIRE_FALSE(applied);
    CHECK(applied.error().code == Errc::newer_format);
    CHECK(applied.error().detail.find("kind 200") != std::string::npos);
  }

  TEST_CASE("its rows survive a restart and catching up, and are verified") {
    Bench bench;
    bench.session = open_session(bench.nodes);
    const NodeId leader = bench.nodes.leader();
    bench.add(7, 5);
    bench.add(8, 1);
    bench.add(7, 2);
    REQUIRE(bench.nodes.settle());
    const Values before{{7, 7}, {8, 1}};
    const NodeId follower{leader.value % 3 + 1};
    CHECK(bench.values(follower) == before);

    bench.nodes.crash(follower);
    bench.add(9, 3);
    bench.nodes.start(follower);
    REQUIRE(bench.nodes.settle());  // Equal hashes: the fingerprint is in them.
    const Values after{{7, 7}, {8, 1}, {9, 3}};
    CHECK(bench.values(follower) == after);
    CHECK(bench.nodes.node(follower).replica()->state().check().empty());

    for (const NodeId node : {NodeId{1}, NodeId{2}, NodeId{3}}) bench.nodes.crash(node);
    const std::string directory = bench.nodes.directory(follower);
    const auto report = verify_directory(directory, with_counters());
    REQUIRE(report);
    CHECK(report->faults.empty());
    CHECK(report->rows == decltype(report->rows){{"sessions", 1}, {"retention", 0}, {"counters", 3}});
    // A program that does not know the section leaves the directory alone.
    CHECK(verify_directory(directory).error().code == Errc::newer_format);
    const auto opened =
        Lmdb::open(directory, {.map_bytes = kTestMapBytes, .sections = kTestTables});
    CHECK(opened.error().code == Errc::newer_format);

    bench.nodes.start(follower);
    CHECK(bench.values(follower) == after);
  }
}

}  // namespace stele::log
