#include "tests/history/history.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace stele::test {
namespace {

/// Two writers, eight entries each, taking turns, all acknowledged; and the log that goes with
/// them.
struct Sound {
  Sound() {
    for (std::int64_t i = 0; i < 16; ++i) {
      const std::uint64_t writer = static_cast<std::uint64_t>(i % 2) + 1;
      const std::string payload = "w" + std::to_string(writer) + "-" + std::to_string(i / 2);
      log.push_back(payload);
      history.appends.push_back(
          {writer, payload, 10 * i, 10 * i + 5, Append::Fate::acknowledged, log.size()});
    }
    history.tails = {{1, log, true}};
  }
  [[nodiscard]] std::vector<std::string> verdict() const { return check(history, {log, log, log}); }

  History history;
  std::vector<std::string> log;
};

}  // namespace

TEST_SUITE("history") {
  TEST_CASE("check: finds nothing wrong with a sound history") { CHECK(Sound().verdict().empty()); }

  TEST_CASE("check: an entry dropped") {
    Sound sound;
    sound.log.erase(sound.log.begin() + 5);
    CHECK_FALSE(sound.verdict().empty());
  }

  TEST_CASE("check: an entry dropped that was not acknowledged is allowed") {
    Sound sound;
    sound.history.appends.back().fate = Append::Fate::unknown;
    sound.log.pop_back();
    sound.history.tails[0].entries = sound.log;
    CHECK(sound.verdict().empty());
  }

  TEST_CASE("check: an entry doubled") {
    Sound sound;
    sound.log.push_back(sound.log[3]);
    sound.history.tails[0].entries = sound.log;
    CHECK_FALSE(sound.verdict().empty());
  }

  TEST_CASE("check: two entries swapped, of one writer or of two") {
    for (const std::size_t distance : {1U, 2U}) {
      Sound sound;
      std::swap(sound.log[4], sound.log[4 + distance]);
      sound.history.tails[0].entries = sound.log;
      CHECK_FALSE(sound.verdict().empty());
    }
  }

  // Even if the told LSNs follow the swap: order of one writer, and real time between two.
  TEST_CASE("check: swapped entries whose LSNs were told accordingly") {
    for (const std::size_t distance : {1U, 2U}) {
      Sound sound;
      std::swap(sound.log[4], sound.log[4 + distance]);
      std::swap(sound.history.appends[4].lsn, sound.history.appends[4 + distance].lsn);
      sound.history.tails[0].entries = sound.log;
      CHECK(sound.verdict().size() >= 1);
    }
  }

  TEST_CASE("check: appends that overlapped may stand either way") {
    Sound sound;
    std::swap(sound.log[4], sound.log[5]);
    std::swap(sound.history.appends[4].lsn, sound.history.appends[5].lsn);
    sound.history.appends[4].ended = 1000;
    sound.history.appends[5].ended = 1000;
    sound.history.tails[0].entries = sound.log;
    CHECK(sound.verdict().empty());
  }

  TEST_CASE("check: a refused entry that is in the log") {
    Sound sound;
    sound.history.appends[7].fate = Append::Fate::refused;
    CHECK_FALSE(sound.verdict().empty());
  }

  TEST_CASE("check: an entry that nobody appended") {
    Sound sound;
    sound.log.emplace_back("stranger");
    sound.history.tails[0].entries = sound.log;
    CHECK_FALSE(sound.verdict().empty());
  }

  // Invariant 10, from the users' side.
  TEST_CASE("check: reads that saw too little, too much, or something else") {
    const auto verdict_on = [](std::uint64_t end, bool linearizable, std::int64_t began) {
      Sound sound;
      const std::vector<std::string> seen(sound.log.begin() + 2, sound.log.begin() + 4);
      sound.history.reads.push_back({linearizable, began, began + 3, 3, seen, end});
      return sound.verdict();
    };
    // Entry 9 was appended from 80 to 85, entry 10 from 90 on.
    CHECK(verdict_on(10, true, 86).empty());
    CHECK_FALSE(verdict_on(9, true, 86).empty());    // Entry 9 had been acknowledged.
    CHECK(verdict_on(9, true, 81).empty());          // Not yet.
    CHECK(verdict_on(4, false, 86).empty());         // A node's own state may lag.
    CHECK_FALSE(verdict_on(12, false, 86).empty());  // It is never ahead of what was appended.
    CHECK_FALSE(verdict_on(99, true, 1000).empty());

    Sound sound;
    sound.history.reads.push_back({true, 1000, 1003, 3, {sound.log[4]}, 17});
    CHECK_FALSE(sound.verdict().empty());
  }

  TEST_CASE("check: a linearizable read saw less than another one before it") {
    Sound sound;
    sound.history.appends[8].fate = Append::Fate::unknown;
    sound.history.reads.push_back({true, 82, 84, 1, {}, 10});
    sound.history.reads.push_back({true, 85, 88, 1, {}, 9});
    CHECK_FALSE(sound.verdict().empty());
    std::swap(sound.history.reads[0].end, sound.history.reads[1].end);
    CHECK(sound.verdict().empty());
  }

  TEST_CASE("check: an entry after one that is not in the log, of a writer that stops there") {
    for (const bool stops : {false, true}) {
      Sound sound;
      for (Append& append : sound.history.appends) append.stops_at_failure = stops;
      Append missing = sound.history.appends.front();
      missing.payload = "missing";
      missing.fate = Append::Fate::refused;
      sound.history.appends.insert(sound.history.appends.begin(), missing);
      CHECK(sound.verdict().empty() == !stops);
    }
  }

  TEST_CASE("check: nodes that differ") {
    Sound sound;
    auto other = sound.log;
    other.pop_back();
    CHECK_FALSE(check(sound.history, {sound.log, sound.log, other}).empty());
  }

  TEST_CASE("check: a tail with an entry missing, doubled, or cut short") {
    for (const int kind : {0, 1, 2}) {
      Sound sound;
      auto& tailed = sound.history.tails[0].entries;
      if (kind == 0) tailed.erase(tailed.begin() + 3);
      if (kind == 1) tailed.insert(tailed.begin() + 3, tailed[3]);
      if (kind == 2) tailed.pop_back();
      CHECK_FALSE(sound.verdict().empty());
    }
  }
}

}  // namespace stele::test
