#include "log/client/status_requests.h"

#include <algorithm>
#include <utility>

#include "log/client/nodes.h"

namespace stele::log {

void StatusRequests::status(Duration timeout, StatusDone done) {
  Pending pending;
  pending.done = std::move(done);
  pending.deadline = client_.loop.now() + timeout;
  statuses_.emplace(client_.turns.next_request(), std::move(pending));
  client_.turns.wake();
}

void StatusRequests::send() {
  if (statuses_.empty()) return;
  const Time now = client_.loop.now();
  std::vector<std::uint64_t> finished;
  for (auto& [request, status] : statuses_) {
    if (ask(request, status) || now >= status.deadline) finished.push_back(request);
  }
  for (std::uint64_t request : finished) {
    const auto status = statuses_.extract(request);
    client_.completions.add(
        [done = status.mapped().done, nodes = collect(status.mapped())] { done(nodes); });
    client_.turns.wake();
  }
}

/// True if all nodes that are known have answered.
bool StatusRequests::ask(std::uint64_t request, Pending& status) {
  bool all = true;
  for (const Address& address : std::vector<Address>(client_.nodes.addresses())) {
    const std::string name = to_string(address);
    const bool fresh = !status.nodes.contains(name);
    NodeStatus& node = status.nodes[name];
    node.address = address;
    NodeLink& to = client_.nodes.link(address);
    if (fresh) {
      node.detail = "no answer within the time-out";
      if (to.may_dial()) to.dial();
      status.answered[name] = false;
    }
    if (!status.answered[name]) all = false;
    if (!status.answered[name] && to.ready() && !node.reachable) {
      node.reachable = to.send(net::StatusAsk{request});
    }
  }
  return all;
}

std::vector<NodeStatus> StatusRequests::collect(const Pending& status) const {
  std::vector<NodeStatus> nodes;
  for (const auto& [name, asked] : status.nodes) {
    NodeStatus node = asked;
    node.reachable = node.answer.node != NodeId{};
    for (const auto& [id, address] : client_.nodes.members()) {
      if (!node.reachable && address == name) node.answer.node = id;
    }
    nodes.push_back(std::move(node));
  }
  // One node may be known under two names.
  std::stable_sort(nodes.begin(), nodes.end(), [](const NodeStatus& a, const NodeStatus& b) {
    return std::pair(a.answer.node, !a.reachable) < std::pair(b.answer.node, !b.reachable);
  });
  const auto same = [](const NodeStatus& a, const NodeStatus& b) {
    return a.answer.node != NodeId{} && a.answer.node == b.answer.node;
  };
  nodes.erase(std::unique(nodes.begin(), nodes.end(), same), nodes.end());
  return nodes;
}

void StatusRequests::on_answer(const NodeLink& from, const net::StatusAnswer& answer) {
  const auto found = statuses_.find(answer.request);
  if (found == statuses_.end()) return;
  const std::string name = from.name();
  NodeStatus& node = found->second.nodes[name];
  node.answer = answer.report;
  node.detail.clear();
  found->second.answered[name] = true;
}

void StatusRequests::on_lost(const NodeLink& link, const std::string& reason) {
  for (auto& [request, status] : statuses_) {
    const auto node = status.nodes.find(link.name());
    if (node == status.nodes.end()) continue;
    status.answered[link.name()] = true;
    node->second.detail = reason;
  }
}

void StatusRequests::end_all() {
  for (auto& [request, status] : std::exchange(statuses_, {})) {
    client_.completions.add([done = std::move(status.done)] { done({}); });
  }
}

}  // namespace stele::log
