// Everything that crosses a connection: the handshake, what nodes say to nodes (paxos/message.h),
// and what clients and nodes say to each other. Plain values; net/wire/codec turns them into bytes
// and back.
#pragma once

#include <stele/retention.h>
#include <stele/status.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "paxos/base/identity.h"
#include "paxos/base/ids.h"
#include "paxos/base/outcome.h"
#include "paxos/base/value.h"
#include "paxos/message.h"

namespace stele::net {

/// LSNs, slots, and all that is counted, are below 2^62.
[[nodiscard]] constexpr bool is_counter(std::uint64_t number) {
  return number < (std::uint64_t{1} << 62);
}

inline constexpr std::uint16_t kProtocolVersion = 4;

/// The other side of a connection: what it may say depends on it.
enum class Speaker : std::uint8_t {
  stranger,   ///< Has dialled, and not said what it is: says a hello.
  client,     ///< What clients ask of nodes.
  server,     ///< A node that a client has dialled.
  node,       ///< A node that has dialled this one, and is a member: what the roles say.
  listening,  ///< A node that this one has dialled: it answers the handshake.
};

/// The first frame in each direction.
struct Hello {
  enum class Kind : std::uint8_t { peer = 0, client = 1 };
  std::uint16_t protocol_version = kProtocolVersion;
  Kind kind = Kind::peer;
  std::string cluster_name;
  std::uint64_t cluster_id = 0;       // 0: not born, or a client that does not know.
  NodeId node;                        // {} for clients, otherwise the sender.
  std::uint64_t incarnation = 0;      // Of the sender's data directory.
  std::vector<Member> members;        // The list it was born with; empty before birth.
  std::uint64_t entry_bytes_max = 0;  // What a node accepts; 0 from clients.
  std::string software;               // "stele 0.1.0".
  std::vector<NodeId> configured;     // Of nodes: the members that this start was told, ascending.
  std::uint8_t q1 = 0;                // Of nodes: how many promises end phase 1.
  std::uint8_t q2 = 0;                // Of nodes: how many votes choose a value.
  std::uint64_t starts = 0;  // Of nodes: how often the directory was started, this time too.
  std::vector<Start> recent_starts;  // Of nodes: the starts that matter, the newest first.

  bool operator==(const Hello&) const = default;
};

/// Instead of a Hello, or any time later: why the connection is closed, as a sentence.
struct Refused {
  std::string reason;

  bool operator==(const Refused&) const = default;
};

/// Now and then, from node to node: what it has heard of all, itself first, and hashes of its
/// state.
struct Report {
  std::vector<Sighting> sightings;
  std::vector<StatePoint> points;
  Slot durable_end;  ///< All slots below are chosen and durable there; {}: it does not say.

  bool operator==(const Report&) const = default;
};

/// Asks for a session.
struct OpenSession {
  std::uint64_t nonce = 0;   // Drawn by the client; the answer repeats it.
  std::uint32_t window = 0;  // Appends in flight at most.
  std::uint32_t ttl_ms = 0;  // Log time without a command after which the session expires.

  bool operator==(const OpenSession&) const = default;
};

/// The answer to an OpenSession.
struct SessionOpened {
  std::uint64_t nonce = 0;
  Outcome outcome = Outcome::ok;
  SessionId session;
  std::string leader;          // "host:port" or empty.
  std::uint32_t retry_ms = 0;  // 0, with `overloaded`: the table of sessions is full.

  bool operator==(const SessionOpened&) const = default;
};

/// Commands for the log (appends, skips, closes), of one session or of several, one after the
/// other: the bytes are in the format of log/format/command.h.
struct Append {
  Slice commands;
};

/// What became of commands, in the order in which that was known.
struct AppendResults {
  std::vector<CommandResult> results;
  std::string leader;  // "host:port" or empty.
  std::uint32_t retry_ms = 0;

  bool operator==(const AppendResults&) const = default;
};

/// Asks for entries of [lsn_begin, lsn_end), as many as fit into `bytes_max` bytes.
struct Read {
  static constexpr bool kLargeAnswers = true;

  std::uint64_t request = 0;
  Lsn lsn_begin;
  Lsn lsn_end;  // {}: the present end.
  std::uint32_t bytes_max = 0;
  bool linearizable = false;  // Otherwise this node's own applied state.
  bool retention = false;     // What is kept is asked for, and no entries.

  bool operator==(const Read&) const = default;
};

/// Entries [lsn_begin, lsn_begin + count), as many as fit; `entries` in the entry format of
/// log/format/command.h.
struct ReadAnswer {
  std::uint64_t request = 0;
  Outcome outcome = Outcome::ok;
  Lsn lsn_begin;
  std::uint32_t count = 0;
  Lsn lsn_end;    // The end of the log as this node has applied it.
  Lsn first_lsn;  // The first entry that is not trimmed.
  std::string detail;
  std::string leader;
  std::uint32_t retry_ms = 0;
  std::vector<Slice> entries;
  std::optional<RetentionReport> retention = {};  // If asked for; LSNs stand beside it.
};

/// Pushes entries from `lsn_begin` on ({}: from the next one) as they are applied.
struct Tail {
  static constexpr bool kLargeAnswers = true;

  std::uint64_t request = 0;
  Lsn lsn_begin;
  std::uint32_t credit_bytes = 0;

  bool operator==(const Tail&) const = default;
};

/// Lets the node push so many more bytes of a tail.
struct TailCredit {
  static constexpr bool kLargeAnswers = true;

  std::uint64_t request = 0;
  std::uint32_t credit_bytes = 0;

  bool operator==(const TailCredit&) const = default;
};

/// Entries of a tail; count 0 tells where a tail "from now" begins.
struct TailEntries {
  std::uint64_t request = 0;
  Lsn lsn_begin;
  std::uint32_t count = 0;
  std::vector<Slice> entries;
};

/// The node stops serving a tail; the client goes on elsewhere, from where it was.
struct TailEnd {
  std::uint64_t request = 0;
  Outcome outcome = Outcome::ok;
  Lsn first_lsn;
  std::string detail;
  std::string leader;

  bool operator==(const TailEnd&) const = default;
};

/// Asks a node what it says of itself.
struct StatusAsk {
  std::uint64_t request = 0;

  bool operator==(const StatusAsk&) const = default;
};

/// The answer to a StatusAsk.
struct StatusAnswer {
  std::uint64_t request = 0;
  NodeReport report;

  bool operator==(const StatusAnswer&) const = default;
};

/// Nothing: the sender lives.
struct KeepAlive {
  bool operator==(const KeepAlive&) const = default;
};

using Message = std::variant<Hello, Refused, paxos::Message, Report, OpenSession, SessionOpened,
                             Append, AppendResults, Read, ReadAnswer, Tail, TailCredit, TailEntries,
                             TailEnd, StatusAsk, StatusAnswer, KeepAlive>;

/// What is answered by much, or for long: a client does not share the connection for that.
[[nodiscard]] inline bool has_large_answers(const Message& message) {
  return std::visit(
      []<class M>(const M&) {
        return requires { M::kLargeAnswers; };
      },
      message);
}

}  // namespace stele::net
