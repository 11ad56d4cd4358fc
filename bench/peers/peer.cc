#include "bench/peers/peer.h"

#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "bench/cluster/cluster.h"

namespace stele::bench {

std::vector<Peer> peers() {
  return {
      {"etcd", "synced on a majority; one key per append", 4096, start_etcd},
      {"ZooKeeper", "synced on a majority; one sequential znode per append", 1, start_zookeeper},
      {"Redis",
       "synced by the primary (appendfsync always) and told to one of two replicas (WAIT 1), which "
       "sync too; no consensus: a failover can lose what was acknowledged",
       64, start_redis},
      {"NATS JetStream",
       "in the page cache of a majority (R3, the default sync interval of two minutes): a power "
       "failure can lose what was acknowledged",
       4096, start_nats},
  };
}

std::vector<pid_t> PeerSubject::processes() {
  std::vector<pid_t> pids;
  for (const test::Process& process : processes_) pids.push_back(process.pid());
  return pids;
}

std::string PeerSubject::node_directory(std::size_t node) const {
  const std::string path = directory_.path() + "/" + std::to_string(node);
  std::filesystem::create_directories(path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

void PeerSubject::start(std::size_t node, const std::vector<std::string>& arguments) {
  processes_.emplace_back(arguments, node_directory(node) + ".log");
}

void PeerSubject::await(const std::string& what, const std::function<bool()>& condition) {
  if (test::eventually(condition)) return;
  std::string said;
  for (std::size_t node = 0; node < processes_.size(); ++node) {
    const std::string log = test::read_file(node_directory(node) + ".log");
    said += "\n" + log.substr(log.size() - std::min<std::size_t>(log.size(), 1000));
  }
  throw std::runtime_error(what + said);
}

std::string installed(const std::string& program) {
  for (const char* directory : {"/usr/bin/", "/usr/sbin/"}) {
    const std::string path = directory + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  throw std::runtime_error(program + " is not installed");
}

}  // namespace stele::bench
