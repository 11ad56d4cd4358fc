// What a node is told at its start: flags over a TOML file over defaults.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <stele/address.h>
#include <stele/node.h>
#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::apps {

/// Why a text is no number as flags take it; empty if it is one.
[[nodiscard]] std::string number_fault(const std::string& text);

/// As given: what is not said is empty.
struct Settings {
  std::optional<std::uint64_t> id;
  std::optional<std::string> cluster;  // "1=host:port,2=…"
  std::optional<std::string> data;
  std::optional<std::string> listen;
  std::optional<std::string> cluster_name;
  std::optional<std::uint64_t> entry_bytes_max;
  std::optional<std::uint64_t> disk_bytes_max;
  std::optional<std::uint64_t> disk_reserve_bytes;
  std::optional<std::uint64_t> keep_for_members_bytes;
  std::optional<std::uint64_t> fetch_bytes_per_second;
  std::optional<std::uint64_t> memory_bytes_max;
  std::optional<std::uint64_t> election_timeout_ms;
  std::optional<std::uint64_t> heartbeat_ms;
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;

  /// Takes what is not said here from `below`.
  void fill_from(const Settings& below);
};

/// Checked and complete.
struct Config {
  NodeOptions node;
  std::string log_level;
  std::string log_format;
};

/// "1=host:port,2=host:port". Errors: invalid_argument, naming the entry that is wrong.
[[nodiscard]] Result<std::map<NodeId, Address>> parse_cluster(const std::string& text);

/// "host:port,host:port"; "1=host:port" will do, too. Errors: invalid_argument.
[[nodiscard]] Result<std::vector<Address>> parse_addresses(const std::string& text);

/// Reads the keys of the flags, `cluster` as a table. Errors: invalid_argument, with line numbers.
[[nodiscard]] Result<Settings> read_settings(const std::string& path);

/// Errors: invalid_argument.
[[nodiscard]] Result<Config> make_config(const Settings& settings);

}  // namespace stele::apps
