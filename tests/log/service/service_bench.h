// A node that leads, and its service; the test plays the clients.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "log/service/service.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"
#include "tests/support/commands.h"
#include "tests/support/fake_link.h"
#include "tests/support/nodes_in_process.h"
#include "tests/support/state.h"

namespace stele::log {

class NoTransport final : public net::Transport {
  void send(NodeId, const paxos::Message&) override {}
  [[nodiscard]] paxos::Progress progress(NodeId) const override { return {}; }
};

class FixedView final : public NodeView {
  [[nodiscard]] std::string leader_address() const override { return "leader:1"; }
  [[nodiscard]] NodeReport status() const override { return {}; }
};

/// One node that leads, over a disk that is synced when the test says so; clients are fake links.
class ServiceBench {
 public:
  explicit ServiceBench(const Sessions::Bounds& bounds = {}, std::size_t connections = 4096)
      : session_bounds(bounds), connections_max(connections) {
    service.attach(&replica);
    for (int i = 0; i < 200 && !replica.caught_up(); ++i) {
      loop.advance(std::chrono::milliseconds(10));
      sync();
    }
    REQUIRE(replica.caught_up());
  }

  FakeLink& connect() {
    auto link = std::make_unique<FakeLink>(Address{}, nullptr, links);
    FakeLink& added = *link;
    service.add(std::move(link));
    return added;
  }
  void say(FakeLink& link, net::Message message) {
    if (link.handler != nullptr) link.handler->on_message(std::move(message));
    loop.run();
  }
  void append(FakeLink& link, std::uint64_t sequence, std::vector<std::string> entries) {
    say(link, net::Append{append_command(session, {sequence}, std::move(entries))});
  }
  void sync() {
    for (int i = 0; i < 5; ++i) {
      store.sync();
      loop.run();
    }
  }
  void open(FakeLink& link) {
    say(link, net::OpenSession{77, 100, 60'000});
    sync();
    session = std::get<net::SessionOpened>(link.sent.back()).session;
    link.sent.clear();
  }
  /// The results told on a link since the last call, in short: "1x2=ok@1".
  static std::vector<std::string> results(FakeLink& link) {
    std::vector<std::string> found;
    for (const net::Message& message : std::exchange(link.sent, {})) {
      const auto* results = std::get_if<net::AppendResults>(&message);
      if (results == nullptr) continue;
      for (const CommandResult& result : results->results) {
        std::string text =
            std::to_string(result.sequence.value) + "x" + std::to_string(result.count) + "=";
        switch (result.outcome) {
          case Outcome::ok: text += "ok@" + std::to_string(result.lsn.value); break;
          case Outcome::resend: text += "resend@" + std::to_string(result.resend_from.value); break;
          case Outcome::session_expired: text += "session_expired"; break;
          case Outcome::shutting_down: text += "shutting_down"; break;
          case Outcome::too_large: text += "too_large"; break;
          case Outcome::not_leader: text += "not_leader"; break;
          default: text += "other"; break;
        }
        found.push_back(text);
      }
    }
    return found;
  }
  std::uint64_t entries() const { return replica.state().numbers().next_lsn.value - 1; }
  std::uint64_t slots() const { return replica.state().numbers().chosen_end.value; }

  Sessions::Bounds session_bounds;
  std::size_t connections_max;
  sim::SimLoop loop{1};
  sim::Disk disk;
  sim::MemoryStore store{loop, disk};
  NoTransport transport;
  QuietEvents events;
  std::vector<FakeLink*> links;
  FixedView view;
  ClientService service{
      {.entry_bytes_max = 1000, .connections_max = connections_max, .answer_bytes_max = 1 << 20},
      loop,
      events,
      view};
  Replica replica{{.self = {1},
                   .configuration = *paxos::Configuration::make({{1}}),
                   .proposer = {},
                   .limits = {},
                   .reserve_bytes = 0},
                  loop,
                  store,
                  transport,
                  events,
                  store.load()->acceptor,
                  state_of(store, known_sections(session_bounds)),
                  service};
  SessionId session;
};

using Results = std::vector<std::string>;

}  // namespace stele::log
