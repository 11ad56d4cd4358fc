#include "net/loop/guard.h"

#include <doctest/doctest.h>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

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
