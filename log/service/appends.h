// What clients' sessions have on the way: from a command that comes to the outcome that goes back.
#pragma once

#include <cstdint>
#include <unordered_map>

#include <stele/events.h>
#include "log/format/command.h"
#include "log/service/client_link.h"
#include "log/service/serving.h"
#include "net/loop/loop.h"
#include "net/loop/rarely.h"

namespace stele::log {

/// Answers are told by (session, sequence), to the connection that spoke last for the session: a
/// client may resend over a new connection at any time. Loop thread only.
class Appends {
 public:
  /// All of them outlive it.
  Appends(net::Loop& loop, Events& events, const Serving& serving)
      : loop_(loop), events_(events), serving_(serving) {}

  // --- What clients ask ----------------------------------------------------------------

  void on_open(ClientLink& link, const net::OpenSession& open);
  void on_append(ClientLink& link, const Slice& commands);
  /// The results of `link` are told to nobody from here on.
  void forget(const ClientLink& link);

  // --- What becomes of it: as of ReplicaListener ---------------------------------------

  void on_applied(const LogState::Applied& applied);
  void on_dropped(const Slice& command, Outcome why);
  void on_stopped();

  /// Nothing is left to answer.
  [[nodiscard]] bool idle() const { return under_way_ == 0 && opening_.empty(); }

  /// Sessions that are being opened; one more is refused as overloaded.
  static constexpr std::size_t kOpeningMax = 256;

 private:
  /// Which connection uses a session, and how far.
  struct Session {
    ClientLink* owner = nullptr;  // The connection that is told the results; null: none.
    Sequence submitted_end;  // One past the last submitted in this leadership; {}: none is left.
  };
  using Sessions = std::unordered_map<SessionId, Session>;

  bool on_command(ClientLink& link, const Command& command, Slice bytes);
  bool tell_applied_part(ClientLink& link, const Command& command);
  void tell_result(Session& session, const CommandResult& result);
  void on_result(Session& session, const CommandResult& result, bool own_slot);
  void on_opened(const LogState::Opened& opened);
  void on_sessions_full();
  void set_submitted_end(Session& session, Sequence end);
  void drop_if_unused(Sessions::iterator session);

  net::Loop& loop_;
  Events& events_;
  const Serving& serving_;
  Sessions sessions_;
  std::size_t under_way_ = 0;  // Sessions of which something is on its way.
  std::unordered_map<std::uint64_t, ClientLink*> opening_;  // By nonce; null once the link is gone.
  net::Rarely full_told_{std::chrono::minutes(1)};
};

}  // namespace stele::log
