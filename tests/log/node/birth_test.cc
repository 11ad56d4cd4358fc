#include "log/node/birth.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

constexpr NodeId kN1{1};
constexpr NodeId kN2{2};
constexpr NodeId kN3{3};

paxos::Configuration of(std::vector<NodeId> nodes, std::size_t q1 = 0, std::size_t q2 = 0) {
  return *paxos::Configuration::make(std::move(nodes), q1, q2);
}

Membership fresh(NodeId self, std::uint64_t incarnation, std::string name = "stele") {
  return *Membership::make({name, 0, self, incarnation, {}}, name, self, of({kN1, kN2, kN3}));
}

/// Three nodes that have heard each other and are born.
struct Born {
  Born() {
    for (Membership* a : {&one, &two, &three}) {
      for (Membership* b : {&one, &two, &three}) {
        if (a != b) REQUIRE(a->admit(b->hello()).has_value());
      }
    }
    for (Membership* node : {&one, &two, &three}) REQUIRE(node->take_birth());
  }
  Membership one = fresh(kN1, 101);
  Membership two = fresh(kN2, 102);
  Membership three = fresh(kN3, 103);
};

}  // namespace

TEST_SUITE("log.membership") {
  TEST_CASE("birth: only once all members have been heard, with one and the same list") {
    Membership one = fresh(kN1, 101);
    CHECK_FALSE(one.take_birth());
    REQUIRE(one.admit(fresh(kN2, 102).hello()));
    CHECK_FALSE(one.take_birth());
    CHECK(one.missing() == std::vector<NodeId>{kN3});
    REQUIRE(one.admit(fresh(kN3, 103).hello()));
    CHECK(one.take_birth());
    CHECK_FALSE(one.take_birth());
    CHECK(one.identity().members == std::vector<Member>{{kN1, 101}, {kN2, 102}, {kN3, 103}});

    const Born born;
    CHECK(born.one.identity().cluster_id == born.two.identity().cluster_id);
    CHECK(born.one.identity().cluster_id != 0);
  }

  TEST_CASE("birth: a cluster of one is born at once") {
    auto alone = Membership::make({"stele", 0, kN1, 5, {}}, "stele", kN1, of({kN1}));
    REQUIRE(alone);
    CHECK(alone->take_birth());
  }

  // A wiped directory has forgotten its votes: it must not take part under its old id.
  TEST_CASE("admit: a wiped directory is refused by the born, and refuses them") {
    Born born;
    Membership wiped = fresh(kN2, 999);
    const auto refused = born.one.admit(wiped.hello());
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().detail.find("wiped") != std::string::npos);
    CHECK_FALSE(wiped.admit(born.one.hello()).has_value());
    CHECK_FALSE(wiped.take_birth());
  }

  TEST_CASE("admit: an unborn node joins the born whose list holds its incarnation") {
    Born born;
    Membership late = fresh(kN3, 103);  // It crashed before it had stored the list.
    REQUIRE(late.admit(born.one.hello()));
    REQUIRE(late.admit(born.two.hello()));
    CHECK(late.take_birth());
    CHECK(late.identity().cluster_id == born.one.identity().cluster_id);
    CHECK(born.one.admit(fresh(kN3, 103).hello()).has_value());
  }

  // Otherwise two nodes could be born with different lists, and refuse each other for ever.
  TEST_CASE("admit: before birth the list of a born node counts more than what was heard") {
    Born born;
    Membership late = fresh(kN2, 102);
    REQUIRE(late.admit(fresh(kN3, 999).hello()));  // Wiped since the others were born.
    REQUIRE(late.admit(born.one.hello()));
    CHECK_FALSE(late.take_birth());
    CHECK_FALSE(late.admit(fresh(kN3, 999).hello()).has_value());
    REQUIRE(late.admit(born.three.hello()));
    CHECK(late.take_birth());
    CHECK(late.identity().members == born.one.identity().members);
  }

  TEST_CASE("admit: an unborn node that was told other members is not born with a shorter list") {
    const Born born;
    auto subset = Membership::make({"stele", 0, kN2, 102, {}}, "stele", kN2, of({kN1, kN2}));
    REQUIRE(subset);
    CHECK_FALSE(subset->admit(born.one.hello()).has_value());
    CHECK_FALSE(subset->take_birth());
  }

  TEST_CASE("admit: another cluster, protocol version, name, or a stranger is refused") {
    Born born;
    net::Hello hello = born.two.hello();
    hello.protocol_version = 99;
    CHECK_FALSE(born.one.admit(hello).has_value());
    hello = born.two.hello();
    hello.cluster_name = "other";
    CHECK_FALSE(born.one.admit(hello).has_value());
    hello = born.two.hello();
    hello.cluster_id ^= 1;
    CHECK_FALSE(born.one.admit(hello).has_value());
    hello = born.two.hello();
    hello.node = {9};
    CHECK_FALSE(born.one.admit(hello).has_value());
    hello = born.one.hello();  // Itself.
    CHECK_FALSE(born.one.admit(hello).has_value());
    CHECK(born.one.admit(born.two.hello()).has_value());
  }

  TEST_CASE("make: the directory of another node, cluster, or set of members is refused") {
    const Born born;
    const Identity& identity = born.one.identity();
    const auto code = [](const auto& made) { return made.error().code; };
    CHECK(code(Membership::make(identity, "stele", kN2, of({kN1, kN2, kN3}))) ==
          Errc::foreign_directory);
    CHECK(code(Membership::make(identity, "other", kN1, of({kN1, kN2, kN3}))) ==
          Errc::foreign_directory);
    CHECK(code(Membership::make(identity, "stele", kN1, of({kN1, kN2}))) ==
          Errc::foreign_directory);
    CHECK(Membership::make(identity, "stele", kN1, of({kN3, kN2, kN1})).has_value());
    const auto others = paxos::Configuration::make({kN1, kN2, kN3}, 3, 1);
    REQUIRE(others);
    const auto other_quorums = Membership::make(identity, "stele", kN1, *others);
    REQUIRE_FALSE(other_quorums.has_value());
    CHECK(other_quorums.error().detail ==
          "the data directory was born with the quorums q1 = 2, q2 = 2, this start was told q1 = "
          "3, q2 = 1");
  }
}

}  // namespace stele::log
