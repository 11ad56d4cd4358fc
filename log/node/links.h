// The connections of a process: those that it has dialled, and those that came in.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/node/surroundings.h"
#include "net/link/peers.h"
#include "net/loop/rarely.h"
#include "net/wire/message.h"
#include "paxos/message.h"

namespace stele::log {

/// Judges the nodes that speak, and gets what they say. All calls come from turns of the loop.
class LinksListener {
 public:
  virtual ~LinksListener() = default;
  /// What this node says of itself now.
  [[nodiscard]] virtual net::Hello hello() const = 0;
  /// Judges another node. ok: true if nothing that it says may count before on_heard() is done.
  /// Errors, as sentences: the connection ends.
  [[nodiscard]] virtual Result<bool> admit(const net::Hello& hello) = 0;
  /// That start of a node was heard: makes it durable, then calls `durable`.
  virtual void on_heard(NodeId node, std::uint64_t start_id, std::function<void()> durable) = 0;
  /// Whether that start of a node may still be listened to. Errors, as sentences.
  [[nodiscard]] virtual Result<void> check(NodeId node, std::uint64_t start_id) const = 0;
  /// What was heard of a node that is refused.
  [[nodiscard]] virtual std::optional<Sighting> seen(NodeId node) const = 0;

  virtual void on_message(NodeId from, std::uint64_t start_id, paxos::Message&& message) = 0;
  virtual void on_report(NodeId from, const net::Report& report) = 0;
  /// A node that refuses this one has heard that of it.
  virtual void on_told(const net::Report& report) = 0;
  /// As of net::PeersListener.
  virtual void on_connected(NodeId node) = 0;
  virtual void on_gone(NodeId node) = 0;
  /// Takes a client's connection whose handshake is done.
  virtual void on_client(std::unique_ptr<net::Link> link) = 0;
};

/// Does the handshakes, and knows which nodes can be reached. Loop thread only.
class Links final : net::PeersListener {
 public:
  struct Options {
    NodeId self;
    std::map<NodeId, Address> cluster;  ///< All members, this one too.
    std::string cluster_name = "stele";
    /// Connections of other nodes, and of those that have not said hello.
    std::size_t inbound_max = 1024;
  };

  Links(Options options, const Surroundings& surroundings);
  ~Links() override;

  /// Dials the other nodes, and takes connections from now on. The listener may be destroyed once
  /// no more calls come from the loop.
  void begin(LinksListener& listener);
  /// A connection that somebody has opened to this node.
  void on_link(std::unique_ptr<net::Link> link);
  /// Ends connections of nodes that are not among the members.
  void drop_strangers(const std::vector<Member>& members);
  /// Ends connections of starts that may not be listened to any more.
  void check_all();

  [[nodiscard]] net::Peers& peers() { return peers_; }
  [[nodiscard]] const net::Peers& peers() const { return peers_; }
  /// Whether each other node can be sent to.
  [[nodiscard]] bool reaches_all() const;
  /// More nodes refuse this one than can be sent to: it is this one that is at fault, most likely.
  [[nodiscard]] bool is_refused() const;
  /// The nodes that refuse this one, with their reasons: "; node …", or empty.
  [[nodiscard]] std::string refusals() const;
  /// The nodes that live, as they say themselves, and cannot be sent to: "; node …", or empty.
  [[nodiscard]] std::string unreached() const;

  static constexpr Duration kHelloWithin = std::chrono::seconds(5);

 private:
  class Inbound;
  friend class Inbound;

  // As of net::PeersListener.
  [[nodiscard]] net::Hello hello() const override { return listener_->hello(); }
  [[nodiscard]] Result<void> on_hello(const net::Hello& other) override;
  void on_refused(NodeId node, const std::string& reason) override { refused_by_[node] = reason; }
  void on_told(const net::Report& report) override { listener_->on_told(report); }
  void on_connected(NodeId node) override;
  void on_gone(NodeId node) override { listener_->on_gone(node); }

  void make_room(const std::string& peer_name);
  void drop(Inbound& inbound);
  void tell_refused(const std::string& peer_name, const std::string& reason);

  Options options_;
  net::Loop& loop_;
  Events& events_;
  LinksListener* listener_ = nullptr;  // Null before begin().
  net::Peers peers_;
  std::map<std::uint64_t, std::unique_ptr<Inbound>> inbound_;  // In the order of their coming.
  std::uint64_t inbound_seen_ = 0;
  std::map<NodeId, std::string> refused_by_;  // The other nodes' reasons.
  net::Rarely refusal_told_{std::chrono::seconds(1)};
};

}  // namespace stele::log
