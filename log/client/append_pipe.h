// A client's appends: its session, its sequences, and what it sends again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/client/link/node_link.h"
#include "log/client/pending_appends.h"
#include "log/client/resend_gate.h"
#include "log/format/packer.h"
#include "net/wire/message.h"

namespace stele::log {

/// One session and one sequence for all retries: an append takes effect at most once, in the order
/// of the calls. Loop thread only.
class AppendPipe {
 public:
  explicit AppendPipe(const ClientParts& client);

  /// Takes an append, or another command, or tells why not: then false.
  bool append(const Asked& asked, Duration timeout, std::unique_ptr<AppendDone> done);
  /// Opens a session, or sends what was not sent yet, as far as the window allows.
  void send(NodeLink& leader);
  /// Sends what has been appended just now, before callers are told of more.
  void send_early();
  void on_session_opened(NodeLink& from, const net::SessionOpened& opened);
  void on_results(NodeLink& from, const net::AppendResults& results);

  /// Those after the one that has failed are not to get into the log, or are told what became of
  /// them. In a turn of its own: not while anybody goes through the appends.
  void take_back();
  /// Appends are taken again after one that has failed.
  void go_on();
  /// Ends those that were not answered in time.
  void expire(Time now);
  /// Sends again what is missed, once what was sent before must have come, or comes no more.
  void look_at_resend(Time now);

  void on_target_left();
  /// The connection to the target is a new one.
  void on_reconnected() { gate_.forget_bytes(); }
  /// Nothing is sent before that time.
  void wait_until(Time time) { again_at_ = std::max(again_at_, time); }
  /// Asks the leader to close the session. What is on its way comes before it in the log, or never.
  void close_session(NodeLink& leader);
  /// Their sequences go with their session: others would be answered in their place.
  void end_all(Errc error, const std::string& detail);
  /// Nothing is pending, and nothing has failed.
  void forget_stop() { pending_.forget_stop(); }

  [[nodiscard]] bool empty() const { return pending_.empty(); }
  [[nodiscard]] bool has_session() const { return session_ != SessionId{}; }
  /// The target owes an answer.
  [[nodiscard]] bool owed() const { return opening_nonce_ != 0 || next_send_ > pending_.first(); }
  /// There is enough for a message that was not sent yet.
  [[nodiscard]] bool has_message() const { return fresh_bytes_ >= kCommandBytesMax; }

  static constexpr std::size_t kCommandBytesMax = 64 << 10;

 private:
  void open_session(NodeLink& leader);
  void refuse_all(Errc error, const char* why);
  void send_appends(NodeLink& leader);
  [[nodiscard]] bool waits_for_condition(std::size_t index) const;
  bool send_command(NodeLink& leader, std::size_t index, std::size_t count);
  void on_result(NodeLink& from, const CommandResult& result, const net::AppendResults& all);
  void on_decided(NodeLink& from, const CommandResult& result);
  void on_refused(const CommandResult& result, Errc error);
  void on_session_expired(const CommandResult& result);
  void resend_from(Sequence sequence);
  void forget_session();
  [[nodiscard]] PendingAppends::Range range_of(const CommandResult& result) const {
    return pending_.range(result.sequence, result.sequence + result.count);
  }

  const ClientParts& client_;
  SessionId session_;
  PendingAppends pending_;
  Sequence next_send_{1};
  Sequence told_end_;            // One past the highest sequence whose outcome has been told.
  std::size_t fresh_bytes_ = 0;  // Appended since something was sent.
  Time again_at_{};
  ResendGate gate_;
  Packer payloads_;
  std::uint64_t session_nonce_ = 0;  // The same for all tries to open one session.
  std::uint64_t opening_nonce_ = 0;  // A try is under way.
};

}  // namespace stele::log
