// stele: the shell tool. Flags here, the work in cmd_*.cc.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <utility>

#include <stele/version.h>
#include "apps/common/config.h"
#include "apps/common/descriptors.h"
#include "apps/common/exit_codes.h"
#include "apps/common/units.h"
#include "apps/stele/cli.h"

namespace stele::apps {

int complain(Errc code, const std::string& detail) {
  const std::string word(to_string(code));
  std::fprintf(stderr, "stele: %s%s%s\n", word.c_str(), detail.empty() ? "" : ": ", detail.c_str());
  return exit_code_of(code);
}

ClientOptions options_for(const Common& common) {
  ClientOptions options;
  options.addresses = common.cluster;
  options.cluster_name = common.cluster_name;
  options.check_addresses = true;
  options.on_waiting = [](const std::string& why) {
    std::fprintf(stderr, "stele: waits: %s\n", why.c_str());
  };
  return options;
}

namespace {

const std::map<std::string, Format> kFormats{
    {"raw", Format::raw}, {"json", Format::json}, {"hex", Format::hex}};

void add_format(CLI::App& sub, Format& format) {
  sub.add_option_function<std::string>(
      "--format",
      [&format](const std::string& text) {
        const auto found = kFormats.find(text);
        if (found == kFormats.end()) {
          throw CLI::ValidationError("--format", "'" + text + "' is neither raw nor json nor hex");
        }
        format = found->second;
      },
      "raw, json or hex");
}

constexpr const char* kSkipTrimmed = "Where entries are trimmed, go on from the first that is kept";

struct Commands {
  std::string cluster;
  Common common;
  AppendFlags append;
  ReadFlags read;
  TailFlags tail;
  StatusFlags status;
  TrimFlags trim;
  RetentionFlags retention;
  HoldFlags hold;
  DevFlags dev;
  std::string tail_from = "now";
  std::string verify_data;
  std::function<int()> chosen;
};

void add_append(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("append", "Append entries; prints the LSN of each");
  sub->add_option("entries", c.append.entries,
                  "One entry each; without: one per line of the input");
  auto* file =
      sub->add_option("--file", c.append.file, "Read lines from this file; -: standard input");
  auto* whole = sub->add_option("--whole", c.append.whole, "Append this file as one entry");
  file->excludes(whole);
  sub->add_flag("--null", c.append.null_separated,
                "Entries of the input end with NUL, not newline");
  sub->add_option("--in-flight", c.append.in_flight, "Unacknowledged entries at most")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  sub->add_option("--timeout-ms", c.append.timeout_ms, "For each entry")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
  sub->callback([&c] { c.chosen = [&c] { return append(c.common, c.append); }; });
}

void add_read(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("read", "Print entries of the log");
  sub->add_option("--from", c.read.from, "The first LSN")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 61));
  auto* to =
      sub->add_option("--to", c.read.to, "The LSN before which to end (default: the present end)")
          ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 61));
  sub->add_option("--count", c.read.count, "How many entries at most")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 61))
      ->excludes(to);
  sub->add_option("--node", c.read.node, "Read this node's own state, which may lag")
      ->check(CLI::Range(std::uint64_t{1}, kNodeIdMax));
  add_format(*sub, c.read.format);
  sub->add_flag("--skip-trimmed", c.read.skip_trimmed, kSkipTrimmed);
  sub->add_flag("--null", c.read.null_separated, "End entries with NUL, not newline");
  sub->add_option("--timeout-ms", c.read.timeout_ms, "For each page")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
  sub->callback([&c] { c.chosen = [&c] { return read(c.common, c.read); }; });
}

void add_tail(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("tail", "Print entries as they are appended, until Ctrl-C");
  sub->add_option("--from", c.tail_from, "The first LSN, or now")
      ->check([](const std::string& text) {
        std::uint64_t lsn = 0;
        const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), lsn);
        const bool number = fault == std::errc() && end == text.data() + text.size() && lsn != 0 &&
                            lsn <= std::uint64_t{1} << 61;
        return text == "now" || number ? std::string()
                                       : "'" + text + "' is neither an LSN (from 1) nor now";
      })
      ->capture_default_str();
  sub->add_option("--count", c.tail.count, "End after that many entries")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 61));
  add_format(*sub, c.tail.format);
  sub->add_flag("--skip-trimmed", c.tail.skip_trimmed, kSkipTrimmed);
  sub->add_flag("--null", c.tail.null_separated, "End entries with NUL, not newline");
  sub->callback([&c] {
    c.chosen = [&c] {
      if (c.tail_from != "now") c.tail.from = std::stoull(c.tail_from);
      return tail(c.common, c.tail);
    };
  });
}

/// A time-out like that of other subcommands.
void add_timeout(CLI::App& sub, std::uint64_t& timeout_ms) {
  sub.add_option("--timeout-ms", timeout_ms, "How long to wait for the cluster")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
}

/// A size or a time that is not nothing.
template <class T, class Parse>
CLI::Option* add_amount(CLI::App& sub, const char* flag, T& to, Parse parse, const char* what) {
  return sub.add_option_function<std::string>(
      flag,
      [&to, parse, flag](const std::string& text) {
        const auto parsed = parse(text);
        if (!parsed) throw CLI::ValidationError(flag, parsed.error().detail);
        if (*parsed == T{}) throw CLI::ValidationError(flag, "'" + text + "' keeps nothing");
        to = *parsed;
      },
      what);
}

void add_trim(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("trim", "Give up the entries below an LSN, for good");
  sub->add_option("--before", c.trim.before, "The first LSN that is kept")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 61))
      ->required();
  sub->add_flag("--yes", c.trim.yes, "Do not ask, also on a terminal");
  sub->add_flag("--dry-run", c.trim.dry_run, "Only say what would go");
  sub->add_flag("--force", c.trim.force, "Pass holds, and say which");
  add_timeout(*sub, c.trim.timeout_ms);
  sub->callback([&c] { c.chosen = [&c] { return trim(c.common, c.trim); }; });
}

void add_retention(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("retention", "How much of the log is kept");
  sub->require_subcommand(1);
  CLI::App* set = sub->add_subcommand("set", "Keep so much at least; the rest is trimmed");
  CLI::App* show = sub->add_subcommand("show", "What is kept now, and what holds it back");
  CLI::App* clear = sub->add_subcommand("clear", "Trim by hand only");
  CLI::App* what = set->add_option_group("what", "What is kept; of both the less");
  add_amount(*what, "--bytes", c.retention.bytes, parse_bytes, "Of slots, such as 50GiB");
  add_amount(*what, "--age", c.retention.age, parse_duration, "Of log time, such as 7d");
  what->require_option(1, 2);
  show->add_flag("--json", c.retention.json, "As JSON");
  for (CLI::App* each : {set, show, clear}) add_timeout(*each, c.retention.timeout_ms);
  const auto sets = [&c] { c.chosen = [&c] { return set_retention(c.common, c.retention); }; };
  set->callback(sets);
  clear->callback(sets);
  show->callback([&c] { c.chosen = [&c] { return show_retention(c.common, c.retention); }; });
}

void add_hold(CLI::App& app, Commands& c) {
  CLI::App* sub = app.add_subcommand("hold", "Keep entries, whatever the retention");
  sub->require_subcommand(1);
  CLI::App* set = sub->add_subcommand("set", "Keep entries from an LSN on, for a while");
  CLI::App* list = sub->add_subcommand("list", "All holds");
  CLI::App* release = sub->add_subcommand("release", "End a hold");
  set->add_option("name", c.hold.name, "Its name; one that is there is set anew")->required();
  set->add_option("--lsn", c.hold.lsn, "The first LSN that is kept")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 61))
      ->required();
  add_amount(*set, "--for", c.hold.ttl, parse_duration, "Of log time, such as 12h")->required();
  list->add_flag("--json", c.hold.json, "As JSON");
  release->add_option("name", c.hold.name, "Its name")->required();
  for (CLI::App* each : {set, list, release}) add_timeout(*each, c.hold.timeout_ms);
  set->callback([&c] { c.chosen = [&c] { return set_hold(c.common, c.hold); }; });
  list->callback([&c] { c.chosen = [&c] { return list_holds(c.common, c.hold); }; });
  release->callback([&c] { c.chosen = [&c] { return release_hold(c.common, c.hold); }; });
}

void add_others(CLI::App& app, Commands& c) {
  CLI::App* status_sub =
      app.add_subcommand("status", "What every node is doing; 0 if a leader serves");
  status_sub->add_flag("--json", c.status.json, "As JSON");
  status_sub->add_option("--timeout-ms", c.status.timeout_ms, "How long to wait for a node")
      ->check(CLI::Range(1, 86'400'000))
      ->capture_default_str();
  status_sub->callback([&c] { c.chosen = [&c] { return status(c.common, c.status); }; });

  CLI::App* dev_sub =
      app.add_subcommand("dev", "Run a whole cluster in this process, for development");
  dev_sub->add_option("--nodes", c.dev.nodes, "How many nodes, 1 to 7")->capture_default_str();
  dev_sub->add_option("--data", c.dev.data, "The directory for their data")->required();
  dev_sub->add_option("--port", c.dev.port, "Of the first node; the others follow")
      ->capture_default_str();
  dev_sub->add_option("--log-level", c.dev.log_level, "debug, info, warning or error")
      ->capture_default_str();
  dev_sub->callback([&c] { c.chosen = [&c] { return dev(c.dev); }; });

  CLI::App* verify_sub =
      app.add_subcommand("verify", "Check a data directory while its node is down");
  verify_sub->add_option("--data", c.verify_data, "The directory")->required();
  verify_sub->callback([&c] { c.chosen = [&c] { return verify(c.verify_data); }; });
}

/// Stands before an entry until it is parsed, if the parser of flags would take the entry for
/// something else: lists in brackets, `++`, names of subcommands, what follows `--`.
constexpr char kShield = '\x01';

std::vector<std::string> shield(int argc, char** argv, const CLI::App& app) {
  std::vector<std::string> all(argv, argv + argc);
  const auto names_a_subcommand = [&](const std::string& argument) {
    return std::ranges::any_of(app.get_subcommands(nullptr),
                               [&](const CLI::App* sub) { return sub->get_name() == argument; });
  };
  bool appends = false;
  bool literal = false;
  for (std::string& argument : all) {
    const bool special = argument.empty() || argument.front() == '[' ||
                         argument.front() == kShield || argument == "++" || argument == "-" ||
                         names_a_subcommand(argument);
    if (appends && !literal && argument == "--") {
      literal = true;
    } else if (literal || (appends && special)) {
      argument.insert(argument.begin(), kShield);
    } else {
      appends = appends || argument == "append";
    }
  }
  return all;
}

void unshield(std::string& argument) {
  if (!argument.empty() && argument.front() == kShield) argument.erase(argument.begin());
}

/// Output that could not be written makes a success a failure.
int printed(int exit_code) {
  std::cout.flush();
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good();
  if (written || exit_code != kDone) return exit_code;
  std::fprintf(stderr, "stele: io: cannot write the output: %s\n", std::strerror(errno));
  return kFailed;
}

/// What to say if there is no such subcommand; empty if there is, or none is given.
std::string unknown_subcommand(const std::vector<std::string>& arguments, const CLI::App& app) {
  bool value = false;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (std::exchange(value, argument == "--cluster" || argument == "--cluster-name")) continue;
    if (argument == "--cluster" || argument == "--cluster-name" || argument.starts_with('-'))
      continue;
    std::string names;
    for (const CLI::App* sub : app.get_subcommands(nullptr)) {
      if (sub->get_name() == argument) return {};
      names += (names.empty() ? "" : ", ") + sub->get_name();
    }
    return "there is no subcommand '" + argument + "', but: " + names;
  }
  return {};
}

void define(CLI::App& app, Commands& c) {
  app.fallthrough();  // Global flags may stand before or after the subcommand.
  app.require_subcommand(1);
  app.add_option("--cluster", c.cluster, "Nodes of the cluster: HOST:PORT,…; some are enough")
      ->envname("STELE_CLUSTER");
  app.add_option("--cluster-name", c.common.cluster_name, "Refuse clusters of another name");
  app.set_version_flag("--version", std::string("stele ") + kVersion);
  app.footer(kExitCodesHelp);
  add_append(app, c);
  add_read(app, c);
  add_tail(app, c);
  add_trim(app, c);
  add_retention(app, c);
  add_hold(app, c);
  add_others(app, c);
  for (CLI::App* subcommand : app.get_subcommands(nullptr)) {
    for (CLI::Option* option : subcommand->get_options()) {
      if (option->get_type_name().find("INT") == std::string::npos) continue;
      // Before its range is looked at.
      option->transform(
          CLI::Validator([](std::string& text) { return number_fault(text); }, std::string()));
    }
  }
}

/// Where the cluster is. Errors: invalid_argument.
Result<void> resolve_cluster(Commands& c) {
  if (c.cluster.empty()) {
    return fail(Errc::invalid_argument,
                "say where the cluster is: --cluster HOST:PORT,… or STELE_CLUSTER");
  }
  auto addresses = parse_addresses(c.cluster);
  if (!addresses) return fail(Errc::invalid_argument, "--cluster: " + addresses.error().detail);
  c.common.cluster = *std::move(addresses);
  return {};
}

/// What is to be appended. Errors: invalid_argument.
Result<void> check_append(const CLI::App& append, Commands& c) {
  for (std::string& entry : c.append.entries) unshield(entry);
  unshield(c.append.file);
  unshield(c.append.whole);
  for (const char* flag : {"--file", "--whole"}) {
    if (append.count(flag) != 0 && (flag[2] == 'f' ? c.append.file : c.append.whole).empty())
      return fail(Errc::invalid_argument, std::string(flag) + ": the name is empty");
  }
  const int sources = (c.append.entries.empty() ? 0 : 1) + (c.append.file.empty() ? 0 : 1) +
                      (c.append.whole.empty() ? 0 : 1);
  if (sources > 1)
    return fail(Errc::invalid_argument, "give entries, --file or --whole, not several of them");
  return {};
}

int main(int argc, char** argv) {
  keep_standard_descriptors();
  std::signal(SIGXFSZ, SIG_IGN);  // A file that may not grow is an error like any other.
  CLI::App app("Append to the log of a Stele cluster, read it, and see how it is.", "stele");
  Commands c;
  define(app, c);
  std::vector<std::string> arguments = shield(argc, argv, app);
  for (const std::string& argument : arguments) {
    if (argument == "--cluster=" || argument == "--cluster-name=") {
      return complain(Errc::invalid_argument,
                      argument.substr(0, argument.size() - 1) + " is empty");
    }
  }
  std::vector<char*> pointers;
  pointers.reserve(arguments.size());
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  try {
    app.parse(argc, pointers.data());
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;
    if (const std::string unknown = unknown_subcommand(arguments, app);
        !asked && !unknown.empty()) {
      return complain(Errc::invalid_argument, unknown);
    }
    return app.exit(error) == 0 ? printed(kDone) : kUsage;
  }
  unshield(c.cluster);
  unshield(c.common.cluster_name);
  const bool offline = app.got_subcommand("dev") || app.got_subcommand("verify");
  Result<void> usable;
  if (!offline) usable = resolve_cluster(c);
  if (usable && app.got_subcommand("append"))
    usable = check_append(*app.get_subcommand("append"), c);
  if (!usable) return complain(usable.error().code, usable.error().detail);
  return printed(c.chosen());
}

}  // namespace
}  // namespace stele::apps

int main(int argc, char** argv) { return stele::apps::main(argc, argv); }
