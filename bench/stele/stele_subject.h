// A cluster of Stele as the subject of loads: somebody's, or processes of its own.
#pragma once

#include <memory>
#include <string>

#include <stele/client.h>
#include "bench/cluster/cluster.h"
#include "bench/measure/subject.h"

namespace stele::bench {

class SteleSubject final : public Subject {
 public:
  /// Starts `nodes` nodes; their data lies in `directory`, or where the system keeps such.
  SteleSubject(std::size_t nodes, const std::string& directory);
  /// Nodes that run already, "host:port" each. Throws if one is no address.
  explicit SteleSubject(const std::vector<std::string>& addresses);

  [[nodiscard]] std::unique_ptr<Target> target(asio::io_context& context, std::size_t in_flight,
                                               std::size_t connections) override;
  [[nodiscard]] std::vector<pid_t> processes() override;
  /// From the next load on: so many clients, each with a session of its own, take turns; they share
  /// the connections of the load. None: one for each connection.
  void set_clients(std::size_t clients) { clients_ = clients; }
  /// The end of the log, as a linearizable read tells it.
  [[nodiscard]] std::optional<std::uint64_t> entries() override;

  /// Null if the cluster is somebody's.
  [[nodiscard]] test::Cluster* own() { return own_.get(); }
  [[nodiscard]] const ClientOptions& options() const { return options_; }

 private:
  std::unique_ptr<test::Cluster> own_;
  ClientOptions options_;
  std::size_t clients_ = 0;
};

}  // namespace stele::bench
