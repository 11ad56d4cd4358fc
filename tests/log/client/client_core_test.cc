#include "log/client/client_core.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/log/client/client_bench.h"

namespace stele::log {
namespace {

using namespace client_bench;

using Commands = std::vector<std::string>;

constexpr SessionId kSession{5};

}  // namespace

TEST_SUITE("log.client_core") {
  TEST_CASE("appends of one turn travel as one command, and are told their LSNs") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    CHECK(bench.commands(link) == Commands{"append 1 a"});
    bench.append("b");
    CHECK(bench.commands(link) == Commands{"append 2 b"});
    bench.answer(link, {kSession, {1}, 2, Outcome::ok, {10}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{10});
    CHECK(bench.told.at("b").result.lsn == Lsn{11});
    CHECK_FALSE(bench.told.at("b").error);
  }

  TEST_CASE("half of what is under way leaves before the rest has been told") {
    Bench bench;
    bench.append("first");
    FakeLink& link = bench.ready();
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {10}, {}});
    std::size_t told = 0;
    std::vector<std::size_t> told_when_sent;
    const std::string text(1000, 'x');
    struct Again final : AppendDone {
      explicit Again(std::function<void()> d) : done(std::move(d)) {}
      void complete(std::optional<Errc>, AppendResult) override { done(); }
      std::function<void()> done;
    };
    const auto append = [&](const std::function<void()>& then) {
      bench.core->append(std::as_bytes(std::span(text)), {}, seconds(60),
                         std::make_unique<Again>(then));
    };
    std::size_t sent = 0;
    for (int i = 0; i < 200; ++i) {
      append([&] {
        ++told;
        if (link.sent.size() != sent) told_when_sent.push_back(told);
        sent = link.sent.size();
        append([] {});
      });
    }
    bench.run();
    link.sent.clear();
    bench.answer(link, {kSession, {2}, 200, Outcome::ok, {11}, {}});
    CHECK(told == 200);
    REQUIRE(told_when_sent.size() == 1);
    CHECK(told_when_sent[0] > 60);
    CHECK(told_when_sent[0] < 140);
  }

  TEST_CASE("open: every try for one session has the same nonce, the next session another one") {
    Bench bench;
    const auto nonce_sent = [](FakeLink& link) {
      std::uint64_t nonce = 0;
      for (const net::Message& message : link.sent) {
        if (const auto* open = std::get_if<net::OpenSession>(&message)) nonce = open->nonce;
      }
      return nonce;
    };
    bench.append("a");
    FakeLink& first = bench.leader();
    const std::uint64_t nonce = nonce_sent(first);
    CHECK(nonce != 0);
    bench.say(first, net::SessionOpened{nonce, Outcome::not_leader, {}, {}, 0});
    bench.run(milliseconds(100));
    FakeLink& second = bench.leader();
    CHECK(nonce_sent(second) == nonce);
    bench.open(second);
    bench.answer(second, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    bench.run(milliseconds(100));
    CHECK(nonce_sent(second) != nonce);
  }

  TEST_CASE("void: everything from the missing sequence on is sent again, in order") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append("c");
    bench.commands(link);
    bench.answer(link, {kSession, {2}, 1, Outcome::resend, {}, {1}});
    bench.answer(link, {kSession, {3}, 1, Outcome::resend, {}, {1}});
    bench.run(milliseconds(30));
    CHECK(bench.commands(link) == Commands{"append 1 a b c"});
  }

  // Twice in a row the same refusal must not be taken for a stale answer.
  TEST_CASE("overloaded: sent again after the time asked for, as often as it takes") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    for (int i = 0; i < 5; ++i) {
      CHECK(bench.commands(link) == Commands{"append 1 a"});
      bench.answer(link, {kSession, {1}, 1, Outcome::overloaded, {}, {}});
      CHECK(bench.commands(link).empty());
      bench.run(milliseconds(40));
    }
    CHECK(bench.told.empty());
  }

  TEST_CASE("a lost answer: a later outcome shows it, and the earlier append is sent again") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.commands(link);
    bench.answer(link, {kSession, {2}, 1, Outcome::ok, {2}, {}});
    bench.run(milliseconds(30));
    CHECK(bench.commands(link) == Commands{"append 1 a"});
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{1});
    CHECK(bench.told.at("b").result.lsn == Lsn{2});
  }

  TEST_CASE("an answer that is known in part: the rest gets its own LSNs") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.append("c");
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {10}, {}});
    bench.answer(link, {kSession, {1}, 3, Outcome::ok, {10}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{10});
    CHECK(bench.told.at("b").result.lsn == Lsn{11});
    CHECK(bench.told.at("c").result.lsn == Lsn{12});
  }

  TEST_CASE("unknown: the same sequences go to the leader that was hinted at") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.append("b");
    bench.commands(old);
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    CHECK(link.address == Address{"z", 9});
    CHECK(bench.commands(link) == Commands{"append 1 a b"});
    CHECK(bench.told.empty());
  }

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

  TEST_CASE("read of one node: why it does not answer") {
    Bench bench;
    std::optional<Errc> error;
    std::string detail;
    ReadOptions options;
    options.lsn_begin = {1};
    options.node = {1};
    options.timeout = seconds(1);
    bench.core->read(options, [&](std::optional<Errc> e, ReadResult result) {
      error = e;
      detail = result.detail;
    });
    bench.run();
    for (int i = 0; i < 200 && !error; ++i) {
      FakeLink& link = bench.leader();
      for (const net::Message& message : std::exchange(link.sent, {})) {
        const auto* read = std::get_if<net::Read>(&message);
        if (read == nullptr) continue;
        net::ReadAnswer result;
        result.request = read->request;
        result.outcome = Outcome::not_leader;
        result.detail = "gone_back: it has forgotten";
        bench.say(link, result);
      }
      bench.run(milliseconds(10));
    }
    REQUIRE(error);
    CHECK(*error == Errc::timed_out);
    CHECK(detail.ends_with(": gone_back: it has forgotten"));
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

  TEST_CASE(
      "read: a large answer that is coming is waited for; after one that was not, less is asked") {
    Bench bench;
    bench.core->read({}, [](std::optional<Errc>, const ReadResult&) {});
    const auto asked = [](FakeLink& link) {
      net::Read last;
      for (const net::Message& message : link.sent) {
        if (const auto* read = std::get_if<net::Read>(&message)) last = *read;
      }
      return last;
    };
    FakeLink& link = bench.leader();
    const Address slow = link.address;
    CHECK(asked(link).bytes_max == 1 << 20);
    for (int i = 0; i < 50; ++i) {
      link.receiving += 1000;
      bench.run(milliseconds(40));
    }
    REQUIRE(bench.dialer.links.back()->address == slow);
    bench.run(milliseconds(700));  // Nothing more comes.
    FakeLink& other = bench.leader();
    CHECK_FALSE(other.address == slow);
    bench.run(milliseconds(200));
    CHECK(asked(other).bytes_max == 1 << 18);
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

  // A deadline consumes the sequence, so that what follows keeps its order.
  TEST_CASE("deadline: told as unknown, and the sequence is skipped when it is sent again") {
    Bench bench;
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.run(milliseconds(400));
    CHECK(bench.told.at("a").error == Errc::timed_out);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK_FALSE(bench.told.at("a").result.detail.empty());
    bench.commands(link);
    bench.answer(link, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& next = bench.leader();
    // One only, until it is known to lead: the others may be many.
    CHECK(bench.commands(next) == Commands{"skip 1 x1"});
    bench.answer(next, {kSession, {1}, 1, Outcome::skipped, {}, {}});
    CHECK(bench.commands(next) == Commands{"append 2 b"});
    bench.answer(next, {kSession, {2}, 1, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("b").result.lsn == Lsn{1});
  }

  TEST_CASE("deadline: of what was never sent is told as definite") {
    Bench bench;
    bench.append("a", milliseconds(300));
    bench.leader();  // No session is granted.
    bench.run(milliseconds(400));
    CHECK(bench.told.at("a").error == Errc::timed_out);
    CHECK_FALSE(bench.told.at("a").result.may_be_appended);
  }

  // Sequences that nobody waits for any more are not given to others.
  TEST_CASE("another cluster: what is appended afterwards gets an answer of its own") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    link.handler->on_closed("gone");
    bench.run(milliseconds(100));
    bench.leader(8);
    for (const char* text : {"a", "b"}) {
      REQUIRE(bench.told.contains(text));
      CHECK(bench.told.at(text).error == Errc::refused);
      CHECK(bench.told.at(text).result.may_be_appended);
    }
    bench.append("c");
    bench.run(milliseconds(500));
    FakeLink& again = bench.leader();
    bench.answer(again, {kSession, {1}, 2, Outcome::ok, {40}, {}});  // Late, of "a" and "b".
    CHECK_FALSE(bench.told.contains("c"));
    bench.open(again, 6);
    const auto commands = bench.commands(again);
    CHECK(commands == std::vector<std::string>{"append 1 c"});
    bench.answer(again, {{6}, {1}, 1, Outcome::ok, {42}, {}});
    CHECK(bench.told.at("c").result.lsn == Lsn{42});
  }

  TEST_CASE("another cluster: one node of it is passed over while others serve") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.core->status(milliseconds(500), [](const auto&) {});
    bench.run(milliseconds(50));
    FakeLink* foreign = nullptr;
    for (FakeLink* each : bench.dialer.links) {
      if (each != &link) foreign = each;
    }
    REQUIRE(foreign != nullptr);
    net::Hello hello;
    hello.node = {2};
    hello.cluster_id = 8;
    bench.say(*foreign, hello);
    bench.run(milliseconds(50));
    CHECK_FALSE(bench.told.contains("a"));
    bench.answer(link, {kSession, {1}, 1, Outcome::ok, {4}, {}});
    CHECK(bench.told.at("a").result.lsn == Lsn{4});
  }

  TEST_CASE("forgotten: unknown is said as unknown") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::forgotten, {}, {}});
    bench.answer(link, {kSession, {2}, 1, Outcome::ok, {7}, {}});
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK(bench.told.at("b").result.lsn == Lsn{7});
  }

  TEST_CASE("a full table of sessions: told at once, and nothing was sent") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.leader();
    bench.append("b");
    std::uint64_t nonce = 0;
    for (const net::Message& message : link.sent) {
      if (const auto* open = std::get_if<net::OpenSession>(&message)) nonce = open->nonce;
    }
    bench.say(link, net::SessionOpened{nonce, Outcome::overloaded, {}, {}, 20});
    CHECK(bench.told.empty());  // A moment's overload is tried again.
    bench.run(milliseconds(100));
    bench.say(link, net::SessionOpened{nonce, Outcome::overloaded, {}, {}, 0});
    for (const char* text : {"a", "b"}) {
      REQUIRE(bench.told.contains(text));
      CHECK(bench.told.at(text).error == Errc::overloaded);
      CHECK_FALSE(bench.told.at(text).result.may_be_appended);
      CHECK(bench.told.at(text).result.retry_after > milliseconds(0));
      CHECK(bench.told.at(text).result.detail.find("table of sessions") != std::string::npos);
    }
    bench.append("c");  // The next one tries again.
    bench.run(milliseconds(100));
    bench.ready();
    CHECK_FALSE(bench.told.contains("c"));
  }

  TEST_CASE("no_space: definite if no attempt was proposed, also for what stood after it") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
    for (const char* text : {"a", "b"}) {
      CHECK(bench.told.at(text).result.retry_after > milliseconds(0));
      CHECK(bench.told.at(text).error == Errc::no_space);
      CHECK_FALSE(bench.told.at(text).result.may_be_appended);
    }
  }

  TEST_CASE("no_space: not told while an earlier attempt may have been proposed") {
    Bench bench;
    bench.append("a", seconds(5));
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
    CHECK(bench.told.empty());
    SUBCASE("it is in the log") {
      bench.answer(link, {kSession, {1}, 1, Outcome::ok, {4}, {}});
      CHECK(bench.told.at("a").result.lsn == Lsn{4});
    }
    SUBCASE("until its time is up, and then why it waited") {
      for (int i = 0; i < 30; ++i) {
        bench.run(milliseconds(200));
        bench.answer(link, {kSession, {1}, 1, Outcome::no_space, {}, {}});
      }
      CHECK(bench.told.at("a").error == Errc::timed_out);
      CHECK(bench.told.at("a").result.may_be_appended);
      CHECK(bench.told.at("a").result.detail == "z:9: the cluster's disks are full");
    }
  }

  TEST_CASE("session_expired: what was surely not appended goes into a new session") {
    Bench bench;
    bench.append("a");
    FakeLink& link = bench.ready();
    bench.append("b");
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    CHECK(bench.told.empty());
    bench.open(link, 9);
    const Commands sent = bench.commands(link);
    CHECK(sent.back() == "append 1 a b");
    bench.answer(link, {{9}, {1}, 2, Outcome::ok, {1}, {}});
    CHECK(bench.told.at("b").result.lsn == Lsn{2});
  }

  TEST_CASE("session_expired: what may have been appended before is told so, and not sent again") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    FakeLink& link = bench.leader();
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
  }

  // The refusal speaks of what takes the append back, not of the append before that.
  TEST_CASE("session_expired: of what was to be taken back is told as unknown") {
    ClientOptions options;
    options.stop_at_failure = true;
    Bench bench(options);
    bench.append("a", milliseconds(300));
    FakeLink& link = bench.ready();
    bench.run(milliseconds(400));
    REQUIRE_FALSE(bench.told.contains("a"));
    bench.answer(link, {kSession, {1}, 1, Outcome::session_expired, {}, {}});
    REQUIRE(bench.told.contains("a"));
    CHECK(bench.told.at("a").error == Errc::session_expired);
    CHECK(bench.told.at("a").result.may_be_appended);
  }

  TEST_CASE("too_large: told in its own turn, and its neighbours are appended") {
    Bench bench;
    bench.append("a");
    bench.append(std::string(2000, 'x'));
    bench.append("c");
    FakeLink& link = bench.ready();
    CHECK(bench.told.at(std::string(2000, 'x')).error == Errc::too_large);
    CHECK(bench.commands(link) == Commands{"append 1 a", "skip 2 x1", "append 3 c"});
  }

  TEST_CASE("a node of another cluster is not used") {
    Bench bench;
    bench.append("a");
    FakeLink& old = bench.ready();
    bench.answer(old, {kSession, {}, 0, Outcome::unknown, {}, {}}, "z:9");
    bench.run(milliseconds(100));
    const FakeLink* stranger = &bench.leader(1234);
    // It is left as soon as it says who it is.
    const auto& links = bench.dialer.links;
    CHECK(std::find(links.begin(), links.end(), stranger) == links.end());
  }

  TEST_CASE("tail: what does not join is not delivered, and asked for again") {
    Bench bench;
    std::vector<std::uint64_t> seen;
    std::function<void(Lsn)> next = [&](Lsn from) {
      bench.core->tail(from, [&](std::optional<Errc> error, ReadResult result) {
        if (error) return;  // The end of the test.
        for (const Entry& entry : result.entries) seen.push_back(entry.lsn.value);
        next(result.lsn_next);
      });
    };
    next({1});
    bench.run();
    FakeLink& link = bench.leader();
    const auto request = [](FakeLink& at) {
      net::Tail last;
      for (const net::Message& message : at.sent) {
        if (const auto* tail = std::get_if<net::Tail>(&message)) last = *tail;
      }
      return last;
    };
    std::vector<std::byte> two;
    put_entry(std::as_bytes(std::span("x")), two);
    put_entry(std::as_bytes(std::span("y")), two);
    bench.say(link, net::TailEntries{request(link).request, {1}, 2, {to_slice(two)}});
    CHECK(seen == std::vector<std::uint64_t>{1, 2});
    bench.say(link, net::TailEntries{request(link).request, {4}, 2, {to_slice(two)}});
    CHECK(seen.size() == 2);
    bench.run(milliseconds(200));
    FakeLink& again = bench.leader();
    bench.run(milliseconds(100));
    CHECK(request(again).lsn_begin == Lsn{3});
  }

  TEST_CASE("close: everything pending ends, and nothing is dialled again") {
    Bench bench;
    bench.append("a");
    bench.ready();
    bench.core->close();
    bench.run(seconds(2));
    CHECK(bench.told.at("a").error == Errc::shutting_down);
    CHECK(bench.told.at("a").result.may_be_appended);
    CHECK(bench.dialer.links.empty());
    // A later operation begins anew.
    bench.append("b");
    CHECK(bench.dialer.links.size() == 1);
  }
}

}  // namespace stele::log
