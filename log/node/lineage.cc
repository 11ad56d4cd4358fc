#include "log/node/lineage.h"

#include <algorithm>
#include <optional>

namespace stele::log {
namespace {

std::string name_of(NodeId node) { return "node " + std::to_string(node.value); }

constexpr const char* kWhatToDo =
    ": an older copy was put back, which has forgotten votes; put back the directory as it was "
    "after its last stop";

std::optional<std::size_t> place_of(std::uint64_t id, const std::vector<Start>& starts) {
  const auto found = std::ranges::find(starts, id, &Start::id);
  if (found == starts.end()) return std::nullopt;
  return static_cast<std::size_t>(found - starts.begin());
}

/// What is wrong with a directory whose last starts are `recent`, if `seen` was heard of it; empty
/// if nothing.
std::string judge(const Sighting& seen, const std::vector<Start>& recent) {
  const std::string whose = "the directory of " + name_of(seen.node);
  if (seen.forked) {
    return whose +
           " has been heard with two different histories: an older copy was put back, and has "
           "voted, perhaps; neither that nor the other one may take part any more";
  }
  const auto place = place_of(seen.recent.at(0).id, recent);
  if (!place) {
    return whose + " has gone back: it does not know of its start " + std::to_string(seen.starts) +
           ", which was heard" + kWhatToDo;
  }
  // What the first start after the one heard of has found there.
  if (*place > 0 && recent[*place - 1].commits_found < seen.commits) {
    return whose + " has gone back: after its start " + std::to_string(seen.starts) + " it had " +
           std::to_string(recent[*place - 1].commits_found) + " commits, of which " +
           std::to_string(seen.commits) + " had been told as durable" + kWhatToDo;
  }
  return {};
}

/// A start stays known as long as another node may compare with it: the one that it has kept, and
/// the one after that, which says what was found. Of the others the oldest go; the one after it
/// then says what was found by either.
void prune(std::vector<Start>& recent,
           const std::vector<std::pair<NodeId, std::uint64_t>>& kept_by) {
  const auto needed = [&](std::size_t at) {
    return at == 0 || std::ranges::any_of(kept_by, [&](const auto& kept) {
             const auto place = place_of(kept.second, recent);
             return place && (*place == at || *place == at + 1);
           });
  };
  while (recent.size() > kRecentStartsMax) {
    std::size_t last = recent.size() - 1;
    while (last > 0 && needed(last)) --last;
    Start& younger = recent[last - 1];
    younger.commits_found = std::min(younger.commits_found, recent[last].commits_found);
    recent.erase(recent.begin() + static_cast<std::ptrdiff_t>(last));
  }
}

}  // namespace

Lineage::Lineage(NodeId self, History history, std::uint64_t id, std::uint64_t commits_found)
    : self_(self), history_(std::move(history)) {
  ++history_.starts;
  history_.recent.insert(history_.recent.begin(), {id, commits_found});
  prune(history_.recent, history_.kept_by);
  if (history_.gone_back) {
    gone_back_ =
        "the directory of " + name_of(self) + " has gone back, as others have said" + kWhatToDo;
  }
}

Sighting* Lineage::find(NodeId node) {
  const auto found = std::ranges::find(history_.heard, node, &Sighting::node);
  return found == history_.heard.end() ? nullptr : &*found;
}

Result<bool> Lineage::admit(const net::Hello& hello) {
  if (hello.recent_starts.empty()) {
    return fail(Errc::refused, name_of(hello.node) + " does not say which start of it this is");
  }
  const Sighting now{hello.node, hello.starts, hello.recent_starts,
                     hello.recent_starts[0].commits_found, false};
  Sighting* seen = find(hello.node);
  if (seen == nullptr) {
    history_.heard.push_back(now);
  } else {
    if (auto wrong = judge(*seen, hello.recent_starts); !wrong.empty()) {
      return fail(Errc::foreign_directory, std::move(wrong));
    }
    if (seen->recent[0].id == now.recent[0].id) return unkept_.contains(hello.node);
    *seen = now;
  }
  changed_ = true;
  unkept_.insert(hello.node);
  return true;
}

void Lineage::on_kept(NodeId node, std::uint64_t start_id) {
  const Sighting* seen = find(node);
  if (seen != nullptr && seen->recent[0].id == start_id) unkept_.erase(node);
}

void Lineage::told(NodeId node, std::uint64_t start_id, std::uint64_t commits) {
  Sighting* seen = find(node);
  if (seen == nullptr || seen->recent[0].id != start_id || commits <= seen->commits) return;
  seen->commits = commits;
  changed_ = true;
}

bool Lineage::merge(NodeId from, const std::vector<Sighting>& sightings) {
  bool matters = false;
  for (const Sighting& told : sightings) {
    const bool one = told.node == self_ ? merge_self(from, told) : merge_other(told);
    matters = matters || one;
  }
  return matters;
}

void Lineage::hear_of_self(const Sighting& told) {
  if (told.node != self_ || !gone_back_.empty()) return;
  gone_back_ = judge(told, history_.recent);
  if (gone_back_.empty()) return;
  history_.gone_back = changed_ = true;
}

bool Lineage::merge_self(NodeId from, const Sighting& told) {
  hear_of_self(told);
  if (!gone_back_.empty()) return true;
  const auto kept = std::pair(from, told.recent[0].id);
  const auto known =
      std::ranges::find(history_.kept_by, from, [](const auto& by) { return by.first; });
  if (known == history_.kept_by.end()) {
    history_.kept_by.push_back(kept);
  } else if (*known != kept) {
    *known = kept;
  } else {
    return false;
  }
  changed_ = true;
  return false;
}

bool Lineage::merge_other(const Sighting& told) {
  Sighting* seen = find(told.node);
  if (seen == nullptr) {
    history_.heard.push_back(told);
    unkept_.insert(told.node);
    changed_ = true;
    return told.forked;
  }
  if (seen->forked) return false;
  if (told.recent[0].id == seen->recent[0].id) {
    changed_ = changed_ || told.commits > seen->commits || told.forked;
    seen->commits = std::max(seen->commits, told.commits);
    seen->forked = told.forked;
    return told.forked;
  }
  if (!told.forked && judge(told, seen->recent).empty()) return false;  // It has heard less.
  changed_ = true;
  if (!told.forked && judge(*seen, told.recent).empty()) {
    *seen = told;  // A later start.
    unkept_.insert(told.node);
  } else {
    seen->forked = true;
  }
  return true;
}

Result<void> Lineage::check(NodeId node, std::uint64_t start_id) const {
  const auto seen = std::ranges::find(history_.heard, node, &Sighting::node);
  if (seen == history_.heard.end()) return {};
  if (seen->forked) return fail(Errc::refused, judge(*seen, {}));
  if (seen->recent[0].id == start_id) return {};
  return fail(Errc::refused, name_of(node) + " was started again");
}

void Lineage::forget(NodeId node) {
  std::erase_if(history_.heard, [&](const Sighting& seen) { return seen.node == node; });
  unkept_.erase(node);
}

std::optional<Sighting> Lineage::seen(NodeId node) const {
  const auto found = std::ranges::find(history_.heard, node, &Sighting::node);
  if (found == history_.heard.end()) return std::nullopt;
  return *found;
}

std::vector<Sighting> Lineage::sightings(std::uint64_t commits) const {
  std::vector<Sighting> all{{self_, history_.starts, history_.recent, commits, false}};
  for (const Sighting& seen : history_.heard) {
    if (!unkept_.contains(seen.node)) all.push_back(seen);
  }
  return all;
}

}  // namespace stele::log
