#include "net/link/receive_memory.h"

#include <doctest/doctest.h>

#include <string>

namespace stele::net {

TEST_SUITE("net.receive_memory") {
  TEST_CASE("reserve: up to the bound, and one of any size if nobody holds anything") {
    ReceiveMemory memory(1000, 0);
    CHECK(memory.reserve(5000));
    CHECK_FALSE(memory.reserve(1));
    memory.release(5000);
    CHECK(memory.reserve(600));
    CHECK_FALSE(memory.reserve(401));
    CHECK(memory.reserve(400));
    CHECK(memory.reserved() == 1000);
  }

  TEST_CASE("reserve_if_plenty: leaves half, and nothing to take while somebody waits") {
    ReceiveMemory memory(1000, 0);
    CHECK(memory.reserve_if_plenty(500));
    CHECK_FALSE(memory.reserve_if_plenty(1));
    CHECK_FALSE(memory.scarce());
    CHECK(memory.reserve(500));
    CHECK(memory.scarce());
    memory.release(1000);
    memory.wait([] {});
    CHECK_FALSE(memory.reserve_if_plenty(1));
  }

  TEST_CASE(
      "release: those that wait try again in the order of coming; small ones do not overtake") {
    ReceiveMemory memory(1000, 0);
    REQUIRE(memory.reserve(600));
    REQUIRE(memory.reserve(400));
    std::string got;
    std::function<void()> large = [&] {
      if (memory.reserve(700)) {
        got += "large ";
      } else {
        memory.wait(large);
      }
    };
    memory.wait(large);
    memory.wait([&] {
      if (memory.reserve(300)) got += "small ";
    });
    memory.release(400);
    CHECK(got.empty());
    CHECK_FALSE(memory.reserve(1));  // One that comes now gets nothing, either.
    CHECK(memory.awaited());
    memory.release(600);
    CHECK(got == "large small ");
    CHECK_FALSE(memory.awaited());
  }

  TEST_CASE("let_others: who is gone does not stand in the way") {
    ReceiveMemory memory(1000, 0);
    REQUIRE(memory.reserve(600));
    bool lives = true;
    bool got = false;
    std::function<void()> large = [&] {
      if (lives && !memory.reserve(700)) memory.wait(large);
    };
    memory.wait(large);
    memory.wait([&] { got = memory.reserve(300); });
    memory.let_others();
    CHECK_FALSE(got);
    lives = false;
    memory.let_others();
    CHECK(got);
  }

#ifndef STELE_SANITIZED
  TEST_CASE("a pool's buffer is used again if it fits") {
    const auto pool = std::make_shared<BufferPool>(4 << 20);
    auto first = pool->take(1'000'000);
    const std::byte* at = first.get();
    first.reset();
    CHECK(pool->take(990'000).get() == at);
    CHECK(pool->take(100'000).get() != at);  // Far too large for that.
  }

  TEST_CASE("a pool keeps no more than its bound, and outlives its buffers") {
    auto pool = std::make_shared<BufferPool>(0);
    auto buffer = pool->take(1'000'000);
    buffer[999'999] = std::byte{7};
    pool.reset();
    CHECK(buffer[999'999] == std::byte{7});
  }
#endif
}

}  // namespace stele::net
