// What all nodes say of themselves, for a client.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <stele/client_types.h>
#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/client/link/node_link.h"
#include "net/wire/message.h"

namespace stele::log {

/// Loop thread only.
class StatusRequests {
 public:
  explicit StatusRequests(const ClientParts& client) : client_(client) {}

  /// As of ClientCore.
  void status(Duration timeout, StatusDone done);
  /// Asks the nodes that were not asked, and ends those requests that are complete, or late.
  void send();
  void on_answer(const NodeLink& from, const net::StatusAnswer& answer);
  void on_lost(const NodeLink& link, const std::string& reason);
  /// Tells all of them that there is nothing.
  void end_all();
  [[nodiscard]] bool empty() const { return statuses_.empty(); }

 private:
  struct Pending {
    StatusDone done;
    Time deadline;
    std::map<std::string, NodeStatus> nodes;  // By address.
    std::map<std::string, bool> answered;
  };

  [[nodiscard]] bool ask(std::uint64_t request, Pending& status);
  [[nodiscard]] std::vector<NodeStatus> collect(const Pending& status) const;

  const ClientParts& client_;
  std::map<std::uint64_t, Pending> statuses_;  // By request.
};

}  // namespace stele::log
