// What the client library hands to its users.
#pragma once

#include <stele/address.h>
#include <stele/error.h>
#include <stele/status.h>
#include <stele/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace stele {

/// How a client finds and treats its cluster. A number that is out of its bounds is taken for the
/// nearest one within.
struct ClientOptions {
  /// Some or all nodes; the others are found through them.
  std::vector<Address> addresses = {};
  /// Refuse clusters of another name; empty: any.
  std::string cluster_name = {};
  /// Appends sent and not yet acknowledged at most, 1 to 65536; fixed in the session.
  std::uint32_t window = 4096;
  /// Appends that wait in the client at most, sent or not; more are `overloaded`.
  std::size_t waiting_max = 65536;
  /// Bytes of payloads that wait in the client at most; one append of any size may wait alone. More
  /// are `overloaded`.
  std::size_t waiting_bytes_max = 64 << 20;
  /// The cluster forgets a session that is silent for this long, of the cluster's own time; 1 ms to
  /// an hour.
  std::chrono::milliseconds session_ttl = std::chrono::minutes(15);
  /// Clients on one context with the same number here share a connection to each node for their
  /// appends; each has its own for reads and tails.
  std::uint32_t connection = 0;
  /// As `connection`: this client shares with nobody.
  static constexpr std::uint32_t kOwnConnection = UINT32_MAX;
  /// After an append that fails nothing that this client was given later gets into the log: what
  /// was on its way is taken back as far as it is not there yet, which is known within seconds, and
  /// what comes then is told `stopped`, until Client::go_on(). So the log holds a beginning of the
  /// input, and `may_be_appended` is said only if nobody can tell. Without it each append is on its
  /// own.
  bool stop_at_failure = false;
  /// Before the first operation all `addresses` are asked which cluster they belong to (for a
  /// moment: some may be down). If not to the same one, nothing gets into any: operations are
  /// `refused`.
  bool check_addresses = false;
  /// Called on the context, now and then, while something has waited for seconds and no node serves
  /// it, with what was heard last, as a sentence.
  std::function<void(const std::string& why)> on_waiting = {};
  /// A node that answers nothing for this long is left for another one. Up to 16 times as long if
  /// its answers have taken long of late, or if several nodes in turn have not answered. Up to 8
  /// times that while it says that it leads. 1 ms to an hour.
  std::chrono::milliseconds attempt_timeout = std::chrono::milliseconds(500);
};

/// What comes back beside the error code of an append.
struct AppendResult {
  /// The place of the entry; {} on an error.
  Lsn lsn;
  /// On an error: the entry may be in the log, or may yet get there. False: it never will.
  bool may_be_appended = false;
  /// On an error: the leader as last heard of ("host:port"); empty if none is known.
  std::string leader;
  /// On an error: when to try again; 0 if that is not known.
  std::chrono::milliseconds retry_after{0};
  /// On an error: a sentence for people.
  std::string detail;
};

/// An entry that was read: a view, whose payload its ReadResult keeps. Copy what is to live longer.
struct Entry {
  Lsn lsn;                             ///< Its place in the log.
  std::span<const std::byte> payload;  ///< As it was appended; valid as long as its ReadResult.
};

/// What comes back beside the error code of a read or a tail. Copies share the payloads. It may
/// outlive its client, and be dropped by any thread.
struct ReadResult {
  std::vector<Entry> entries;  ///< Dense; empty if there is nothing in the range (yet).
  /// What the payloads lie in, as it was received: up to eight times as many bytes.
  std::vector<std::shared_ptr<const void>> buffers;
  Lsn lsn_next;        ///< Where to go on.
  Lsn lsn_end;         ///< One past the last entry that the node had applied; of a tail, lsn_next.
  Lsn first_lsn;       ///< The first entry that is not trimmed; {} with entries of a tail.
  std::string detail;  ///< On an error: a sentence for people.
};

/// What to read.
struct ReadOptions {
  Lsn lsn_begin{1};  ///< The first entry to read.
  Lsn lsn_end = {};  ///< One past the last; {}: the present end.
  /// Of payloads and their headers of 8 bytes each. A node gives at most 1 MiB, but at least one
  /// entry.
  std::size_t bytes_max = 1 << 20;
  /// {}: linearizable, from the leader. Otherwise from this node's own applied state, which may
  /// lag.
  NodeId node = {};
  /// Afterwards the read ends with timed_out, or unreachable.
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
};

}  // namespace stele
