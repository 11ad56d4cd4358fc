#include "log/state/session.h"

#include <doctest/doctest.h>

namespace stele::log {
namespace {

using Results = std::vector<CommandResult>;

constexpr SessionId kId{9};

Results recall(const Session& session, std::uint64_t first, std::uint32_t count) {
  Results out;
  session.recall(kId, {first}, count, out);
  return out;
}

}  // namespace

TEST_SUITE("log.session") {
  TEST_CASE("recall: tells each consumed sequence its own LSN and outcome") {
    Session session(100, 1000, 0);
    session.consume(3, Outcome::ok, {10});
    session.consume(2, Outcome::ok, {20});
    session.consume(1, Outcome::skipped, {});
    CHECK(session.last() == Sequence{6});
    CHECK(recall(session, 2, 5) == Results{{kId, {2}, 2, Outcome::ok, {11}, {}},
                                           {kId, {4}, 2, Outcome::ok, {20}, {}},
                                           {kId, {6}, 1, Outcome::skipped, {}, {}}});
  }

  TEST_CASE("forget: what the client has acknowledged") {
    Session session(100, 1000, 0);
    session.consume(5, Outcome::ok, {10});
    session.forget({3});
    CHECK(recall(session, 2, 3) ==
          Results{{kId, {2}, 2, Outcome::forgotten, {}, {}}, {kId, {4}, 1, Outcome::ok, {13}, {}}});
    session.forget({100});  // No further than what was consumed.
    CHECK(session.last() == Sequence{5});
    CHECK(recall(session, 5, 1)[0].outcome == Outcome::forgotten);
  }

  TEST_CASE("forget: what lies before the window, whatever was acknowledged") {
    Session session(4, 1000, 0);
    session.consume(10, Outcome::ok, {1});
    session.forget({0});
    CHECK(recall(session, 6, 1)[0].outcome == Outcome::forgotten);
    CHECK(recall(session, 7, 4) == Results{{kId, {7}, 4, Outcome::ok, {7}, {}}});
  }

  TEST_CASE("consume: a pipelining client costs one run, however long it appends") {
    Session session(1 << 20, 1000, 0);
    for (std::uint64_t i = 0; i < 10'000; ++i) session.consume(1, Outcome::ok, {i + 1});
    CHECK(session.serialize().size() < 100);
  }

  TEST_CASE("expired: after more log time than its time to live") {
    Session session(10, 1000, 5000);
    CHECK_FALSE(session.expired(6000));
    CHECK(session.expired(6001));
    session.touch(6000);
    CHECK_FALSE(session.expired(7000));
  }

  TEST_CASE("serialize: survives, and damage is noticed") {
    Session session(4096, 1000, 77);
    session.consume(3, Outcome::ok, {10});
    session.consume(1, Outcome::condition_failed, {});
    const auto bytes = session.serialize();
    const auto read = Session::parse(bytes);
    REQUIRE(read);
    CHECK(read->serialize() == bytes);
    CHECK(recall(*read, 1, 4) == recall(session, 1, 4));
    CHECK_FALSE(Session::parse(std::span(bytes).first(bytes.size() - 1)).has_value());
  }
}

}  // namespace stele::log
