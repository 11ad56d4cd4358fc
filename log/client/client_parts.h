// What the parts of a client share.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include <stele/client_types.h>
#include "net/loop/loop.h"

namespace stele::log {

class Completions;
class Nodes;
class Patience;

/// What a part of a client asks of the whole. Loop thread only.
class ClientTurns {
 public:
  virtual ~ClientTurns() = default;
  /// There is something to send or to tell: a turn of the client comes.
  virtual void wake() = 0;
  /// Something is to be tried again soon, without another reason for a turn.
  virtual void tick_soon() = 0;
  /// The target does not serve: `leader`, "host:port" or empty, may. What it owed is asked of the
  /// next one. `reason`: a sentence, or empty. Calls back on_target_left() of the parts, the
  /// caller's own too, before it returns.
  virtual void leave_target(const std::string& leader, const std::string& reason) = 0;
  /// A number for a request, never used again by this client.
  [[nodiscard]] virtual std::uint64_t next_request() = 0;
};

/// It outlives the parts, and so does all of it.
struct ClientParts {
  net::Loop& loop;
  const ClientOptions& options;
  ClientTurns& turns;
  Nodes& nodes;
  Patience& patience;
  Completions& completions;
};

/// What callers are given to wait: never less than nothing, and for ever is a hundred years.
[[nodiscard]] inline Duration bounded(std::chrono::milliseconds timeout) {
  constexpr std::chrono::milliseconds kEver = std::chrono::hours(24 * 365 * 100);
  return std::clamp(timeout, std::chrono::milliseconds(0), kEver);
}

inline constexpr const char* kLsnsMax = "LSNs are below 2^62";

/// The first pause before something is tried again.
inline constexpr Duration kBackoffMin = std::chrono::milliseconds(5);

}  // namespace stele::log
