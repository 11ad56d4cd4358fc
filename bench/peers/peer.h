// Peers: other replicated logs, as three processes each on the loopback interface, with the
// settings under which an acknowledgement means as much as they can make it mean.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/cluster/process.h"
#include "bench/measure/subject.h"

namespace stele::bench {

struct Peer {
  std::string name;
  /// What an acknowledged append has survived, with the settings used here.
  std::string promise;
  /// How many appends in flight one connection is for, to its best advantage; 16 connections at
  /// most.
  std::size_t per_connection = 1;
  std::function<std::unique_ptr<Subject>(const std::string& directory)> start;
};

/// Every peer there is, the strongest promises first.
[[nodiscard]] std::vector<Peer> peers();

std::unique_ptr<Subject> start_etcd(const std::string& directory);
std::unique_ptr<Subject> start_zookeeper(const std::string& directory);
std::unique_ptr<Subject> start_redis(const std::string& directory);
std::unique_ptr<Subject> start_nats(const std::string& directory);

/// Processes and data of a peer; both go with it.
class PeerSubject : public Subject {
 public:
  static constexpr std::size_t kNodes = 3;

  /// The data lies in a new directory in `directory`.
  explicit PeerSubject(const std::string& directory) : directory_(directory) {}

  [[nodiscard]] std::vector<pid_t> processes() override;

 protected:
  /// A node's own directory, which is made.
  [[nodiscard]] std::string node_directory(std::size_t node) const;
  void start(std::size_t node, const std::vector<std::string>& arguments);
  /// Waits for `condition`; throws, with what the processes said last, if it does not come.
  void await(const std::string& what, const std::function<bool()>& condition);

 private:
  test::TempDirectory directory_;
  std::vector<test::Process> processes_;  // End before their data goes.
};

/// The path of an installed program. Throws if there is none.
[[nodiscard]] std::string installed(const std::string& program);

}  // namespace stele::bench
