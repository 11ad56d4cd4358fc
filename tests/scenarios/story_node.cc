#include "tests/scenarios/story_node.h"

#include <utility>

#include "tests/support/state.h"

namespace stele::sim {

void StoryNode::start(SimLoop& loop, const paxos::Configuration& configuration) {
  store = std::make_unique<MemoryStore>(loop, disk);
  log::Replica::Options options{.self = id_,
                                .configuration = configuration,
                                .proposer = {.timing = {}, .seed = id_.value},
                                .limits = {},
                                .reserve_bytes = 1000};
  replica = std::make_unique<log::Replica>(std::move(options), loop, *store, *this, events_,
                                           store->load()->acceptor, log::state_of(*store), *this);
}

void StoryNode::send(NodeId to, const paxos::Message& message) {
  told_.messages.push_back({id_, to, message});
}

void StoryNode::on_applied(const log::LogState::Applied& applied) {
  if (!replica || !replica->proposer().leads()) return;
  for (const log::LogState::Opened& opened : applied.opened) {
    told_.sessions[told_.opening.at(opened.nonce)].id = opened.session;
  }
  for (auto& [name, session] : told_.sessions) {
    bool first = true;
    for (const CommandResult& result : applied.results) {
      if (result.session != session.id) continue;
      if (std::exchange(first, false)) session.results.clear();
      session.results.push_back(result);
    }
  }
}

}  // namespace stele::sim
