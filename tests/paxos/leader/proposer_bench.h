// A proposer, and what the test lets the others say to it.
#pragma once

#include "paxos/leader/proposer.h"

#include <doctest/doctest.h>

#include <deque>
#include <set>
#include <utility>

#include "tests/support/nodes.h"

namespace stele::paxos::proposer_bench {

using std::chrono::milliseconds;

/// Node 1's proposer, and what the test lets the others say to it.
struct Bench {
  explicit Bench(std::uint64_t window = 4, Slot chosen_end = {1})
      : proposer(kN1, three_nodes(), {.timing = {}, .seed = 1, .window = window}, {}, chosen_end,
                 milliseconds(0)) {}

  Proposer::Effects tick(Duration passed) {
    now += passed;
    Proposer::Effects out;
    proposer.tick(now, out);
    return out;
  }
  Proposer::Effects hear(NodeId source, Body body) {
    Proposer::Effects out;
    proposer.step(now, source, message(std::move(body)), out);
    return out;
  }
  Proposer::Effects propose(std::string_view text) {
    Proposer::Effects out;
    proposer.propose(now, value(text), out);
    return out;
  }

  /// Lets the time-out pass and the others have lost the leader, too: until it prepares.
  Proposer::Effects campaign() {
    for (int i = 0; i < 1000; ++i) {
      Proposer::Effects out = tick(milliseconds(10));
      if (!all_of<Prepare>(out.sends).empty()) return out;
      for (const PreVote& ask : all_of<PreVote>(out.sends)) {
        hear(kN2, PreVoteAnswer{ask.attempt, true, 0, {1}});
      }
    }
    return {};
  }

  Promise promise(std::vector<SlotRecord> accepted = {}, Slot chosen_end = {1}) const {
    Slot end = chosen_end;
    if (!accepted.empty()) end = std::max(end, accepted.back().slot + 1);
    return {proposer.ballot(), {1}, end, true, chosen_end, std::move(accepted)};
  }

  /// Leads after promises without any votes.
  Proposer::Effects lead() {
    campaign();
    hear(kN1, promise());
    return hear(kN2, promise());
  }

  void accepted(NodeId source, std::uint64_t begin, std::uint64_t end, Proposer::Effects& out) {
    proposer.step(now, source, message(Accepted{proposer.ballot(), {begin}, {end}}), out);
  }

  /// Both followers and the own acceptor confirm the newest heartbeat.
  void confirm(const Proposer::Effects& out) {
    for (const Heartbeat& beat : all_of<Heartbeat>(out.sends)) {
      for (NodeId node : {kN1, kN2, kN3}) {
        hear(node, HeartbeatAck{beat.ballot, beat.beat, beat.ballot, {1}, false});
      }
    }
  }

  /// The nodes to which accepts are sent within `ms`, while all nodes live.
  NodeSet again(int ms) {
    NodeSet receivers;
    for (int i = 0; i < ms / 10; ++i) {
      const auto out = tick(milliseconds(10));
      confirm(out);
      for (const Send& send : out.sends) {
        if (std::holds_alternative<Accept>(send.message.body)) receivers.insert(send.to);
      }
    }
    return receivers;
  }

  Proposer proposer;
  Time now{};
};

}  // namespace stele::paxos::proposer_bench
