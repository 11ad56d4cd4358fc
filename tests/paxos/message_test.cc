#include "paxos/message.h"

#include <doctest/doctest.h>

#include <set>

namespace stele::paxos {
namespace {

template <std::size_t... I>
std::set<std::string_view> names(std::index_sequence<I...>) {
  return {name_of(Body(std::in_place_index<I>))...};
}

}  // namespace

TEST_SUITE("paxos.message") {
  TEST_CASE("every kind has a name of its own") {
    constexpr std::size_t kKinds = std::variant_size_v<Body>;
    CHECK(names(std::make_index_sequence<kKinds>()).size() == kKinds);
  }

  TEST_CASE("requests go to acceptors, answers to proposers, what is chosen to learners") {
    CHECK(role_of(Prepare{}) == Role::acceptor);
    CHECK(role_of(Accept{}) == Role::acceptor);
    CHECK(role_of(Heartbeat{}) == Role::acceptor);
    CHECK(role_of(Promise{}) == Role::proposer);
    CHECK(role_of(Accepted{}) == Role::proposer);
    CHECK(role_of(Nack{}) == Role::proposer);
    CHECK(role_of(HeartbeatAck{}) == Role::proposer);
    CHECK(role_of(PreVote{}) == Role::proposer);
    CHECK(role_of(Chosen{}) == Role::learner);
    CHECK(role_of(ChosenEnd{}) == Role::learner);
    CHECK(role_of(Fetch{}) == Role::learner);
    CHECK(role_of(Fetched{}) == Role::learner);
    CHECK(role_of(FetchSnapshot{}) == Role::learner);
    CHECK(role_of(SnapshotPart{}) == Role::learner);
    CHECK(role_of(FetchRun{}) == Role::learner);
    CHECK(role_of(RunSlots{}) == Role::learner);
  }
}

}  // namespace stele::paxos
