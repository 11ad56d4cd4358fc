// The subcommands of `stele`, one source each. Each returns an exit code.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <stele/client_types.h>

namespace stele::apps {

/// What stands before or after any subcommand.
struct Common {
  std::vector<Address> cluster;
  std::string cluster_name;
};

enum class Format : std::uint8_t { raw, json, hex };

struct AppendFlags {
  std::vector<std::string> entries;
  std::string file;
  std::string whole;
  bool null_separated = false;
  std::uint32_t in_flight = 256;
  std::uint64_t timeout_ms = 30'000;
};
int append(const Common& common, const AppendFlags& flags);

struct ReadFlags {
  std::uint64_t from = 1;
  std::optional<std::uint64_t> to;
  std::optional<std::uint64_t> count;
  std::uint64_t node = 0;
  Format format = Format::raw;
  bool null_separated = false;
  bool skip_trimmed = false;
  std::uint64_t timeout_ms = 10'000;
};
int read(const Common& common, const ReadFlags& flags);

struct TailFlags {
  std::optional<std::uint64_t> from;  // Nothing: from now on.
  std::optional<std::uint64_t> count;
  Format format = Format::raw;
  bool null_separated = false;
  bool skip_trimmed = false;
};
int tail(const Common& common, const TailFlags& flags);

struct TrimFlags {
  std::uint64_t before = 0;
  bool force = false;
  bool yes = false;
  bool dry_run = false;
  std::uint64_t timeout_ms = 30'000;
};
int trim(const Common& common, const TrimFlags& flags);

struct RetentionFlags {
  std::uint64_t bytes = 0;
  std::chrono::milliseconds age{0};
  bool json = false;
  std::uint64_t timeout_ms = 30'000;
};
int set_retention(const Common& common, const RetentionFlags& flags);
int show_retention(const Common& common, const RetentionFlags& flags);

struct HoldFlags {
  std::string name;
  std::uint64_t lsn = 0;
  std::chrono::milliseconds ttl{0};
  bool json = false;
  std::uint64_t timeout_ms = 30'000;
};
int set_hold(const Common& common, const HoldFlags& flags);
int list_holds(const Common& common, const HoldFlags& flags);
int release_hold(const Common& common, const HoldFlags& flags);

struct StatusFlags {
  bool json = false;
  std::uint64_t timeout_ms = 2'000;
};
int status(const Common& common, const StatusFlags& flags);

struct DevFlags {
  std::uint64_t nodes = 3;
  std::string data;
  std::uint16_t port = 7101;
  std::string log_level = "warning";
};
int dev(const DevFlags& flags);

int verify(const std::string& data);

/// The options of all tools: addresses of several clusters are refused, and the user is told why a
/// call waits.
[[nodiscard]] ClientOptions options_for(const Common& common);

/// Tells on standard error that a reader passes entries by, which are trimmed.
void tell_skipped(Lsn from, Lsn first);

/// Complains on standard error, `stele: CODE: DETAIL`, and maps to an exit code.
int complain(Errc code, const std::string& detail);

}  // namespace stele::apps
