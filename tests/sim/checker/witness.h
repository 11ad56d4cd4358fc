// Hears everything that nodes and clients say to each other.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "net/wire/message.h"
#include "tests/sim/checker/checker.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/network/network.h"

namespace stele::sim {

/// Checks what clients are told against what the nodes have chosen (invariants 9 and 10), and
/// counts it.
class Witness {
 public:
  /// Both outlive it.
  Witness(Checker& checker, Coverage& coverage) : checker_(checker), coverage_(coverage) {}

  /// It arrives.
  void on_message(Host from, Host to, const net::Message& message);
  /// That client is another one from now on, which counts its requests anew.
  void forget_client(Host client) {
    std::erase_if(reads_, [&](const auto& read) { return std::get<1>(read.first) == client; });
  }

 private:
  void check_confirmed(Host node, Host client, const net::ReadAnswer& result);
  void check_told(const net::AppendResults& results) const;

  Checker& checker_;
  Coverage& coverage_;
  std::set<std::pair<SessionId, Sequence>> told_;
  /// Linearizable reads that have reached a node, and which ballots were passed by then.
  std::map<std::tuple<Host, Host, std::uint64_t>, Ballot> reads_;  // Node, client, request.
};

}  // namespace stele::sim
