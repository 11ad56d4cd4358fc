#include "paxos/configuration.h"

#include <doctest/doctest.h>

#include "tests/support/nodes.h"

namespace stele::paxos {

TEST_SUITE("paxos.configuration") {
  TEST_CASE("make: quorums are majorities unless said otherwise") {
    for (std::size_t count = 1; count <= 7; ++count) {
      std::vector<NodeId> members;
      for (std::size_t id = count; id >= 1; --id) members.push_back({id});
      const auto made = Configuration::make(members);
      REQUIRE(made);
      CHECK(made->q1() == count / 2 + 1);
      CHECK(made->q1() + made->q2() > count);
      CHECK(std::is_sorted(made->members().begin(), made->members().end()));
    }
  }

  // Flexible Paxos: only quorums of different phases must intersect.
  TEST_CASE("make: q1 and q2 that need not intersect are refused") {
    CHECK(Configuration::make({kN1, kN2, kN3, {4}}, 3, 2).has_value());
    CHECK_FALSE(Configuration::make({kN1, kN2, kN3, {4}}, 2, 2).has_value());
    CHECK_FALSE(Configuration::make({kN1, kN2, kN3}, 4, 1).has_value());
  }

  TEST_CASE("make: no member, eight, an id twice or out of range are refused") {
    CHECK_FALSE(Configuration::make({}).has_value());
    std::vector<NodeId> eight;
    for (std::uint64_t id = 1; id <= 8; ++id) eight.push_back({id});
    CHECK_FALSE(Configuration::make(eight).has_value());
    CHECK_FALSE(Configuration::make({kN1, kN1}).has_value());
    CHECK_FALSE(Configuration::make({{0}, kN1}).has_value());
    CHECK_FALSE(Configuration::make({kN1, {64}}).has_value());
  }

  TEST_CASE("contains: members only") {
    CHECK(three_nodes().contains(kN2));
    CHECK_FALSE(three_nodes().contains({4}));
  }
}

}  // namespace stele::paxos
