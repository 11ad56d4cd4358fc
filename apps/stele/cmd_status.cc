// stele status

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include <stele/client.h>
#include "apps/common/exit_codes.h"
#include "apps/stele/cli.h"

namespace stele::apps {
namespace {

std::string text_of(Ballot ballot) {
  return std::to_string(ballot.round) + "." + std::to_string(ballot.node.value);
}

/// Its slot and its age.
std::string snapshot_text(const NodeReport& node) {
  if (node.snapshot_slot == Slot{}) return "-";
  const std::uint64_t age = node.snapshot_age_s;
  const std::string ago = age < 600      ? std::to_string(age) + "s"
                          : age < 36000  ? std::to_string(age / 60) + "m"
                          : age < 864000 ? std::to_string(age / 3600) + "h"
                                         : std::to_string(age / 86400) + "d";
  return std::to_string(node.snapshot_slot.value) + "/" + ago;
}

nlohmann::ordered_json to_json(const NodeStatus& node) {
  nlohmann::ordered_json line;
  line["id"] = node.answer.node.value;
  line["address"] = to_string(node.address);
  line["reachable"] = node.reachable;
  if (!node.reachable) {
    line["fault"] = node.detail;
    return line;
  }
  const NodeReport& answer = node.answer;
  line["role"] = answer.role;
  line["ballot"] = text_of(answer.ballot);
  line["leader"] = answer.leader.value;
  line["chosen_end"] = answer.chosen_end.value;
  line["applied_lsn"] = answer.applied_lsn.value;
  line["first_lsn"] = answer.first_lsn.value;
  line["retained_bytes"] = answer.retained_bytes;
  line["snapshot_slot"] = answer.snapshot_slot.value;
  line["snapshot_digest"] = to_hex(answer.snapshot_digest);
  line["snapshot_bytes"] = answer.snapshot_bytes;
  line["snapshot_age_s"] = answer.snapshot_age_s;
  line["disk_bytes"] = answer.disk_bytes;
  line["version"] = answer.version;
  line["uptime_s"] = answer.uptime_s;
  line["state_hash"] = to_hex(answer.state_hash);
  line["fault"] = answer.fault;
  return line;
}

void print_table(const std::vector<NodeStatus>& nodes) {
  std::printf("%-3s %-22s %-10s %-8s %-6s %12s %12s %10s %9s %14s %9s %9s  %s\n", "id", "address",
              "role", "ballot", "leader", "chosen_end", "applied_lsn", "first_lsn", "kept_mib",
              "snapshot", "disk_mib", "uptime_s", "fault");
  for (const NodeStatus& node : nodes) {
    const NodeReport& answer = node.answer;
    const std::string id = answer.node == NodeId{} ? "?" : std::to_string(answer.node.value);
    const std::string address = to_string(node.address);
    if (!node.reachable) {
      std::printf("%-3s %-22s %-10s %s\n", id.c_str(), address.c_str(), "-", node.detail.c_str());
      continue;
    }
    const std::string leader =
        answer.leader == NodeId{} ? "-" : std::to_string(answer.leader.value);
    std::printf("%-3s %-22s %-10s %-8s %-6s %12llu %12llu %10llu %9llu %14s %9llu %9llu  %s\n",
                id.c_str(), address.c_str(), answer.role.c_str(), text_of(answer.ballot).c_str(),
                leader.c_str(), static_cast<unsigned long long>(answer.chosen_end.value),
                static_cast<unsigned long long>(answer.applied_lsn.value),
                static_cast<unsigned long long>(answer.first_lsn.value),
                static_cast<unsigned long long>(answer.retained_bytes >> 20),
                snapshot_text(answer).c_str(),
                static_cast<unsigned long long>(answer.disk_bytes >> 20),
                static_cast<unsigned long long>(answer.uptime_s), answer.fault.c_str());
  }
}

}  // namespace

int status(const Common& common, const StatusFlags& flags) {
  ClientOptions options;
  options.addresses = common.cluster;
  options.cluster_name = common.cluster_name;
  BlockingClient client(std::move(options));
  const std::vector<NodeStatus> nodes = client.status(std::chrono::milliseconds(flags.timeout_ms));

  const auto reachable = [](const NodeStatus& node) { return node.reachable; };
  const bool any = std::any_of(nodes.begin(), nodes.end(), reachable);
  const bool leads = std::any_of(nodes.begin(), nodes.end(), [](const NodeStatus& node) {
    return node.reachable && node.answer.role == "leader";
  });
  std::uint64_t cluster_id = 0;
  for (const NodeStatus& node : nodes) {
    if (node.reachable) cluster_id = std::max(cluster_id, node.answer.cluster_id);
  }
  if (flags.json) {
    nlohmann::ordered_json whole;
    whole["cluster_id"] = to_hex(cluster_id);
    whole["nodes"] = nlohmann::ordered_json::array();
    for (const NodeStatus& node : nodes) whole["nodes"].push_back(to_json(node));
    std::printf("%s\n",
                whole.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    const std::string unborn = any ? "not born yet" : "not reached";
    std::printf("cluster %s\n", cluster_id == 0 ? unborn.c_str() : to_hex(cluster_id).c_str());
    print_table(nodes);
  }
  if (leads) return kDone;
  std::fflush(stdout);
  for (const NodeStatus& node : nodes) {
    const std::string why = to_string(node.address) + ": " + node.detail;
    const bool refused = node.detail.starts_with("it refused: ");
    if (any) break;
    if (node.detail.find("belongs to the cluster ") != std::string::npos)
      return complain(Errc::refused, why);
    if (refused && node.detail.find("overloaded: ") != std::string::npos)
      return complain(Errc::overloaded, why);
    if (refused) return complain(Errc::unreachable, why);
  }
  if (!any) return complain(Errc::unreachable, "no node answers");
  for (const NodeStatus& node : nodes) {
    if (!node.reachable || node.answer.leader == NodeId{}) continue;
    return complain(Errc::not_leader, "node " + std::to_string(node.answer.leader.value) +
                                          " leads, as node " +
                                          std::to_string(node.answer.node.value) +
                                          " says, but does not say so itself");
  }
  return complain(Errc::not_leader, "no node leads");
}

}  // namespace stele::apps
