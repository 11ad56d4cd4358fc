// One node of a story, and what all of them have said.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "log/replica/replica.h"
#include "tests/sim/disk/memory_store.h"
#include "tests/sim/nodes/sim_loop.h"

namespace stele::sim {

struct InFlight {
  NodeId from;
  NodeId to;
  paxos::Message message;
};

struct ClientSession {
  SessionId id;
  Sequence next{1};
  std::vector<CommandResult> results;
};

/// A story's bag of messages, and its clients' sessions.
struct Told {
  std::vector<InFlight> messages;
  std::map<std::string, ClientSession> sessions;
  std::map<std::uint64_t, std::string> opening;
};

/// A replica over a memory store.
class StoryNode final : public net::Transport, public log::ReplicaListener {
 public:
  StoryNode(Told& told, NodeId id) : told_(told), id_(id) {}

  void start(SimLoop& loop, const paxos::Configuration& configuration);
  void crash() {
    replica.reset();
    store.reset();
    disk.lose_power(0);
  }

  void send(NodeId to, const paxos::Message& message) override;
  [[nodiscard]] paxos::Progress progress(NodeId) const override { return {}; }
  void on_applied(const log::LogState::Applied& applied) override;
  void on_turn_end() override {}
  void on_dropped(const Slice&, Outcome) override {}
  void on_stopped() override {}

  Disk disk;
  std::unique_ptr<MemoryStore> store;
  std::unique_ptr<log::Replica> replica;

 private:
  class NoEvents final : public Events {
    void event(EventLevel, std::string_view, std::initializer_list<EventField>) override {}
  };

  Told& told_;
  NodeId id_;
  NoEvents events_;
};

}  // namespace stele::sim
