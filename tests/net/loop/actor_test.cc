#include "net/loop/actor.h"

#include <doctest/doctest.h>

#include "tests/sim/nodes/sim_loop.h"

namespace stele::net {
namespace {

class Counter final : public Actor<int> {
 public:
  explicit Counter(Loop& loop) : Actor(loop, 100) {}
  std::vector<int> handled;
  int flushes = 0;

 private:
  void handle(int& letter) override { handled.push_back(letter); }
  void flush() override { ++flushes; }
};

}  // namespace

TEST_SUITE("net.actor") {
  TEST_CASE("letters that pile up are handled together, in order, with one flush") {
    sim::SimLoop loop(1);
    Counter counter(loop);
    for (int i = 0; i < 5; ++i) CHECK(counter.tell(i));
    CHECK(counter.handled.empty());
    loop.run();
    CHECK(counter.handled == std::vector<int>{0, 1, 2, 3, 4});
    CHECK(counter.flushes == 1);
  }

  TEST_CASE("the mailbox is bounded") {
    sim::SimLoop loop(1);
    Counter counter(loop);
    int taken = 0;
    for (int i = 0; i < 200; ++i) taken += counter.tell(i) ? 1 : 0;
    CHECK(taken == 100);
    loop.run();
    CHECK(counter.tell(0));
  }

  TEST_CASE("an actor that is gone is not called") {
    sim::SimLoop loop(1);
    {
      Counter counter(loop);
      counter.tell(1);
    }
    loop.run();
  }
}

}  // namespace stele::net
