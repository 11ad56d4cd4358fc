#include "log/replica/unapplied_votes.h"

#include <doctest/doctest.h>

namespace stele::log {

TEST_SUITE("log.unapplied_votes") {
  constexpr std::size_t kStretch = 1 << 20;

  TEST_CASE(
      "counts what lies before a slot, a stretch too few at most, and forgets what is applied") {
    UnappliedVotes votes(kStretch);
    CHECK(votes.bytes_before({1}) == 0);
    for (std::uint64_t slot = 10; slot < 20; ++slot) votes.add({slot}, kStretch);
    CHECK(votes.bytes() == 10 * kStretch);
    CHECK(votes.bytes_before({10}) == 0);
    CHECK(votes.bytes_before({9}) == 0);
    CHECK(votes.bytes_before({15}) == 5 * kStretch);
    CHECK(votes.bytes_before({100}) == 9 * kStretch);
    votes.applied({13});
    CHECK(votes.bytes_before({15}) == 2 * kStretch);
    votes.applied({20});
    CHECK(votes.bytes() == 0);
    CHECK(votes.bytes_before({100}) == 0);
  }

  TEST_CASE("small votes share a stretch, which goes with the last of them") {
    UnappliedVotes votes(kStretch);
    for (std::uint64_t slot = 1; slot <= 8; ++slot) votes.add({slot}, kStretch / 4);
    votes.applied({3});
    CHECK(votes.bytes() == 2 * kStretch);
    votes.applied({5});
    CHECK(votes.bytes() == kStretch);
    votes.applied({9});
    CHECK(votes.bytes() == 0);
  }

  TEST_CASE(
      "a vote of a later ballot counts again, in its place; one before all others is the first") {
    UnappliedVotes votes(kStretch);
    votes.add({5}, kStretch);
    votes.add({6}, kStretch);
    votes.add({5}, kStretch);
    CHECK(votes.bytes_before({6}) == 2 * kStretch);
    votes.add({2}, kStretch);
    CHECK(votes.bytes_before({5}) == kStretch);
    votes.applied({5});
    CHECK(votes.bytes() == 3 * kStretch);
    votes.applied({6});
    CHECK(votes.bytes() == kStretch);
  }

  // A stretch is as long as the slots are small; there are never more than bytes ask for.
  TEST_CASE("what it takes itself is bounded by what it counts") {
    UnappliedVotes votes(kStretch);
    for (std::uint64_t slot = 1; slot <= 100'000; ++slot) votes.add({slot}, 100);
    CHECK(votes.bytes() == 10'000'000);
    CHECK(votes.bytes_before({100'000}) >= 10'000'000 - 2 * kStretch);
  }
}

}  // namespace stele::log
