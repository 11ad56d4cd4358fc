#include "paxos/base/result.h"

#include <doctest/doctest.h>

#include <map>
#include <string_view>

namespace stele {

TEST_SUITE("paxos.result") {
  // The numbers are on disks, on wires, and in programs of others: they stay, and are not used
  // again.
  TEST_CASE("codes: each has its number for ever, and a word of its own") {
    const std::map<int, std::string_view> words{
        {1, "not_leader"},
        {2, "overloaded"},
        {3, "too_large"},
        {4, "no_space"},
        {5, "condition_failed"},
        {6, "trimmed"},
        {7, "session_expired"},
        {8, "shutting_down"},
        {13, "corrupt"},
        {14, "out_of_range"},
        {15, "held"},
        {16, "not_found"},
        {17, "too_many"},
        {18, "elsewhere"},
        {64, "timed_out"},
        {65, "stopped"},
        {66, "unreachable"},
        {67, "refused"},
        {68, "invalid_argument"},
        {69, "malformed"},
        {70, "foreign_directory"},
        {71, "newer_format"},
        {72, "in_use"},
        {73, "io"},
    };
    for (int code = 0; code < 256; ++code) {
      const auto word = words.find(code);
      CHECK(to_string(static_cast<Errc>(code)) == (word == words.end() ? "unknown" : word->second));
    }
  }

  TEST_CASE("outcomes: the numbers stay, and those that a caller is told say the same as errors") {
    const std::map<int, Outcome> outcomes{
        {0, Outcome::ok},         {1, Outcome::not_leader},      {2, Outcome::overloaded},
        {3, Outcome::too_large},  {4, Outcome::no_space},        {5, Outcome::condition_failed},
        {6, Outcome::trimmed},    {7, Outcome::session_expired}, {8, Outcome::shutting_down},
        {9, Outcome::unknown},    {10, Outcome::resend},         {11, Outcome::skipped},
        {12, Outcome::forgotten}, {13, Outcome::corrupt},        {14, Outcome::out_of_range},
        {15, Outcome::held},      {16, Outcome::not_found},      {17, Outcome::too_many},
        {18, Outcome::elsewhere},
    };
    CHECK(outcomes.rbegin()->second == kOutcomeLast);
    for (const auto& [number, outcome] : outcomes) {
      CHECK(static_cast<int>(outcome) == number);
      const bool told = (number >= 1 && number <= 8) || number >= 13;
      const auto error = error_of(outcome);
      REQUIRE(error.has_value() == told);
      if (told) CHECK(static_cast<int>(*error) == number);
    }
  }
}

}  // namespace stele
