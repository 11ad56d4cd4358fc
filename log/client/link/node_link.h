// A client's connection to one node, with its handshake.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

class NodeLink;

/// Called in turns of the loop.
class NodeLinkListener {
 public:
  virtual ~NodeLinkListener() = default;
  /// Its handshake is done.
  virtual void on_ready(NodeLink& link) = 0;
  /// It is down: `reason` is a sentence.
  virtual void on_lost(NodeLink& link, const std::string& reason) = 0;
  virtual void on_message(NodeLink& link, net::Message& message) = 0;
  /// There is room again for what could not be sent.
  virtual void on_writable(NodeLink& link) = 0;
};

/// Down until dialled, ready after the handshake, down again when lost. Loop thread only.
class NodeLink final : net::LinkHandler {
 public:
  /// Tells `listener` what comes; it may be destroyed from within.
  NodeLink(net::Loop& loop, net::Dialer& dialer, NodeLinkListener& listener, Address address);

  void dial();
  bool send(const net::Message& message) { return ready_ && link_->send(message); }
  void flush() {
    if (ready_) link_->flush();
  }
  /// Gives the connection up, and tells so.
  void fail(const std::string& reason);
  void close_gently();

  [[nodiscard]] bool down() const { return !link_; }
  /// Down, and not tried a moment ago.
  [[nodiscard]] bool may_dial() const;
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool shaking_hands() const { return link_ && !ready_; }
  /// Dialled longer than `limit` ago, and still not ready.
  [[nodiscard]] bool overdue(Time now, Duration limit) const {
    return shaking_hands() && now - dialled_at_ >= limit;
  }
  [[nodiscard]] const Address& address() const { return address_; }
  /// "host:port".
  [[nodiscard]] const std::string& name() const { return name_; }
  /// Of the node, as it said in its handshake; {}, empty and 0 before.
  [[nodiscard]] NodeId node() const { return hello_.node; }
  [[nodiscard]] std::uint64_t cluster_id() const { return hello_.cluster_id; }
  [[nodiscard]] const std::string& cluster_name() const { return hello_.cluster_name; }
  [[nodiscard]] std::size_t entry_bytes_max() const { return hello_.entry_bytes_max; }
  /// Whether it takes an entry of so many bytes, as far as is known.
  [[nodiscard]] bool takes(std::size_t bytes) const {
    return entry_bytes_max() == 0 || bytes <= entry_bytes_max();
  }
  /// Bytes that are on their way to it.
  [[nodiscard]] std::size_t queued_bytes() const {
    return link_ ? link_->queued_bytes() + link_->unacknowledged_bytes() : 0;
  }
  /// Bytes that it has got.
  [[nodiscard]] std::uint64_t left_bytes() const {
    // The system may have taken bytes that are not counted as left yet.
    return link_ ? link_->left_bytes() -
                       std::min<std::uint64_t>(link_->left_bytes(), link_->unacknowledged_bytes())
                 : 0;
  }
  /// Bytes that have come of a large answer.
  [[nodiscard]] std::size_t receiving_bytes() const { return link_ ? link_->receiving_bytes() : 0; }

 private:
  void on_message(net::Message message) override;
  void on_closed(const std::string& reason) override { fail(reason); }
  void on_writable() override { listener_.on_writable(*this); }

  net::Loop& loop_;
  net::Dialer& dialer_;
  NodeLinkListener& listener_;
  std::unique_ptr<net::Link> link_;
  bool ready_ = false;
  Time dialled_at_{};
  net::Hello hello_;
  Address address_;
  std::string name_;
};

}  // namespace stele::log
