#include "bench/cluster/cluster.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <set>
#include <stdexcept>

namespace stele::test {

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(2);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    // Not for synchronisation: it leaves the processor to the processes that are waited for.
    ::poll(nullptr, 0, 10);
  }
  return true;
}

std::string program(const std::string& name) {
  return std::string(STELE_PROGRAMS_DIR) + "/" + name;
}

Cluster::Cluster(std::size_t nodes, std::vector<std::string> flags, const std::string& parent)
    : held_(nodes), directory_(parent), flags_(std::move(flags)) {
  for (std::size_t i = 0; i < nodes; ++i) ports_[i + 1] = held_[i];
}

std::vector<std::string> Cluster::arguments(std::uint64_t id) const {
  std::string cluster;
  for (const auto& [node, port] : ports_) {
    cluster +=
        (cluster.empty() ? "" : ",") + std::to_string(node) + "=127.0.0.1:" + std::to_string(port);
  }
  std::vector<std::string> all{program("steled"), "--id",  std::to_string(id), "--cluster", cluster,
                               "--data",          data(id)};
  all.insert(all.end(), flags_.begin(), flags_.end());
  return all;
}

std::string Cluster::data(std::uint64_t id) const {
  return directory_.path() + "/" + std::to_string(id);
}

std::string Cluster::log(std::uint64_t id) const { return read_file(data(id) + ".log"); }

void Cluster::start(std::uint64_t id, const std::vector<std::string>& flags) {
  auto all = arguments(id);
  all.insert(all.end(), flags.begin(), flags.end());
  processes_[id] = Process(all, data(id) + ".log");
}

void Cluster::start_all() {
  for (const auto& [id, port] : ports_) start(id);
  if (!eventually([&] { return leader() != 0; })) throw std::runtime_error("no leader: " + log(1));
}

void Cluster::kill(std::uint64_t id) {
  processes_[id].signal(SIGKILL);
  processes_[id].wait();
}

Address Cluster::address(std::uint64_t id) const { return {"127.0.0.1", ports_.at(id)}; }

std::string Cluster::addresses() const {
  std::string all;
  for (const auto& [id, port] : ports_) {
    all += (all.empty() ? "" : ",") + to_string(address(id));
  }
  return all;
}

ClientOptions Cluster::client_options() const {
  ClientOptions options;
  for (const auto& [id, port] : ports_) options.addresses.push_back(address(id));
  return options;
}

std::vector<NodeStatus> Cluster::status() const {
  return BlockingClient(client_options()).status(std::chrono::milliseconds(500));
}

std::uint64_t Cluster::leader() const {
  std::uint64_t found = 0;
  Ballot highest;
  for (const NodeStatus& node : status()) {
    if (!node.reachable || node.answer.role != "leader" || node.answer.ballot <= highest) continue;
    highest = node.answer.ballot;
    found = node.answer.node.value;
  }
  return found;
}

bool Cluster::settle() const {
  return eventually([&] {
    const auto nodes = status();
    std::set<std::pair<Lsn, Slot>> applied;
    std::set<std::uint64_t> hashes;
    for (const NodeStatus& node : nodes) {
      if (!node.reachable || node.answer.role == "unborn") return false;
      applied.insert({node.answer.applied_lsn, node.answer.chosen_end});
      hashes.insert(node.answer.state_hash);
    }
    return nodes.size() == ports_.size() && applied.size() == 1 && hashes.size() == 1;
  });
}

std::vector<std::string> Cluster::read_log(std::uint64_t id) const {
  BlockingClient client(client_options());
  std::vector<std::string> entries;
  ReadOptions options;
  options.node = {id};
  for (const NodeStatus& node : client.status(std::chrono::seconds(5))) {
    if (node.reachable && node.answer.node == options.node)
      options.lsn_begin = node.answer.first_lsn;
  }
  const Lsn first = options.lsn_begin;
  while (true) {
    const auto page = client.read(options);
    if (!page)
      throw std::runtime_error("cannot read node " + std::to_string(id) + ": " +
                               page.error().detail);
    if (page->entries.empty()) return entries;
    for (const Entry& entry : page->entries) {
      if (entry.lsn != first + entries.size()) throw std::runtime_error("LSNs are not dense");
      entries.emplace_back(reinterpret_cast<const char*>(entry.payload.data()),
                           entry.payload.size());
    }
    options.lsn_begin = page->lsn_next;
  }
}

Run Cluster::stele(std::vector<std::string> arguments, const std::string& input) const {
  arguments.insert(arguments.begin(), {program("stele"), "--cluster", addresses()});
  return run(arguments, input);
}

}  // namespace stele::test
