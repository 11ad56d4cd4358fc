// Connections to the other nodes: dialled, kept up, and used to send.
#pragma once

#include <map>
#include <memory>

#include <stele/events.h>
#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::net {

/// Carries messages between nodes: unreliable, unordered across reconnects, never blocking.
class Transport {
 public:
  virtual ~Transport() = default;
  /// Sends if it can, drops otherwise: the protocol sends again.
  virtual void send(NodeId to, const paxos::Message& message) = 0;
  /// How far what carries values has come (paxos::is_bulk).
  [[nodiscard]] virtual paxos::Progress progress(NodeId to) const = 0;
};

/// What a node says of itself to those that it dials, and decides about them. All calls come from
/// turns of the loop.
class PeersListener {
 public:
  virtual ~PeersListener() = default;
  /// What this node says of itself now.
  [[nodiscard]] virtual Hello hello() const = 0;
  /// Judges what the other side says of itself. Errors, as sentences: the connection ends.
  [[nodiscard]] virtual Result<void> on_hello(const Hello& other) = 0;
  /// The other side refuses this node.
  virtual void on_refused(NodeId node, const std::string& reason) = 0;
  /// What a node that refuses this one has heard of it.
  virtual void on_told(const Report& report) = 0;
  /// That node can be sent to (again); what was sent before may be lost.
  virtual void on_connected(NodeId node) = 0;
  /// That node was connected, and a try right after the loss has failed, too.
  virtual void on_gone(NodeId node) = 0;
};

/// Two outgoing connections to each other node: one for what carries values, and one for all that
/// is small and must not wait for it (paxos::is_bulk). Both stand, or none counts. Each node
/// sends on the connections that it dialled and receives on those that it accepted. Reconnects with
/// exponential back-off and jitter, and at once to a node that connects itself.
class Peers final : public Transport {
 public:
  /// The listener outlives it.
  Peers(Loop& loop, Dialer& dialer, Events& events, PeersListener& listener);
  ~Peers() override;

  /// Starts to dial `node`, and goes on until destroyed.
  void add(NodeId node, Address address);
  void send(NodeId to, const paxos::Message& message) override;
  /// Sends it to all nodes that are connected.
  void send_report(const Report& report);
  [[nodiscard]] paxos::Progress progress(NodeId to) const override;
  [[nodiscard]] bool connected(NodeId node) const;
  /// Why there has been no connection to it for so long, as was said last; empty if there is one.
  [[nodiscard]] std::string trouble(NodeId node, Duration lasts) const;
  /// It has just connected to this node: dials it now, should that wait for its next try.
  void heard_from(NodeId node);

  static constexpr Duration kAtOnce = std::chrono::milliseconds(1);
  static constexpr Duration kBackoffMin = std::chrono::milliseconds(20);
  static constexpr Duration kBackoffMax = std::chrono::seconds(1);
  /// A try that has taken so long has most likely been lost.
  static constexpr Duration kTryAnswered = std::chrono::milliseconds(500);
  static constexpr Duration kHandshakeWithin = std::chrono::seconds(5);

 private:
  class Peer;

  Loop& loop_;
  Dialer& dialer_;
  Events& events_;
  PeersListener& listener_;
  std::map<NodeId, std::unique_ptr<Peer>> peers_;
};

}  // namespace stele::net
