// A cluster of real steled processes on free ports of the loopback interface.
#pragma once

#include <csignal>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <stele/client.h>
#include "bench/cluster/ports.h"
#include "bench/cluster/process.h"

namespace stele::test {

/// Waits until `condition` holds; false if it does not within two minutes, which is a failure of
/// the test and no measure of speed. The condition itself takes a while (it asks processes).
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

[[nodiscard]] std::string program(const std::string& name);

class Cluster {
 public:
  /// Its data lies in a new directory, in `parent` if that is given, and goes with it.
  explicit Cluster(std::size_t nodes, std::vector<std::string> flags = {},
                   const std::string& parent = {});

  /// All nodes, and waits for a leader.
  void start_all();
  void start(std::uint64_t id, const std::vector<std::string>& flags = {});
  void kill(std::uint64_t id);
  void pause(std::uint64_t id) { processes_[id].signal(SIGSTOP); }
  void resume(std::uint64_t id) { processes_[id].signal(SIGCONT); }
  [[nodiscard]] Process& process(std::uint64_t id) { return processes_[id]; }

  /// The arguments of a node, for a start by hand.
  [[nodiscard]] std::vector<std::string> arguments(std::uint64_t id) const;
  [[nodiscard]] std::string data(std::uint64_t id) const;
  [[nodiscard]] std::string log(std::uint64_t id) const;
  [[nodiscard]] Address address(std::uint64_t id) const;
  /// "127.0.0.1:port,…" for the tools.
  [[nodiscard]] std::string addresses() const;
  [[nodiscard]] ClientOptions client_options() const;
  [[nodiscard]] std::size_t size() const { return ports_.size(); }

  [[nodiscard]] std::vector<NodeStatus> status() const;
  /// 0 if nobody leads.
  [[nodiscard]] std::uint64_t leader() const;
  /// Waits until all nodes have applied the same entries; false if they do not.
  [[nodiscard]] bool settle() const;
  /// A node's own log, from the first entry that is kept.
  [[nodiscard]] std::vector<std::string> read_log(std::uint64_t id) const;

  /// Runs a tool against this cluster.
  [[nodiscard]] Run stele(std::vector<std::string> arguments, const std::string& input = {}) const;

 private:
  Ports held_;
  TempDirectory directory_;
  std::vector<std::string> flags_;
  std::map<std::uint64_t, std::uint16_t> ports_;
  std::map<std::uint64_t, Process> processes_;
};

}  // namespace stele::test
