#include "apps/common/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

#include "log/node/node_options.h"
#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::apps {
namespace {

constexpr std::size_t kConfigBytesMax = 1 << 20;
std::string text_of(std::uint64_t number) { return std::to_string(number); }

/// The settings by name, as the flags have them.
template <class Numbers, class Texts>
void for_each_key(Settings& settings, Numbers numbers, Texts texts) {
  numbers("id", settings.id);
  numbers("entry-bytes-max", settings.entry_bytes_max);
  numbers("disk-bytes-max", settings.disk_bytes_max);
  numbers("disk-reserve-bytes", settings.disk_reserve_bytes);
  numbers("keep-for-members-bytes", settings.keep_for_members_bytes);
  numbers("fetch-bytes-per-second", settings.fetch_bytes_per_second);
  numbers("memory-bytes-max", settings.memory_bytes_max);
  numbers("election-timeout-ms", settings.election_timeout_ms);
  numbers("heartbeat-ms", settings.heartbeat_ms);
  texts("data", settings.data);
  texts("listen", settings.listen);
  texts("cluster-name", settings.cluster_name);
  texts("log-level", settings.log_level);
  texts("log-format", settings.log_format);
}

/// What an option of a node is called here.
std::string flag_of(std::string_view option) {
  std::string flag = "--" + std::string(option);
  std::ranges::replace(flag, '_', '-');
  if (option == "election_timeout" || option == "heartbeat") flag += "-ms";
  return flag;
}

std::string where(const std::string& path, const toml::node& node) {
  return path + ":" + std::to_string(node.source().begin.line) + ": ";
}

Result<std::string> cluster_of(const std::string& path, const toml::node& node) {
  const auto* table = node.as_table();
  if (table == nullptr) {
    return fail(Errc::invalid_argument,
                where(path, node) + "cluster is a table of ID = \"HOST:PORT\"");
  }
  std::string cluster;
  for (const auto& [id, address] : *table) {
    const auto text = address.value<std::string>();
    if (!text) {
      return fail(Errc::invalid_argument, where(path, address) + "an address is a \"HOST:PORT\"");
    }
    cluster += (cluster.empty() ? "" : ",") + std::string(id.str()) + "=" + *text;
  }
  return cluster;
}

}  // namespace

std::string number_fault(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) return "'" + text + "' is not a number of 0 or more";
  if (text.size() > 1 && text.front() == '0') return "'" + text + "' begins with a 0";
  return text.size() <= 19 ? "" : "'" + text + "' is larger than anything that makes sense";
}

void Settings::fill_from(const Settings& below) {
  const auto take = [](auto& mine, const auto& other) {
    if (!mine) mine = other;
  };
  take(id, below.id);
  take(cluster, below.cluster);
  take(data, below.data);
  take(listen, below.listen);
  take(cluster_name, below.cluster_name);
  take(entry_bytes_max, below.entry_bytes_max);
  take(disk_bytes_max, below.disk_bytes_max);
  take(disk_reserve_bytes, below.disk_reserve_bytes);
  take(keep_for_members_bytes, below.keep_for_members_bytes);
  take(fetch_bytes_per_second, below.fetch_bytes_per_second);
  take(memory_bytes_max, below.memory_bytes_max);
  take(election_timeout_ms, below.election_timeout_ms);
  take(heartbeat_ms, below.heartbeat_ms);
  take(log_level, below.log_level);
  take(log_format, below.log_format);
}

Result<std::vector<Address>> parse_addresses(const std::string& text) {
  std::vector<Address> addresses;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::string entry = text.substr(at, comma - at);
    entry = entry.substr(entry.find('=') + 1);
    auto address = parse_address(entry);
    if (!address) return forward(address);
    addresses.push_back(*std::move(address));
    at = comma + 1;
  }
  return addresses;
}

Result<std::map<NodeId, Address>> parse_cluster(const std::string& text) {
  std::map<NodeId, Address> cluster;
  std::string_view rest = text;
  while (true) {
    const std::size_t comma = rest.find(',');
    const std::string_view entry = rest.substr(0, comma);
    const std::size_t equals = entry.find('=');
    const auto bad = [&](const std::string& why) {
      return fail(Errc::invalid_argument, "in --cluster, '" + std::string(entry) + "' " + why +
                                              " (expected ID=HOST:PORT,…)");
    };
    if (equals == std::string_view::npos) return bad("has no '='");
    NodeId id;
    const std::string_view id_text = entry.substr(0, equals);
    const auto [end, error] =
        std::from_chars(id_text.data(), id_text.data() + id_text.size(), id.value);
    if (error != std::errc{} || end != id_text.data() + id_text.size() || id.value == 0 ||
        id.value > kNodeIdMax) {
      return bad("has an id that is not a number from 1 to " + text_of(kNodeIdMax));
    }
    const auto address = parse_address(entry.substr(equals + 1));
    if (!address) return bad("has a bad address: " + address.error().detail);
    if (cluster.contains(id)) return bad("names id " + text_of(id.value) + " a second time");
    for (const auto& [other, taken] : cluster) {
      if (taken == *address) return bad("has the address of node " + text_of(other.value));
    }
    cluster.emplace(id, *address);
    if (comma == std::string_view::npos) break;
    rest = rest.substr(comma + 1);
  }
  if (cluster.size() > kMembersMax) {
    return fail(Errc::invalid_argument, "--cluster names " + text_of(cluster.size()) +
                                            " nodes; a cluster has 1 to " + text_of(kMembersMax));
  }
  return cluster;
}

Result<std::string> read_config(const std::string& path) {
  const auto bad = [&](const std::string& why) {
    return fail(Errc::invalid_argument, "--config: cannot read '" + path + "': " + why);
  };
  std::error_code none;
  if (path.empty()) return bad("the name is empty");
  if (std::filesystem::is_directory(path, none)) return bad("it is a directory");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return bad(std::strerror(errno));
  std::string content;
  std::array<char, 4096> chunk{};
  while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    content.append(chunk.data(), count);
    if (content.size() > kConfigBytesMax) return bad("it is no file of settings: it is too long");
  }
  if (std::ferror(file.get()) != 0) return bad(std::strerror(errno));
  return content;
}

Result<Settings> read_settings(const std::string& path) {
  Settings settings;
  const auto content = read_config(path);
  if (!content) return forward(content);
  toml::table file;
  try {
    file = toml::parse(*content, path);
  } catch (const toml::parse_error& error) {
    return fail(Errc::invalid_argument, path + ":" + std::to_string(error.source().begin.line) +
                                            ": " + std::string(error.description()));
  }
  for (const auto& entry : file) {
    const std::string name(entry.first.str());
    const toml::node& node = entry.second;
    bool known = false;
    std::string wrong;
    for_each_key(
        settings,
        [&](std::string_view flag, std::optional<std::uint64_t>& number) {
          if (flag != name) return;
          known = true;
          const auto value = node.value_exact<std::int64_t>();
          if (value && *value >= 0) {
            number = static_cast<std::uint64_t>(*value);
          } else {
            wrong = name + " is a number, not negative";
          }
        },
        [&](std::string_view flag, std::optional<std::string>& text) {
          if (flag != name) return;
          known = true;
          const auto value = node.value_exact<std::string>();
          if (value) {
            text = *value;
          } else {
            wrong = name + " is a string";
          }
        });
    if (name == "cluster") {
      auto cluster = cluster_of(path, node);
      if (!cluster) return forward(cluster);
      settings.cluster = *cluster;
    } else if (!known) {
      wrong = "there is no setting '" + name + "'";
    }
    if (!wrong.empty()) return fail(Errc::invalid_argument, where(path, node) + wrong);
  }
  return settings;
}

Result<Config> make_config(const Settings& settings) {
  const auto missing = [](const char* flag) {
    return fail(Errc::invalid_argument, std::string("--") + flag + " is missing");
  };
  if (!settings.id) return missing("id");
  if (!settings.cluster) return missing("cluster");
  if (!settings.data) return missing("data");
  auto cluster = parse_cluster(*settings.cluster);
  if (!cluster) return forward(cluster);

  NodeOptions node;
  node.id = {*settings.id};
  node.cluster = *std::move(cluster);
  node.data = *settings.data;
  if (settings.listen) {
    const auto listen = parse_address(*settings.listen);
    if (!listen) return fail(Errc::invalid_argument, "--listen: " + listen.error().detail);
    node.listen = *listen;
  }
  const auto take = [](auto& to, const auto& from) {
    if (from) to = *from;
  };
  take(node.cluster_name, settings.cluster_name);
  take(node.entry_bytes_max, settings.entry_bytes_max);
  take(node.disk_bytes_max, settings.disk_bytes_max);
  take(node.disk_reserve_bytes, settings.disk_reserve_bytes);
  take(node.keep_for_members_bytes, settings.keep_for_members_bytes);
  take(node.fetch_bytes_per_second, settings.fetch_bytes_per_second);
  take(node.memory_bytes_max, settings.memory_bytes_max);
  const auto ms = [](std::uint64_t number) {  // No overflow; as much is refused below.
    return std::chrono::milliseconds(std::min<std::uint64_t>(number, 1'000'000'000));
  };
  if (settings.election_timeout_ms) node.election_timeout = ms(*settings.election_timeout_ms);
  if (settings.heartbeat_ms) node.heartbeat = ms(*settings.heartbeat_ms);
  auto complete = log::complete(std::move(node), flag_of);
  if (!complete) return forward(complete);

  Config config;
  config.node = *std::move(complete);
  config.log_level = settings.log_level.value_or("info");
  config.log_format = settings.log_format.value_or("text");
  const std::string& level = config.log_level;
  if (level != "debug" && level != "info" && level != "warning" && level != "error") {
    return fail(Errc::invalid_argument,
                "--log-level is debug, info, warning or error, not '" + level + "'");
  }
  if (config.log_format != "text" && config.log_format != "json") {
    return fail(Errc::invalid_argument,
                "--log-format is text or json, not '" + config.log_format + "'");
  }
  return config;
}

}  // namespace stele::apps
