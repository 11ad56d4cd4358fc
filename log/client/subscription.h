// A client's tail: entries that the leader pushes as they are applied.
#pragma once

#include <cstdint>
#include <string>

#include <stele/client_types.h>
#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/client/link/node_link.h"
#include "net/wire/message.h"

namespace stele::log {

/// Goes on at the next leader, after the last entry that has come: none twice, none missing. Loop
/// thread only.
class Subscription {
 public:
  explicit Subscription(const ClientParts& client) : client_(client) {}

  /// As of ClientCore.
  void tail(Lsn lsn_begin, ReadDone done);
  /// Asks the leader for a tail, if one is wanted and none is under way.
  void subscribe(NodeLink& leader);
  void on_entries(const net::TailEntries& entries);
  void on_end(NodeLink& from, const net::TailEnd& end);
  /// Tells the leader what has been taken in.
  void send_credit();
  void on_target_left() { tail_.request = 0; }
  void end(Errc error, const std::string& detail);

  [[nodiscard]] bool waits() const { return static_cast<bool>(tail_.waiting); }
  [[nodiscard]] bool under_way() const { return tail_.request != 0; }

  static constexpr std::uint32_t kCreditBytes = 1 << 20;

 private:
  struct Tail {
    std::uint64_t request = 0;  // Of the subscription under way; 0: none.
    Lsn next;                   // What the subscription delivers next.
    Lsn told;                   // What the user has been given: next minus what is buffered.
    ReadResult buffered;
    std::uint32_t credit_used = 0;
    ReadDone waiting;
  };

  void deliver();

  const ClientParts& client_;
  Tail tail_;
};

}  // namespace stele::log
