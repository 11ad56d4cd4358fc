#include "log/replica/replica.h"

#include <doctest/doctest.h>

#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/nodes.h"
#include "tests/support/nodes_in_process.h"
#include "tests/support/state.h"

namespace stele::log {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// One of three nodes; the others are what the test says.
class Bench final : public net::Transport, public ReplicaListener {
 public:
  explicit Bench(ProposerActor::Limits proposer_limits = {}) : limits(proposer_limits) {}

  void send(NodeId to, const paxos::Message& message) override { sent.push_back({to, message}); }
  [[nodiscard]] paxos::Progress progress(NodeId) const override { return {}; }
  void on_applied(const LogState::Applied&) override {}
  void on_turn_end() override {}
  void on_dropped(const Slice&, Outcome) override {}
  void on_stopped() override {}

  void pass(Duration lasts) {
    for (Duration passed{}; passed < lasts; passed += milliseconds(10)) {
      loop.advance(milliseconds(10));
      store.sync();
      loop.run();
    }
  }
  void hear(NodeId from, paxos::Body body) {
    replica.deliver(from, paxos::message(std::move(body)));
    loop.run();
  }

  /// The others have quick disks, and follow.
  void others_answer() {
    loop.run();
    for (const paxos::Send& asked : std::exchange(sent, {})) {
      if (const auto* vote = std::get_if<paxos::PreVote>(&asked.message.body)) {
        hear(asked.to, paxos::PreVoteAnswer{vote->attempt, true, 0, {1}});
      } else if (const auto* prepare = std::get_if<paxos::Prepare>(&asked.message.body)) {
        hear(asked.to,
             paxos::Promise{
                 prepare->ballot, prepare->slot_begin, prepare->slot_begin, true, {1}, {}});
      } else if (const auto* accept = std::get_if<paxos::Accept>(&asked.message.body)) {
        hear(asked.to, paxos::Accepted{accept->ballot, accept->slot, accept->slot + 1});
        if (asked.to == paxos::kN2) ++proposed;
      } else if (const auto* beat = std::get_if<paxos::Heartbeat>(&asked.message.body)) {
        hear(asked.to, paxos::Heard{beat->ballot, beat->beat});
      }
    }
  }

  ProposerActor::Limits limits;
  int proposed = 0;  // Slots that the others have voted for.
  sim::SimLoop loop{1};
  sim::Disk disk;
  sim::MemoryStore store{loop, disk};
  QuietEvents events;
  std::vector<paxos::Send> sent;
  Replica replica{{.self = paxos::kN1,
                   .configuration = paxos::three_nodes(),
                   .proposer = {},
                   .limits = limits,
                   .reserve_bytes = 0},
                  loop,
                  store,
                  *this,
                  events,
                  store.load()->acceptor,
                  state_of(store),
                  *this};
};

}  // namespace

TEST_SUITE("log.replica") {
  TEST_CASE("a node that lags says by how much, and why, until it has caught up") {
    Bench bench;
    bench.pass(milliseconds(100));
    CHECK(bench.replica.fault().empty());
    bench.replica.hear_of(paxos::kN2, {3});
    bench.pass(seconds(1));
    CHECK(bench.replica.fault().empty());  // Every node lags for a moment now and then.
    bench.pass(seconds(2));
    CHECK(bench.replica.fault() ==
          "lags by 2 slots at least: hears no leader, and fetches from those who have heard one");
    CHECK(bench.events.counts["lags"] == 1);
    bench.hear(paxos::kN2, paxos::Fetched{{1},
                                          {3},
                                          {paxos::record(1, {1, paxos::kN2}, ""),
                                           paxos::record(2, {1, paxos::kN2}, "")}});
    bench.pass(seconds(1));
    CHECK(bench.replica.fault() == "hears no leader");
    CHECK(bench.events.counts["caught_up"] == 1);
    bench.hear(paxos::kN2, paxos::Heartbeat{{1, paxos::kN2}, 1});
    bench.pass(milliseconds(100));
    CHECK(bench.replica.fault().empty());
  }

  TEST_CASE("a leader waits for its own disk, also where the others choose without it") {
    Bench bench({.backlog_bytes_max = 3000});
    for (int i = 0; i < 200 && !bench.replica.caught_up(); ++i) {
      bench.pass(milliseconds(10));
      bench.others_answer();
    }
    REQUIRE(bench.replica.caught_up());
    bench.proposed = 0;
    const Slice command = append_command({1}, {1}, {std::string(1000, 'x')});
    const auto submit = [&] {
      for (int i = 0; i < 10; ++i) {
        CHECK(bench.replica.submit(CommandKind::append, command) == Outcome::ok);
        bench.others_answer();
      }
    };
    submit();
    CHECK(bench.proposed == 3);
    CHECK(bench.replica.state().numbers().chosen_end.value > 3);  // They are chosen all the same.
    bench.pass(milliseconds(20));                                 // It has written them.
    bench.others_answer();
    submit();
    CHECK(bench.proposed > 3);
  }

  // A leader says what is chosen after its accepts.
  TEST_CASE("who hears a leader does not fetch what others have before it") {
    Bench bench;
    for (int i = 0; i < 20; ++i) {
      bench.hear(paxos::kN2, paxos::Heartbeat{{1, paxos::kN2}, 1});
      bench.replica.hear_of(paxos::kN3, {3});
      bench.pass(milliseconds(100));
    }
    for (const paxos::Send& send : bench.sent) {
      CHECK_FALSE(std::holds_alternative<paxos::Fetch>(send.message.body));
    }
    bench.pass(seconds(2));  // It is gone.
    bench.replica.hear_of(paxos::kN3, {3});
    bench.pass(milliseconds(100));
    CHECK(std::ranges::any_of(bench.sent, [](const paxos::Send& send) {
      return send.to == paxos::kN3 && std::holds_alternative<paxos::Fetch>(send.message.body);
    }));
  }
}

}  // namespace stele::log
