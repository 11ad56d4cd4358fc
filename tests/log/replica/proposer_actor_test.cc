#include "log/replica/proposer_actor.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/nodes.h"

namespace stele::log {
namespace {

using paxos::all_of;
using paxos::kN1;
using paxos::kN2;
using paxos::kN3;
using std::chrono::milliseconds;

/// Node 1 leads; what the acceptors say to it is for the test.
struct Bench final : ProposerListener {
  Bench() {
    while (all_of<paxos::Prepare>(sends).empty()) {
      turn();
      for (const auto& ask : all_of<paxos::PreVote>(sends)) {
        hear(kN2, paxos::PreVoteAnswer{ask.attempt, true, 0, {1}});
      }
    }
    for (NodeId node : {kN1, kN2}) {
      hear(node, paxos::Promise{actor.role().ballot(), {1}, {1}, true, {1}, {}});
    }
    REQUIRE(actor.role().leads());
    sends.clear();
  }

  void turn() {
    loop.advance(milliseconds(10));
    actor.tick();
  }
  void hear(NodeId node, paxos::Body body) {
    actor.tell({node, paxos::message(std::move(body))});
    loop.advance(milliseconds(1));
  }
  /// All say that they live, and whether they have room.
  void answer(bool no_space, bool no_upkeep = false) {
    const Ballot ballot = actor.role().ballot();
    turn();
    for (const auto& beat : all_of<paxos::Heartbeat>(std::exchange(sends, {}))) {
      for (NodeId node : {kN1, kN2, kN3}) {
        hear(node, paxos::HeartbeatAck{ballot, beat.beat, ballot, {1}, no_space, no_upkeep});
      }
    }
  }
  void submit(const std::string& text) {
    CHECK(actor.submit(CommandKind::append, append_command({5}, {1}, {text})) == Outcome::ok);
    loop.advance(milliseconds(1));
  }

  void send(paxos::Send send) override { sends.push_back(std::move(send)); }
  [[nodiscard]] paxos::Progress progress(NodeId) const override { return {}; }
  void on_began(Ballot) override {}
  void on_dropped(const Slice&, Outcome why) override { dropped.push_back(why); }
  void on_stopped(std::string_view) override {}
  void on_slow_disk(paxos::Proposer::SlowDisk) override {}
  void on_read_ready(std::uint64_t, Slot) override {}
  void on_read_refused(std::uint64_t) override {}
  [[nodiscard]] std::size_t backlog_bytes() const override { return 0; }
  [[nodiscard]] bool lags_far() const override { return false; }

  sim::SimLoop loop{1};
  std::vector<paxos::Send> sends;
  std::vector<Outcome> dropped;
  ProposerActor actor{
      loop,
      {kN1, paxos::three_nodes(), {.timing = {}, .seed = 1}, {}, {1}, milliseconds(0)},
      {},
      *this};
};

}  // namespace

TEST_SUITE("log.proposer_actor") {
  TEST_CASE("what waits while the others' disks are full is refused, and was never proposed") {
    Bench bench;
    for (int i = 0; i < 10; ++i) bench.answer(true);
    REQUIRE(bench.actor.role().room(bench.loop.now()) == paxos::Proposer::Room::none);
    bench.sends.clear();
    bench.submit("a");
    CHECK(bench.dropped == std::vector{Outcome::no_space});
    CHECK(all_of<paxos::Accept>(bench.sends).empty());
    for (int i = 0; i < 10; ++i) bench.answer(false);
    bench.submit("b");
    CHECK(bench.dropped.size() == 1);
    CHECK(all_of<paxos::Accept>(bench.sends).size() == 3);
  }

  // What makes room was taken when there was some left for it: a slot without votes would keep all
  // reads waiting.
  TEST_CASE("upkeep that waits when nothing is left for it is refused, and was never proposed") {
    Bench bench;
    const auto submit = [&] {
      bench.sends.clear();
      bench.dropped.clear();
      const Outcome taken = bench.actor.submit(CommandKind::trim, trim_command({5}, {1}, {1}));
      CHECK(taken == Outcome::ok);
      bench.loop.advance(milliseconds(1));
    };
    for (int i = 0; i < 10; ++i) bench.answer(true, false);
    submit();
    CHECK(bench.dropped.empty());
    CHECK(all_of<paxos::Accept>(bench.sends).size() == 3);
    for (int i = 0; i < 10; ++i) bench.answer(true, true);
    submit();
    CHECK(bench.dropped == std::vector{Outcome::no_space});
    CHECK(all_of<paxos::Accept>(bench.sends).empty());
  }
}

}  // namespace stele::log
