// Commands for the nodes of a process, sent to whichever leads until they have been applied there.
#pragma once

#include <doctest/doctest.h>

#include "tests/support/commands.h"
#include "tests/support/nodes_in_process.h"

namespace stele::log {

/// `applied`: of the leader's state.
template <class Applied>
void submit(NodesInProcess& nodes, CommandKind kind, const Slice& command, Applied applied) {
  for (int tries = 0; tries < 20; ++tries) {
    REQUIRE(nodes.has_leader());
    const NodeId leader = nodes.leader();
    // The service has it for writing; what a client would send goes the same way.
    auto& replica = const_cast<Replica&>(*nodes.node(leader).replica());
    const bool taken = replica.submit(kind, command) == Outcome::ok;
    // Another leader may not have heard of it: once more, which has no effect if it has.
    const bool done = nodes.run(
        [&] { return (taken && applied(replica.state())) || nodes.leader() != leader || !taken; });
    REQUIRE(done);
    if (taken && applied(replica.state())) return;
  }
  FAIL("twenty changes of the leader");
}

/// The first session of a cluster.
inline SessionId open_session(NodesInProcess& nodes) {
  SessionId session;
  submit(nodes, CommandKind::open_session, open_command(1), [&](const LogState& state) {
    for (Slot slot{1}; slot < state.numbers().chosen_end; ++slot) {
      const SessionId id{slot.value};
      if (state.sessions().next_sequence(id) != Sequence{}) session = id;
    }
    return session != SessionId{};
  });
  return session;
}

/// A command of that one sequence.
inline void submit(NodesInProcess& nodes, CommandKind kind, const Slice& command, SessionId session,
                   Sequence sequence) {
  submit(nodes, kind, command,
         [&](const LogState& state) { return state.sessions().next_sequence(session) > sequence; });
}

}  // namespace stele::log
