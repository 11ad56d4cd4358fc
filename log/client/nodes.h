// The nodes that a client knows, and the one that it takes for the leader.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <stele/client_types.h>
#include "log/client/client_parts.h"
#include "log/client/link/node_link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// The target is the node that is asked for what only a leader does. Loop thread only.
class Nodes {
 public:
  /// All of them outlive it.
  Nodes(net::Loop& loop, net::Dialer& dialer, const ClientOptions& options, ClientTurns& turns,
        NodeLinkListener& listener);

  // --- The target ----------------------------------------------------------------------

  /// Dialled if it is down, as soon as that may be. Null if no address is known.
  [[nodiscard]] NodeLink* target();
  /// As it was taken last; null before.
  [[nodiscard]] const NodeLink* last_target() const { return target_; }
  [[nodiscard]] bool is_target(const NodeLink& link) { return &link == target(); }
  /// The same, without dialling it.
  [[nodiscard]] bool is_taken_for_target(const NodeLink& link) const {
    return !addresses_.empty() && addresses_[target_index_ % addresses_.size()] == link.address();
  }
  /// It has said so, or decided an append.
  [[nodiscard]] bool target_leads() const { return target_leads_; }
  void set_target_leads(bool leads) { target_leads_ = leads; }
  /// Takes another one: `leader` if that is an address that is not known to be silent, otherwise
  /// the next one.
  void leave_target(const std::string& leader);
  /// Not before that time: without a pause the change would go round between two leaders.
  [[nodiscard]] Time target_again_at() const { return target_again_at_; }
  /// The target has answered with what was asked for.
  void on_served() { backoff_ = {}; }
  /// It did not answer: it is passed over for a while.
  void on_silent(const NodeLink& link) { silent_[link.name()] = loop_.now(); }

  /// "host:port" of the leader as last heard of, or empty.
  [[nodiscard]] const std::string& leader_hint() const { return leader_hint_; }
  /// That node has decided an append.
  void on_decided(const NodeLink& link);

  // --- All of them ---------------------------------------------------------------------

  [[nodiscard]] NodeLink& link(const Address& address);
  /// Of that member; null if it is not known yet, and then those that may know it are dialled.
  [[nodiscard]] NodeLink* link_of(NodeId node);
  [[nodiscard]] const std::vector<Address>& addresses() const { return addresses_; }
  /// "host:port" by id, as nodes have told it.
  [[nodiscard]] const std::map<NodeId, std::string>& members() const { return members_; }
  /// The members are known, and that node is none of them.
  [[nodiscard]] bool is_no_member(NodeId node) const {
    return node != NodeId{} && !members_.empty() && !members_.contains(node);
  }
  void learn(NodeId node, const std::string& address);
  void fail_overdue(Time now);
  void close_gently();
  [[nodiscard]] bool any_shaking_hands() const;

  // --- Which cluster it is -------------------------------------------------------------

  /// A handshake is done. Why that node is not to be used, as a sentence; nothing if it may be.
  [[nodiscard]] std::optional<std::string> admit(const NodeLink& ready);
  /// Passed over, as long as others serve: false if none does, and nothing may be told of it.
  [[nodiscard]] bool passes_over(const NodeLink& wrong);
  /// All addresses that were given have said which cluster is theirs, or do not answer now.
  [[nodiscard]] bool addresses_are_checked();
  [[nodiscard]] bool ever_connected() const { return ever_connected_; }

  // --- What went wrong -----------------------------------------------------------------

  /// As a sentence, or empty.
  [[nodiscard]] const std::string& last_failure() const { return last_failure_; }
  void on_failure(std::string failure) { last_failure_ = std::move(failure); }
  void forget_failure() { last_failure_.clear(); }

 private:
  [[nodiscard]] bool is_silent(const Address& address) const;
  void learn(const Address& address);

  net::Loop& loop_;
  net::Dialer& dialer_;
  const ClientOptions& options_;
  ClientTurns& turns_;
  NodeLinkListener& listener_;

  NodeLink* target_ = nullptr;
  std::size_t target_index_ = 0;
  std::size_t target_known_ = SIZE_MAX;  // The index of `target_`.
  bool target_leads_ = false;
  std::vector<Address> addresses_;  // Known nodes; the user's first.
  std::map<Address, std::unique_ptr<NodeLink>> links_;
  std::map<NodeId, std::string> members_;
  std::map<std::string, Time> silent_;  // The nodes that were left because they did not answer.
  Time target_again_at_{};
  Duration backoff_{};
  std::string leader_hint_;
  const NodeLink* hint_from_ = nullptr;  // The hint is its name, if it led itself.
  std::uint64_t cluster_id_ = 0;         // Of the first node that told one.
  bool ever_connected_ = false;
  bool addresses_checked_ = false;
  Time checked_since_{};
  std::string last_failure_;
};

}  // namespace stele::log
