#include "log/node/node_options.h"

#include <algorithm>
#include <set>

#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kEntryBytesLimit = 64ULL << 20;
constexpr std::uint64_t kDiskBytesMin = 16ULL << 20;
constexpr std::uint64_t kDiskBytesLimit = 64ULL << 40;
constexpr std::uint64_t kMemoryBytesLimit = 1ULL << 40;
constexpr std::uint64_t kFetchPaceMin = 1'000'000;
constexpr std::uint64_t kMemoryBytesMin = 32ULL << 20;
constexpr std::uint64_t kMemoryBytesDefault = 64ULL << 20;
constexpr std::uint64_t kDiskReserveDefault = 256ULL << 20;
#ifdef STELE_SANITIZED
// What the sanitizers' maps leave room for.
constexpr std::uint64_t kDiskBytesDefault = 16ULL << 30;
#else
constexpr std::uint64_t kDiskBytesDefault = 1ULL << 40;
#endif

std::string text_of(std::uint64_t number) { return std::to_string(number); }

tl::unexpected<Error> bad(const std::string& why) { return fail(Errc::invalid_argument, why); }

Result<void> complete_members(NodeOptions& options, const OptionName& name) {
  if (options.data.empty()) return bad(name("data") + " is empty");
  if (options.cluster.size() > kMembersMax) {
    return bad(name("cluster") + " names " + text_of(options.cluster.size()) +
               " nodes; a cluster has 1 to " + text_of(kMembersMax));
  }
  for (const auto& [id, address] : options.cluster) {
    if (id.value == 0 || id.value > kNodeIdMax) {
      return bad(name("cluster") + " has an id that is not from 1 to " + text_of(kNodeIdMax));
    }
    if (address.host.empty() || address.port == 0) {
      return bad(name("cluster") + " has no host, or no port from 1 to 65535, for node " +
                 text_of(id.value));
    }
  }
  std::set<Address> addresses;
  for (const auto& [id, address] : options.cluster) {
    if (!addresses.insert(address).second) {
      return bad(name("cluster") + " has the address " + to_string(address) + " twice");
    }
  }
  const auto self = options.cluster.find(options.id);
  if (self == options.cluster.end()) {
    return bad("this node's own id " + text_of(options.id.value) + " is not in " + name("cluster"));
  }
  if (!options.listen) options.listen = self->second;
  if (options.cluster_name.empty() || options.cluster_name.size() > 200) {
    return bad(name("cluster_name") + " has 1 to 200 bytes");
  }
  return {};
}

Result<void> complete_disk(NodeOptions& options, const OptionName& name) {
  const std::uint64_t disk = options.disk_bytes_max.value_or(kDiskBytesDefault) / 4096 * 4096;
  if (disk < kDiskBytesMin || disk > kDiskBytesLimit) {
    return bad(name("disk_bytes_max") + " ranges from " + text_of(kDiskBytesMin) + " to " +
               text_of(kDiskBytesLimit));
  }
  options.disk_bytes_max = disk;
  // What is in flight when it is crossed must fit into a part of it.
  const std::uint64_t reserve_min = (4ULL << 20) + 4 * options.entry_bytes_max;
  if (!options.disk_reserve_bytes) {
    options.disk_reserve_bytes = std::max(std::min(kDiskReserveDefault, disk / 8), reserve_min);
  }
  if (*options.disk_reserve_bytes < reserve_min) {
    return bad(name("disk_reserve_bytes") + " is at least " + text_of(reserve_min) +
               " with entries of this size");
  }
  if (*options.disk_reserve_bytes >= disk) {
    return bad(name("disk_reserve_bytes") + " is less than " + name("disk_bytes_max"));
  }
  return {};
}

Result<void> complete_memory(NodeOptions& options, const OptionName& name) {
  if (!options.memory_bytes_max) {
    options.memory_bytes_max =
        std::max(kMemoryBytesDefault, 16 * options.entry_bytes_max + kMemoryBytesMin);
  }
  const std::uint64_t memory_min = kMemoryBytesMin + 8 * options.entry_bytes_max;
  if (*options.memory_bytes_max < memory_min || *options.memory_bytes_max > kMemoryBytesLimit) {
    return bad(name("memory_bytes_max") + " ranges from " + text_of(memory_min) +
               " with entries of this size to " + text_of(kMemoryBytesLimit));
  }
  return {};
}

}  // namespace

Result<NodeOptions> complete(NodeOptions options, const OptionName& name) {
  if (auto members = complete_members(options, name); !members) return forward(members);
  if (options.entry_bytes_max == 0 || options.entry_bytes_max > kEntryBytesLimit) {
    return bad(name("entry_bytes_max") + " ranges from 1 to " + text_of(kEntryBytesLimit));
  }
  if (auto disk = complete_disk(options, name); !disk) return forward(disk);
  if (options.fetch_bytes_per_second < kFetchPaceMin) {
    return bad(name("fetch_bytes_per_second") + " is at least " + text_of(kFetchPaceMin));
  }
  if (auto memory = complete_memory(options, name); !memory) return forward(memory);
  constexpr std::uint64_t kConnectionsMax = 1'000'000;
  if (options.clients_max > kConnectionsMax || options.inbound_max > kConnectionsMax) {
    return bad(name("clients_max") + " and " + name("inbound_max") + " are at most " +
               text_of(kConnectionsMax));
  }
  constexpr std::chrono::minutes kTimeoutMax(10);
  if (options.heartbeat < std::chrono::milliseconds(1) || options.heartbeat > kTimeoutMax ||
      options.election_timeout < 2 * options.heartbeat || options.election_timeout > kTimeoutMax) {
    return bad(name("election_timeout") + " is at least twice " + name("heartbeat") +
               ", which is at least 1, and at most 600000");
  }
  return options;
}

}  // namespace stele::log
