// The client itself. Its public interface is <stele/client.h>.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <stele/client_types.h>
#include "log/client/append_pipe.h"
#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/client/link/node_link.h"
#include "log/client/nodes.h"
#include "log/client/patience.h"
#include "log/client/pending_reads.h"
#include "log/client/status_requests.h"
#include "log/client/subscription.h"
#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Has the parts of a client, and gives each its turn. Loop thread only. Pending operations end
/// with shutting_down when it is destroyed.
class ClientCore final : ClientTurns, NodeLinkListener {
 public:
  /// Loop and dialer outlive it.
  ClientCore(net::Loop& loop, net::Dialer& dialer, ClientOptions options);
  ~ClientCore() override;

  void append(const Asked& asked, Duration timeout, std::unique_ptr<AppendDone> done);
  void read(const ReadOptions& options, ReadDone done);
  void retention(Duration timeout, RetentionDone done);
  /// The next entries from `lsn_begin` on ({}: from the present end), once there are some.
  void tail(Lsn lsn_begin, ReadDone done);
  /// Asks every node it knows or hears of.
  void status(Duration timeout, StatusDone done);
  /// Takes appends again after one that failed, once everything given before has been told.
  void go_on() { appends_.go_on(); }
  /// Closes the session and all connections; what is pending ends with shutting_down. A later
  /// operation opens them again.
  void close();

 private:
  // As of ClientTurns.
  void wake() override;
  void tick_soon() override;
  void leave_target(const std::string& leader, const std::string& reason) override;
  [[nodiscard]] std::uint64_t next_request() override { return ++requests_; }
  // As of NodeLinkListener.
  void on_ready(NodeLink& link) override;
  void on_lost(NodeLink& link, const std::string& reason) override;
  void on_message(NodeLink& link, net::Message& message) override;
  void on_writable(NodeLink&) override { wake(); }

  class Alive;

  void turn();
  [[nodiscard]] bool tell();
  void send();
  void tick();
  void look_at_target(Time now);
  [[nodiscard]] Patience::Owed owed(Time now) const;
  void tell_waiting(Time now);
  void on_wrong_cluster(NodeLink& wrong, const std::string& why);
  void on_status(NodeLink& from, const net::StatusAnswer& answer);
  void end_operations(Errc error, const std::string& detail);
  [[nodiscard]] bool idle() const;
  [[nodiscard]] bool needs_target() const;
  [[nodiscard]] bool target_owes() const;

  net::Loop& loop_;
  ClientOptions options_;
  bool woken_ = false;  // A turn is to come, or under way and not yet at what it sends.
  bool closed_ = false;
  bool* destroyed_ = nullptr;  // Set by the destructor, for a turn that calls others.
  std::unique_ptr<net::Timer> timer_;
  Time tick_at_{};
  std::uint64_t requests_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  Completions completions_;
  Nodes nodes_;
  Patience patience_;
  ClientParts parts_;
  AppendPipe appends_;
  PendingReads reads_;
  Subscription subscription_;
  StatusRequests statuses_;
};

}  // namespace stele::log
