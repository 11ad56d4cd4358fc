#include "net/loop/guard.h"

#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>
#include <new>

#include "net/loop/asio_loop.h"

namespace stele::net {

TEST_SUITE("net.guard") {
  TEST_CASE("a failed check is told once, and nothing runs any more") {
    int told = 0;
    Guard guard([&](const std::string&) { ++told; });
    int ran = 0;
    guard.run([&] { ++ran; });
    guard.run([&] {
      ++ran;
      STELE_CHECK(1 == 2);
      ++ran;
    });
    guard.run([&] { ++ran; });
    CHECK(ran == 2);
    CHECK(told == 1);
    CHECK(guard.ended());
  }

  TEST_CASE("a run within a run: what is around it does not go on either") {
    int told = 0;
    Guard guard([&](const std::string&) { ++told; });
    bool went_on = false;
    guard.run([&] {
      guard.run([] { STELE_CHECK(1 == 2); });
      went_on = true;
    });
    CHECK_FALSE(went_on);
    CHECK(told == 1);
  }

  TEST_CASE("another one's run within a run: each ends for its own checks") {
    int outer_told = 0;
    int inner_told = 0;
    Guard outer([&](const std::string&) { ++outer_told; });
    Guard inner([&](const std::string&) { ++inner_told; });
    bool went_on = false;
    outer.run([&] {
      inner.run([] { STELE_CHECK(1 == 2); });
      went_on = true;
    });
    CHECK(went_on);
    CHECK(outer_told == 0);
    CHECK(inner_told == 1);
    outer.run([] { STELE_CHECK(1 == 2); });
    CHECK(outer_told == 1);
  }

  // What runs in between has been left in its midst, too.
  TEST_CASE("one around another one around it again: a failed check ends both") {
    int outer_told = 0;
    int between_told = 0;
    Guard outer([&](const std::string&) { ++outer_told; });
    Guard between([&](const std::string&) { ++between_told; });
    bool went_on = false;
    outer.run([&] {
      between.run([&] {
        outer.run([] { STELE_CHECK(1 == 2); });
        went_on = true;
      });
      went_on = true;
    });
    CHECK_FALSE(went_on);
    CHECK(outer_told == 1);
    CHECK(between_told == 1);
    CHECK(outer.ended());
    CHECK(between.ended());
  }

  TEST_CASE("another exception passes, and failed checks are caught afterwards, too") {
    int told = 0;
    Guard guard([&](const std::string&) { ++told; });
    CHECK_THROWS_AS(guard.run([] { throw std::bad_alloc(); }), std::bad_alloc);
    CHECK_FALSE(guard.ended());
    guard.run([] { STELE_CHECK(1 == 2); });
    CHECK(told == 1);
  }

  TEST_CASE("a failure is not told once the loop is gone") {
    asio::io_context context;
    int told = 0;
    {
      AsioLoop loop(context, [&](const std::string&) { ++told; });
      loop.guard([] { STELE_CHECK(1 == 2); });
      CHECK(loop.ended());
    }
    context.run();
    CHECK(told == 0);
  }

  TEST_CASE("one loop of a context ends for a failed check, the other one goes on") {
    asio::io_context context;
    std::string told;
    AsioLoop sick(context, [&](const std::string& what) { told = what; });
    AsioLoop sound(context);
    int ran = 0;
    sick.post([] { STELE_CHECK(1 == 2, "a bug"); });
    sick.post([&] { ++ran; });
    const auto timer = sick.after({}, [&] { ++ran; });
    sound.post([&] { ran += 10; });
    context.run();
    CHECK(ran == 10);
    CHECK(told.find("a bug") != std::string::npos);
  }
}

}  // namespace stele::net
