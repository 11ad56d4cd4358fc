// What a service serves from, and whether it may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <stele/status.h>
#include "log/replica/replica.h"

namespace stele::log {

/// What clients are told of the node that serves them.
class NodeView {
 public:
  virtual ~NodeView() = default;
  /// "host:port", or empty if unknown.
  [[nodiscard]] virtual std::string leader_address() const = 0;
  [[nodiscard]] virtual NodeReport status() const = 0;
};

/// Bounds on clients and answers; a value.
struct ServiceOptions {
  std::size_t entry_bytes_max = 1 << 20;
  std::size_t connections_max = 4096;
  /// Bytes queued for all clients together, and being read for them; above that reads and tails
  /// wait.
  std::size_t answer_bytes_max = 16 << 20;
};

/// After so long a client may try again what a node that does not lead, or has no room, refused.
inline constexpr std::uint32_t kRetryMs = 20;

/// Shared by the parts of a service. Loop thread only. The view outlives it. The replica lives as
/// long as turns come; it is not touched any more when it is destroyed before this.
class Serving {
 public:
  Serving(ServiceOptions options, const NodeView& view) : options_(options), view_(view) {}

  /// The replica to serve from; until then, and after nullptr, there is no leader here.
  void attach(Replica* replica) { replica_ = replica; }
  void shut_down() { shutting_down_ = true; }

  [[nodiscard]] const ServiceOptions& options() const { return options_; }
  [[nodiscard]] const NodeView& view() const { return view_; }
  /// Null before birth.
  [[nodiscard]] Replica* replica() const { return replica_; }
  [[nodiscard]] bool shutting_down() const { return shutting_down_; }
  /// What is applied here may be read: it is not known to be wrong.
  [[nodiscard]] bool serves() const { return replica_ != nullptr && !replica_->halted(); }
  /// The refusal of one connection too many.
  [[nodiscard]] std::string full() const {
    return "overloaded: this node has as many clients as it takes, " +
           std::to_string(options_.connections_max);
  }
  /// Why nothing can be submitted here now; ok if it can.
  [[nodiscard]] Outcome refusal() const {
    if (shutting_down_) return Outcome::shutting_down;
    if (!serves() || !replica_->proposer().leads()) return Outcome::not_leader;
    return Outcome::ok;
  }
  /// Of a node that is not born, an empty one: what commands there are depends on the program
  /// alone.
  [[nodiscard]] const LogState& state() const {
    static const LogState empty;
    return replica_ == nullptr ? empty : replica_->state();
  }

 private:
  ServiceOptions options_;
  const NodeView& view_;
  Replica* replica_ = nullptr;
  bool shutting_down_ = false;
};

}  // namespace stele::log
