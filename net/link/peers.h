// Connections to the other nodes: dialled, kept up, and used to send.
#pragma once

#include <functional>
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

/// Two outgoing connections to each other node: one for what carries values, and one for all that
/// is small and must not wait for it (paxos::is_bulk). Both stand, or none counts. Each node
/// sends on the connections that it dialled and receives on those that it accepted. Reconnects with
/// exponential back-off and jitter, and at once to a node that connects itself.
class Peers final : public Transport {
 public:
  struct Handshake {
    std::function<Hello()> hello;                     ///< What this node says of itself now.
    std::function<Result<void>(const Hello&)> admit;  ///< Judges the other side.
    std::function<void(NodeId, const std::string&)> refused;  ///< The other side refuses this node.
    std::function<void(const Report&)> told;  ///< And this is why, as far as it knows.
    std::function<void(NodeId)>
        gone;  ///< It was connected, and at once cannot be reached any more.
    std::function<void(NodeId)> connected;  ///< It can be sent to (again); what was, may be lost.
  };

  Peers(Loop& loop, Dialer& dialer, Events& events, Handshake handshake);
  ~Peers() override;

  /// Starts to dial `node`, and goes on until destroyed.
  void add(NodeId node, Address address);
  void send(NodeId to, const paxos::Message& message) override;
  /// To all that are connected.
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
  Handshake handshake_;
  std::map<NodeId, std::unique_ptr<Peer>> peers_;
};

}  // namespace stele::net
