#include "log/node/lineage.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/support/nodes.h"

namespace stele::log {
namespace {

using paxos::kN1;
using paxos::kN2;
using paxos::kN3;

/// A directory: what is kept, and the number of its last commit. Copied like one.
struct Directory {
  NodeId node;
  History history;
  std::uint64_t commits = 0;

  /// The process that is started over it; `id` is its random number.
  Lineage start(std::uint64_t id) {
    Lineage lineage(node, history, id, commits);
    history = lineage.history();
    ++commits;
    return lineage;
  }
};

net::Hello hello_of(NodeId node, const Lineage& lineage) {
  net::Hello hello;
  hello.node = node;
  hello.starts = lineage.history().starts;
  hello.recent_starts = lineage.history().recent;
  return hello;
}

bool mentions(const Result<bool>& refused, const char* word) {
  return !refused && refused.error().detail.find(word) != std::string::npos;
}

/// Node 1 hears what node 3 says of itself at its starts.
struct Bench {
  Directory directory{kN3, {}, 0};
  Lineage one{kN1, {}, 11, 0};

  Result<bool> hear(Directory& from, std::uint64_t id) {
    const Lineage process = from.start(id);
    auto admitted = one.admit(hello_of(kN3, process));
    if (admitted) one.on_kept(kN3, id);
    return admitted;
  }
  /// Votes are told as durable.
  void vote(Directory& by, std::uint64_t count) {
    by.commits += count;
    one.told(kN3, by.history.recent[0].id, by.commits);
  }
};

}  // namespace

TEST_SUITE("log.lineage") {
  TEST_CASE("a directory that is started again and again is admitted, whatever was told of it") {
    Bench bench;
    for (std::uint64_t id = 100; id < 140; ++id) {
      const auto admitted = bench.hear(bench.directory, id);
      REQUIRE(admitted.has_value());
      CHECK(*admitted);  // A new start must be kept.
      bench.vote(bench.directory, 5);
    }
    // The same process comes again over another connection.
    const Lineage again(kN3, {39, {{138, 0}}, {}, {}, {}, false}, 139, 190);
    const auto admitted = bench.one.admit(hello_of(kN3, again));
    REQUIRE(admitted.has_value());
    CHECK_FALSE(*admitted);
  }

  TEST_CASE("starts that nobody has heard of are nothing wrong, however many") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    bench.vote(bench.directory, 5);
    {
      // Node 1 says that it has kept that start; node 2 has kept none so far.
      Lineage process(kN3, bench.directory.history, 101, bench.directory.commits);
      CHECK_FALSE(process.merge(kN1, bench.one.sightings(1)));
      bench.directory.history = process.history();
    }
    for (std::uint64_t id = 102; id < 900; ++id) static_cast<void>(bench.directory.start(id));
    CHECK(bench.directory.history.recent.size() == kRecentStartsMax);
    CHECK(bench.hear(bench.directory, 900).has_value());
  }

  TEST_CASE("a copy does not come in by being started again and again, whatever it writes") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    // It knows only that an earlier start was kept.
    bench.directory.history.kept_by = {{kN1, 99}};
    Directory copy = bench.directory;
    bench.vote(bench.directory, 20);
    for (std::uint64_t id = 101; id < 900; ++id) {
      REQUIRE_FALSE(bench.hear(copy, id).has_value());
      copy.commits += 7;
    }
  }

  TEST_CASE("until it is durable that a start was heard, nothing of it counts") {
    Bench bench;
    const Lineage process = bench.directory.start(100);
    for (int i = 0; i < 2; ++i) {
      const auto admitted = bench.one.admit(hello_of(kN3, process));
      REQUIRE(admitted.has_value());
      CHECK(*admitted);
      CHECK(bench.one.sightings(1).size() == 1);  // Nor is it told to others.
    }
    bench.one.on_kept(kN3, 99);
    CHECK(*bench.one.admit(hello_of(kN3, process)));
    bench.one.on_kept(kN3, 100);
    CHECK_FALSE(*bench.one.admit(hello_of(kN3, process)));
    CHECK(bench.one.sightings(1).size() == 2);
  }

  TEST_CASE("an older copy, taken before the start that was heard of, is refused") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    Directory copy = bench.directory;  // Taken while it was stopped.
    REQUIRE(bench.hear(bench.directory, 101));
    bench.vote(bench.directory, 5);
    CHECK(mentions(bench.hear(copy, 102), "gone back"));
    // It stays refused, however often it is started, and whatever it writes meanwhile.
    copy.commits += 1000;
    for (std::uint64_t id = 103; id < 160; ++id) CHECK(mentions(bench.hear(copy, id), "gone back"));
    // The newest one may come back.
    CHECK(bench.hear(bench.directory, 160).has_value());
  }

  TEST_CASE("a copy that lacks more than one start is refused") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    Directory copy = bench.directory;
    REQUIRE(bench.hear(bench.directory, 101));
    REQUIRE(bench.hear(bench.directory, 102));
    CHECK(mentions(bench.hear(copy, 103), "gone back"));
  }

  TEST_CASE("a copy taken while it ran is refused if a vote was told since, and only then") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    bench.vote(bench.directory, 5);
    Directory same = bench.directory;
    Bench other = bench;
    CHECK(other.hear(same, 101).has_value());  // Nothing was told that it lacks.

    // The node knows which start of it node 1 has kept.
    Lineage process(kN3, {}, 100, 0);
    CHECK_FALSE(process.merge(kN1, bench.one.sightings(1)));
    bench.directory.history.kept_by = process.history().kept_by;
    Directory copy = bench.directory;
    bench.vote(bench.directory, 1);
    for (std::uint64_t id = 101; id < 160; ++id) {
      CHECK(mentions(bench.hear(copy, id), "commits"));
      copy.commits += 1000;
    }
    CHECK(bench.hear(bench.directory, 160).has_value());
  }

  TEST_CASE("a copy taken after the last stop may come back") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    bench.vote(bench.directory, 5);
    Directory copy = bench.directory;
    CHECK(bench.hear(copy, 101).has_value());
  }

  TEST_CASE("what others have heard counts as if it had been heard here") {
    Bench bench;
    Lineage two(kN2, {}, 22, 0);
    REQUIRE(bench.hear(bench.directory, 100));
    Directory copy = bench.directory;
    bench.vote(bench.directory, 5);
    two.merge(kN1, bench.one.sightings(1));
    CHECK(mentions(two.admit(hello_of(kN3, copy.start(101))), "commits"));
  }

  TEST_CASE("two directories that have both been heard as one node: neither counts any more") {
    Bench bench;
    Lineage two(kN2, {}, 22, 0);
    REQUIRE(bench.hear(bench.directory, 100));
    REQUIRE(two.admit(hello_of(kN3, Lineage(kN3, {}, 100, 0))));
    two.on_kept(kN3, 100);
    Directory copy = bench.directory;
    REQUIRE(bench.hear(bench.directory, 101));           // Node 2 is away meanwhile.
    REQUIRE(two.admit(hello_of(kN3, copy.start(102))));  // Node 2 hears the other directory.
    two.on_kept(kN3, 102);
    CHECK(two.merge(kN1, bench.one.sightings(1)));
    CHECK(bench.one.merge(kN2, two.sightings(1)));
    for (Lineage* who : {&bench.one, &two}) {
      CHECK_FALSE(who->check(kN3, 101).has_value());
      CHECK_FALSE(who->admit(hello_of(kN3, copy.start(104))).has_value());
      CHECK_FALSE(who->admit(hello_of(kN3, bench.directory.start(105))).has_value());
    }
    // The copy itself hears of it, too.
    Lineage process = copy.start(106);
    CHECK(process.merge(kN1, bench.one.sightings(1)));
    CHECK_FALSE(process.gone_back().empty());
  }

  TEST_CASE("a node that is told of later starts, or commits, of its own stops") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    Directory copy = bench.directory;
    bench.vote(bench.directory, 5);
    Lineage lagging = copy.start(101);
    CHECK(lagging.gone_back().empty());
    CHECK(lagging.merge(kN1, bench.one.sightings(1)));
    CHECK(lagging.gone_back().find("gone back") != std::string::npos);

    Lineage newest = bench.directory.start(102);
    CHECK_FALSE(newest.merge(kN1, bench.one.sightings(1)));
    CHECK(newest.gone_back().empty());
  }

  TEST_CASE("who is refused for what was heard of it knows it itself, also after its next start") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    Directory copy = bench.directory;
    bench.vote(bench.directory, 5);
    Lineage refused = copy.start(101);
    REQUIRE_FALSE(bench.one.admit(hello_of(kN3, refused)).has_value());
    REQUIRE(bench.one.seen(kN3));
    refused.hear_of_self(*bench.one.seen(kN3));
    CHECK_FALSE(refused.gone_back().empty());
    CHECK_FALSE(Lineage(kN3, refused.history(), 102, 9).gone_back().empty());
    // What is not true of it does it no harm.
    Lineage newest = bench.directory.start(103);
    newest.hear_of_self(*bench.one.seen(kN3));
    CHECK(newest.gone_back().empty());
  }

  TEST_CASE("an older process is listened to no more once a later start is known") {
    Bench bench;
    REQUIRE(bench.hear(bench.directory, 100));
    CHECK(bench.one.check(kN3, 100).has_value());
    const Sighting later{kN3, 2, {{101, 5}, {100, 0}}, 9, false};
    CHECK(bench.one.merge(kN2, {later}));
    CHECK_FALSE(bench.one.check(kN3, 100).has_value());
    // What it told later than that counts for nothing.
    bench.one.told(kN3, 100, 1000);
    bench.one.on_kept(kN3, 101);
    CHECK(bench.one.sightings(0).at(1) == later);
    // What is told of an earlier start changes nothing.
    CHECK_FALSE(bench.one.merge(kN2, {{kN3, 1, {{100, 0}}, 5, false}}));
    CHECK(bench.one.sightings(0).at(1) == later);
  }

  TEST_CASE("a hello that says nothing of starts is refused") {
    Bench bench;
    net::Hello hello;
    hello.node = kN3;
    CHECK_FALSE(bench.one.admit(hello).has_value());
  }

  TEST_CASE("what is kept: it has changed until that was asked, and only by what is new") {
    Bench bench;
    CHECK(bench.one.take_changed());
    CHECK_FALSE(bench.one.take_changed());
    REQUIRE(bench.hear(bench.directory, 100));
    CHECK(bench.one.take_changed());
    const History kept = bench.one.history();
    CHECK(kept.heard == std::vector<Sighting>{{kN3, 1, {{100, 0}}, 0, false}});
    bench.one.told(kN3, 100, 0);
    CHECK_FALSE(bench.one.merge(kN2, kept.heard));
    CHECK_FALSE(bench.one.take_changed());
    // It goes on from there.
    Lineage again(kN1, kept, 12, 4);
    CHECK(again.history().starts == 2);
    CHECK(again.history().recent == std::vector<Start>{{12, 4}, {11, 0}});
    CHECK(again.history().heard == kept.heard);
  }
}

}  // namespace stele::log
