// Clients of one loop send their appends over one connection to each node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// A thousand clients of one program need no thousand sockets: what they append within a turn of
/// the loop leaves in one write, and what comes of it in one message. Each has its own session. The
/// client that is to be told is found by session, by nonce, or by request if it asked for a status.
/// Reads and tails, which may be large, go over a connection of the client's own, opened with the
/// first of them: numbers of requests are a client's own, too. Loop thread
/// only; loop and dialer outlive it, and it outlives the dialers it made and their links.
class SharedConnections {
 public:
  SharedConnections(net::Loop& loop, net::Dialer& dialer) : loop_(loop), dialer_(dialer) {}

  /// For one client. Those with the same `group` share.
  [[nodiscard]] std::unique_ptr<net::Dialer> dialer(std::uint32_t group);

 private:
  class Shared;
  class Sharer;
  class GroupDialer;
  using Key = std::tuple<Address, std::string, std::uint32_t>;  // Address, cluster, group.

  std::shared_ptr<Shared> join(const Key& key, const net::Hello& hello);

  net::Loop& loop_;
  net::Dialer& dialer_;
  std::map<Key, std::weak_ptr<Shared>> open_;  // Those that new sharers may join.
};

}  // namespace stele::log
