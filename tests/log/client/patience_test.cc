#include "log/client/patience.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.patience") {
  TEST_CASE("waiting: said with what was heard last, also of a node that takes the connection") {
    std::vector<std::string> waits;
    ClientOptions options;
    options.on_waiting = [&](const std::string& why) { waits.push_back(why); };
    Bench bench(options);
    bench.append("x");
    bench.open(bench.leader());
    // It has lost its quorum: asked again and again, nobody leads.
    for (int i = 0; i < 300 && waits.empty(); ++i) {
      bench.answer(bench.leader(), {{5}, {1}, 1, Outcome::not_leader, {}, {}});
      bench.run(milliseconds(10));
    }
    REQUIRE(waits.size() == 1);
    CHECK(waits[0].ends_with(" does not lead"));
  }

  TEST_CASE("waiting: a tail that is kept alive waits for nothing") {
    std::vector<std::string> waits;
    ClientOptions options;
    options.on_waiting = [&](const std::string& why) { waits.push_back(why); };
    Bench bench(options);
    bench.core->tail({1}, [](std::optional<Errc>, ReadResult) {});
    bench.run();
    FakeLink& link = bench.leader();
    bench.say(link, net::TailEntries{1, {1}, 0, {}});
    for (int i = 0; i < 10; ++i) {
      bench.run(seconds(1));
      bench.say(link, net::KeepAlive{});
    }
    CHECK(waits.empty());
  }

  TEST_CASE("silence: another node is asked") {
    Bench bench;
    bench.append("a");
    const Address silent = bench.ready().address;
    bench.run(seconds(1));
    FakeLink& link = bench.leader();
    CHECK_FALSE(link.address == silent);
    bench.run(milliseconds(100));
    const Commands sent = bench.commands(link);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0] == "append 1 a");
  }

  TEST_CASE("silence: what leaves for a node that does not read it is no progress; an upload is") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    const Address silent = link.address;
    for (std::size_t i = 0; i < 40; ++i) {
      link.queued = 1 << 20;
      link.left += 1000;
      bench.run(milliseconds(40));
    }
    REQUIRE(bench.dialer.links.back()->address == silent);
    for (std::size_t i = 0; i < 20 && bench.dialer.links.back()->address == silent; ++i) {
      bench.dialer.links.back()->queued = 1000 + i;
      bench.dialer.links.back()->left += 1000;
      bench.run(milliseconds(40));
    }
    CHECK_FALSE(bench.leader().address == silent);
  }

  TEST_CASE("silence: a node that says that it leads is given longer, and not for ever") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    const Address slow = link.address;
    int asked = 0;
    int waited = 0;
    const auto here = [&] {
      return !bench.dialer.links.empty() && bench.dialer.links.back()->address == slow;
    };
    for (; waited < 1000 && here(); ++waited) {
      for (const net::Message& message : std::exchange(bench.dialer.links.back()->sent, {})) {
        const auto* ask = std::get_if<net::StatusAsk>(&message);
        if (ask == nullptr) continue;
        ++asked;
        net::StatusAnswer answer;
        answer.report.role = "leader";
        bench.say(*bench.dialer.links.back(), answer);
      }
      bench.run(milliseconds(10));
    }
    CHECK(waited > 380);
    CHECK(waited < 450);
    CHECK(asked <= 5);  // With that of the handshake.
  }

  TEST_CASE("silence: what else a node says answers no append") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    const Address silent = link.address;
    for (int i = 0; i < 20 && bench.dialer.links.back()->address == silent; ++i) {
      bench.say(*bench.dialer.links.back(), net::KeepAlive{});
      bench.say(*bench.dialer.links.back(), net::StatusAnswer{});
      bench.run(milliseconds(50));
    }
    CHECK_FALSE(bench.leader().address == silent);
  }

  // Each deadline is shorter than the time-out: the wait goes on over all of them.
  TEST_CASE("silence: a node that opens no session is left, however short the deadlines are") {
    Bench bench;
    bench.append("a0", milliseconds(100));
    const Address silent = bench.leader().address;
    for (int i = 1; i < 8; ++i) {
      bench.run(milliseconds(100));
      bench.append("a" + std::to_string(i), milliseconds(100));
    }
    CHECK_FALSE(bench.leader().address == silent);
  }

  // On slow disks each commit, and so each answer, takes long.
  TEST_CASE("silence: a node whose answers have taken long is given longer") {
    Bench bench;
    for (int i = 0; i < 10; ++i) bench.append("a" + std::to_string(i));
    FakeLink& link = bench.ready();
    const Address slow = link.address;
    for (std::uint64_t i = 1; i <= 4; ++i) {
      bench.run(milliseconds(400));
      bench.answer(link, {kSession, {i}, 1, Outcome::ok, {i}, {}});
    }
    bench.run(milliseconds(1400));
    CHECK(bench.dialer.links.back()->address == slow);
    bench.answer(link, {kSession, {5}, 1, Outcome::ok, {5}, {}});
    bench.run(milliseconds(6000));
    CHECK_FALSE(bench.leader().address == slow);
  }

  // Its line is slow, and it leads all the same.
  TEST_CASE("silence: a node that is come back to is given longer, whatever others have said") {
    Bench bench;
    bench.append("a");
    const Address slow = bench.ready().address;
    std::vector<int> stayed;
    for (int visit = 0; visit < 3; ++visit) {
      int ticks = 0;
      while (bench.leader().address == slow) {
        bench.run(milliseconds(20));
        ++ticks;
      }
      stayed.push_back(ticks);
      for (int i = 0; i < 500 && !(bench.leader().address == slow); ++i) {
        bench.answer(bench.leader(), {kSession, {1}, 1, Outcome::not_leader, {}, {}},
                     to_string(slow));
        bench.run(milliseconds(20));
      }
    }
    CHECK(stayed[1] > stayed[0] * 3 / 2);
    CHECK(stayed[2] > stayed[1] * 3 / 2);
  }

  TEST_CASE("idle: a client that waits for nothing has no timer, and notices silence as before") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    CHECK(bench.loop.timers() == 1);
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {10}, {}});
    bench.run(milliseconds(50));
    CHECK(bench.loop.timers() == 0);
    bench.run(seconds(60));
    bench.append("b");
    CHECK(bench.commands(link).back() == "append 2 b");
    CHECK(bench.loop.timers() == 1);
    const Address silent = link.address;
    bench.run(milliseconds(450));
    CHECK(bench.dialer.links.back()->address == silent);
    bench.run(milliseconds(150));
    CHECK_FALSE(bench.leader().address == silent);
  }

  TEST_CASE("silence: who did not answer is passed over for a while, though others name it") {
    Bench bench;
    bench.append("a");
    const std::string silent = to_string(bench.ready().address);
    bench.run(seconds(1));
    for (int i = 0; i < 3; ++i) {
      FakeLink& other = bench.leader();
      CHECK(to_string(other.address) != silent);
      bench.answer(other, {kSession, {1}, 1, Outcome::not_leader, {}, {}}, silent);
      bench.run(milliseconds(100));
    }
  }
}

}  // namespace stele::log
