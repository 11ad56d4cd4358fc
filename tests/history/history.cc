#include "tests/history/history.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace stele::test {
namespace {

using Log = std::vector<std::string>;
using Places = std::unordered_map<std::string, std::uint64_t>;

void check_equal(const std::vector<Log>& logs, std::vector<std::string>& wrong) {
  for (std::size_t i = 1; i < logs.size(); ++i) {
    if (logs[i] == logs[0]) continue;
    const auto [a, b] =
        std::mismatch(logs[0].begin(), logs[0].end(), logs[i].begin(), logs[i].end());
    wrong.push_back("logs 1 and " + std::to_string(i + 1) + " differ from LSN " +
                    std::to_string(a - logs[0].begin() + 1) + " on (" +
                    std::to_string(logs[0].size()) + " and " + std::to_string(logs[i].size()) +
                    " entries)");
  }
}

Places places_in(const Log& log, std::vector<std::string>& wrong) {
  Places places;
  for (std::size_t i = 0; i < log.size(); ++i) {
    const auto [at, fresh] = places.emplace(log[i], i + 1);
    if (!fresh) {
      wrong.push_back("'" + log[i] + "' stands at LSN " + std::to_string(at->second) +
                      " and again at " + std::to_string(i + 1));
    }
  }
  return places;
}

void check_fates(const History& history, const Places& places, std::vector<std::string>& wrong) {
  std::size_t found = 0;
  for (const Append& append : history.appends) {
    const auto place = places.find(append.payload);
    if (place != places.end()) ++found;
    if (append.fate == Append::Fate::acknowledged) {
      if (place == places.end()) {
        wrong.push_back("'" + append.payload + "' was acknowledged and is not in the log");
      } else if (append.lsn != 0 && place->second != append.lsn) {
        wrong.push_back("'" + append.payload + "' was acknowledged as LSN " +
                        std::to_string(append.lsn) + " and stands at " +
                        std::to_string(place->second));
      }
    } else if (append.fate == Append::Fate::refused && place != places.end()) {
      wrong.push_back("'" + append.payload + "' was refused and is in the log");
    }
  }
  if (found != places.size()) wrong.push_back("the log holds entries that nobody appended");
}

void check_writers(const History& history, const Places& places, std::vector<std::string>& wrong) {
  std::map<std::uint64_t, std::pair<std::uint64_t, std::string>> last;
  std::map<std::uint64_t, std::string> missing;
  for (const Append& append : history.appends) {
    const auto place = places.find(append.payload);
    if (place == places.end()) {
      if (append.stops_at_failure) missing.emplace(append.writer, append.payload);
      continue;
    }
    if (const auto before = missing.find(append.writer); before != missing.end()) {
      wrong.push_back("writer " + std::to_string(append.writer) + " stops at failures, and '" +
                      append.payload + "' is in the log, but '" + before->second +
                      "' before it is not");
    }
    auto& [lsn, payload] = last[append.writer];
    if (place->second < lsn) {
      wrong.push_back("writer " + std::to_string(append.writer) + " appended '" + append.payload +
                      "' after '" + payload + "', but it stands before it");
    }
    lsn = place->second;
    payload = append.payload;
  }
}

void check_real_time(const History& history, const Places& places,
                     std::vector<std::string>& wrong) {
  struct Span {
    std::int64_t began;
    std::int64_t ended;
    std::uint64_t lsn;
  };
  std::vector<Span> spans;
  for (const Append& append : history.appends) {
    const auto place = places.find(append.payload);
    if (place == places.end()) continue;
    // One that was not acknowledged may have taken effect at any later time.
    const bool known = append.fate == Append::Fate::acknowledged;
    spans.push_back({append.began, known ? append.ended : INT64_MAX, place->second});
  }
  std::vector<Span> by_end = spans;
  std::sort(spans.begin(), spans.end(), [](auto& a, auto& b) { return a.began < b.began; });
  std::sort(by_end.begin(), by_end.end(), [](auto& a, auto& b) { return a.ended < b.ended; });
  std::uint64_t highest_ended = 0;
  std::size_t next = 0;
  for (const Span& span : spans) {
    while (next < by_end.size() && by_end[next].ended < span.began) {
      highest_ended = std::max(highest_ended, by_end[next++].lsn);
    }
    if (span.lsn < highest_ended) {
      wrong.push_back("LSN " + std::to_string(span.lsn) + " was begun after LSN " +
                      std::to_string(highest_ended) + " had been acknowledged");
    }
  }
}

/// Whether `entries` are what stands in the log from LSN `from` on.
bool is_of(const Log& log, std::uint64_t from, const std::vector<std::string>& entries,
           const std::string& who, std::vector<std::string>& wrong) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::size_t at = from - 1 + i;
    if (at < log.size() && log[at] == entries[i]) continue;
    wrong.push_back(who + " delivered '" + entries[i] + "' as LSN " + std::to_string(at + 1) +
                    ", which is something else");
    return false;
  }
  return true;
}

void check_tails(const History& history, const Log& log, std::vector<std::string>& wrong) {
  for (const Tail& tail : history.tails) {
    if (!is_of(log, tail.from, tail.entries, "a tail", wrong) || !tail.whole) continue;
    if (tail.from - 1 + tail.entries.size() != log.size()) {
      wrong.push_back("a tail delivered " + std::to_string(tail.entries.size()) + " entries of " +
                      std::to_string(log.size() - (tail.from - 1)));
    }
  }
}

/// A moment at which the log was known to have so many entries, or not to have more.
struct Extent {
  std::int64_t at;
  std::uint64_t end;
};

void check_reads(const History& history, const Log& log, const Places& places,
                 std::vector<std::string>& wrong) {
  std::vector<Extent> reached;   // From this moment on, the log had at least these.
  std::vector<Extent> appended;  // Before this moment, the entry at end - 1 was not there.
  for (const Append& append : history.appends) {
    const auto place = places.find(append.payload);
    if (place == places.end()) continue;
    appended.push_back({append.began, place->second + 1});
    if (append.fate == Append::Fate::acknowledged) {
      reached.push_back({append.ended, place->second + 1});
    }
  }
  for (const Read& read : history.reads) {
    if (!is_of(log, read.from, read.entries, "a read", wrong)) return;
    if (read.linearizable) reached.push_back({read.ended, read.end});
  }
  const auto by_time = [](const Extent& a, const Extent& b) { return a.at < b.at; };
  std::sort(reached.begin(), reached.end(), by_time);
  for (std::size_t i = 1; i < reached.size(); ++i) {
    reached[i].end = std::max(reached[i].end, reached[i - 1].end);
  }
  for (const Read& read : history.reads) {
    if (read.end > log.size() + 1) wrong.push_back("a read saw more entries than there are");
    for (const Extent& entry : appended) {
      if (entry.end > read.end || entry.at <= read.ended) continue;
      wrong.push_back("a read saw LSN " + std::to_string(entry.end - 1) +
                      " before it was appended");
      return;
    }
    if (!read.linearizable) continue;
    const auto later =
        std::lower_bound(reached.begin(), reached.end(), Extent{read.began, 0}, by_time);
    if (later == reached.begin() || (later - 1)->end <= read.end) continue;
    wrong.push_back("a linearizable read saw the log end at " + std::to_string(read.end) +
                    ", though " + std::to_string((later - 1)->end) +
                    " had been acknowledged or read before it began");
    return;
  }
}

}  // namespace

std::vector<std::string> check(const History& history,
                               const std::vector<std::vector<std::string>>& logs) {
  std::vector<std::string> wrong;
  check_equal(logs, wrong);
  const Places places = places_in(logs.at(0), wrong);
  check_fates(history, places, wrong);
  check_writers(history, places, wrong);
  check_real_time(history, places, wrong);
  check_tails(history, logs.at(0), wrong);
  check_reads(history, logs.at(0), places, wrong);
  return wrong;
}

}  // namespace stele::test
