// stele trim, stele retention, stele hold

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include <stele/client.h>
#include "apps/common/exit_codes.h"
#include "apps/common/units.h"
#include "apps/stele/cli.h"

namespace stele::apps {
namespace {

std::chrono::milliseconds timeout_of(std::uint64_t ms) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(ms));
}

std::string number(Lsn lsn) { return std::to_string(lsn.value); }

/// "entries 5 to 9", "entry 5", or "nothing".
std::string entries(Lsn begin, Lsn end) {
  if (begin >= end) return "nothing";
  const Lsn last{end.value - 1};
  if (begin == last) return "entry " + number(begin);
  return "entries " + number(begin) + " to " + number(last);
}

/// To the second, as long as that says enough.
std::string left_text(std::chrono::milliseconds left) {
  constexpr std::chrono::milliseconds kExact = std::chrono::seconds(10);
  return duration_text(left < kExact ? left : std::chrono::ceil<std::chrono::seconds>(left));
}

bool holds_below(const Hold& hold, const RetentionReport& report, Lsn before) {
  return hold.lsn >= report.first_lsn && hold.lsn < before;
}

std::string text_of(const Hold& hold) {
  return "the hold " + hold.name + " keeps LSN " + number(hold.lsn) +
         " and what is after it, for " + left_text(hold.left) +
         " of log time or until it is released";
}

/// On a terminal the user is asked; anything but yes is no.
bool confirmed(const std::string& what) {
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) return true;
  std::fprintf(stderr, "%s for good? [y/N] ", what.c_str());
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

int complain(const Error& error) { return apps::complain(error.code, error.detail); }

/// Says what keeps the log from being trimmed so far; 0 if nothing does.
int look_at_holds(const RetentionReport& report, const TrimFlags& flags) {
  int held = 0;
  for (const Hold& hold : report.holds) {
    if (!holds_below(hold, report, {flags.before})) continue;
    if (flags.force) {
      std::printf("by force: %s\n", text_of(hold).c_str());
    } else {
      held = apps::complain(Errc::held, text_of(hold));
    }
  }
  return held;
}

}  // namespace

int trim(const Common& common, const TrimFlags& flags) {
  BlockingClient client(options_for(common));
  const auto timeout = timeout_of(flags.timeout_ms);
  const auto report = client.retention(timeout);
  if (!report) return complain(report.error());
  const Lsn before{flags.before};
  if (before > report->lsn_end) {
    return apps::complain(Errc::out_of_range, "the log ends before LSN " + number(report->lsn_end));
  }
  if (before <= report->first_lsn) {
    std::printf("nothing is trimmed: the log begins at LSN %s\n",
                number(report->first_lsn).c_str());
    return kDone;
  }
  if (const int held = look_at_holds(*report, flags); held != 0) return held;
  const std::string goes = entries(report->first_lsn, before);
  if (flags.dry_run) {
    std::printf("would trim %s; left: %s\n", goes.c_str(),
                entries(before, report->lsn_end).c_str());
    return kDone;
  }
  if (!flags.yes && !confirmed("Trim " + goes)) {
    std::fprintf(stderr, "nothing is trimmed\n");
    return kFailed;
  }
  const auto first = client.trim(before, {.force = flags.force}, timeout);
  if (!first) return complain(first.error());
  std::printf("trimmed %s; left: from LSN %s on\n", entries(report->first_lsn, *first).c_str(),
              number(*first).c_str());
  return kDone;
}

// --- Retention -------------------------------------------------------------------------

namespace {

std::string text_of(const Retention& retention) {
  if (retention == Retention{}) return "none: the log is trimmed by hand only";
  std::string text = "keeps";
  if (retention.bytes != 0) text += " " + bytes_text(retention.bytes) + " of slots at least";
  if (retention.bytes != 0 && retention.age.count() != 0) text += ", or";
  if (retention.age.count() != 0) {
    text += " what is younger than " + duration_text(retention.age) + " of log time";
  }
  return text + (retention.bytes != 0 && retention.age.count() != 0 ? ", whichever is less"
                                                                    : std::string());
}

nlohmann::ordered_json to_json(const Hold& hold) {
  nlohmann::ordered_json line;
  line["name"] = hold.name;
  line["lsn"] = hold.lsn.value;
  line["left_ms"] = hold.left.count();
  return line;
}

void print(const Hold& hold, const RetentionReport& report) {
  const bool passed = hold.lsn < report.first_lsn;
  std::printf("hold %s: from LSN %s, %s%s\n", hold.name.c_str(), number(hold.lsn).c_str(),
              left_text(hold.left).c_str(),
              passed ? " left; passed by force: it holds nothing" : " left");
}

}  // namespace

int set_retention(const Common& common, const RetentionFlags& flags) {
  BlockingClient client(options_for(common));
  const Retention retention{flags.bytes, flags.age};
  const auto done = client.set_retention(retention, timeout_of(flags.timeout_ms));
  if (!done) return complain(done.error());
  std::printf("%s\n", text_of(retention).c_str());
  return kDone;
}

int show_retention(const Common& common, const RetentionFlags& flags) {
  BlockingClient client(options_for(common));
  const auto report = client.retention(timeout_of(flags.timeout_ms));
  if (!report) return complain(report.error());
  if (flags.json) {
    nlohmann::ordered_json whole;
    whole["bytes"] = report->retention.bytes;
    whole["age_ms"] = report->retention.age.count();
    whole["first_lsn"] = report->first_lsn.value;
    whole["lsn_end"] = report->lsn_end.value;
    whole["retained_bytes"] = report->retained_bytes;
    whole["holds"] = nlohmann::ordered_json::array();
    for (const Hold& hold : report->holds) whole["holds"].push_back(to_json(hold));
    std::printf("%s\n", whole.dump(2).c_str());
    return kDone;
  }
  std::printf("retention: %s\n", text_of(report->retention).c_str());
  std::printf("log: %s, in %s of slots\n", entries(report->first_lsn, report->lsn_end).c_str(),
              bytes_text(report->retained_bytes).c_str());
  for (const Hold& hold : report->holds) print(hold, *report);
  return kDone;
}

// --- Holds -----------------------------------------------------------------------------

int set_hold(const Common& common, const HoldFlags& flags) {
  BlockingClient client(options_for(common));
  const auto done =
      client.set_hold(flags.name, {flags.lsn}, flags.ttl, timeout_of(flags.timeout_ms));
  if (!done) return complain(done.error());
  std::printf("the hold %s keeps LSN %llu and what is after it, for %s of log time\n",
              flags.name.c_str(), static_cast<unsigned long long>(flags.lsn),
              duration_text(flags.ttl).c_str());
  return kDone;
}

int list_holds(const Common& common, const HoldFlags& flags) {
  BlockingClient client(options_for(common));
  const auto report = client.retention(timeout_of(flags.timeout_ms));
  if (!report) return complain(report.error());
  if (flags.json) {
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Hold& hold : report->holds) all.push_back(to_json(hold));
    std::printf("%s\n", all.dump(2).c_str());
    return kDone;
  }
  for (const Hold& hold : report->holds) print(hold, *report);
  if (report->holds.empty()) std::printf("there are no holds\n");
  return kDone;
}

int release_hold(const Common& common, const HoldFlags& flags) {
  BlockingClient client(options_for(common));
  const auto done = client.release_hold(flags.name, timeout_of(flags.timeout_ms));
  if (!done) return complain(done.error());
  std::printf("the hold %s is released\n", flags.name.c_str());
  return kDone;
}

}  // namespace stele::apps
