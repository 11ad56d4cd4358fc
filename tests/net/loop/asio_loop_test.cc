#include "net/loop/asio_loop.h"

#include <doctest/doctest.h>

#include <thread>

#include "tests/support/directory.h"

namespace stele::net {

TEST_SUITE("net.asio_loop") {
  TEST_CASE("post: tasks run on the loop in order, also those of another thread") {
    asio::io_context context(1);
    AsioLoop loop(context);
    std::vector<int> order;
    std::thread other([&] {
      for (int i = 0; i < 100; ++i) loop.post([&order, i] { order.push_back(i); });
    });
    other.join();
    context.run();
    CHECK(order.size() == 100);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE("after: runs once the time has passed, unless the timer is destroyed") {
    asio::io_context context(1);
    AsioLoop loop(context);
    const Time began = loop.now();
    Time ran{};
    bool destroyed_ran = false;
    const auto timer = loop.after(std::chrono::milliseconds(20), [&] { ran = loop.now(); });
    auto destroyed = loop.after(std::chrono::milliseconds(1), [&] { destroyed_ran = true; });
    destroyed.reset();
    context.run();
    CHECK(ran - began >= std::chrono::milliseconds(20));
    CHECK_FALSE(destroyed_ran);
  }

  TEST_CASE("after: a task may destroy its own timer") {
    asio::io_context context(1);
    AsioLoop loop(context);
    std::unique_ptr<Timer> timer;
    int runs = 0;
    timer = loop.after(std::chrono::milliseconds(1), [&] {
      ++runs;
      timer.reset();
    });
    context.run();
    CHECK(runs == 1);
  }
}

}  // namespace stele::net
