#include "log/state_comparison.h"

#include <algorithm>

namespace stele::log {

void StateComparison::reported(NodeId node, const net::StatePoint& point, const StateTrail& own,
                               Time now) {
  if (const auto hash = own.at(point.chosen_end)) {
    compare(node, point, *hash, now);
  } else if (dispute_ && dispute_->own.chosen_end == point.chosen_end) {
    compare(node, point, dispute_->own.hash, now);  // It has left the trail since.
  } else if (point.chosen_end > own.newest().chosen_end) {
    // The first of them is the one that this node comes by next.
    const auto [waits, first] = waiting_.emplace(node, point);
    if (!first && waits->second.chosen_end <= own.newest().chosen_end) waits->second = point;
  }
}

void StateComparison::compare_waiting(const StateTrail& own, Time now) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const auto [node, point] = *at;
    if (point.chosen_end > own.newest().chosen_end) {
      ++at;
      continue;
    }
    at = waiting_.erase(at);
    if (const auto hash = own.at(point.chosen_end)) compare(node, point, *hash, now);
  }
}

void StateComparison::compare(NodeId node, const net::StatePoint& point, std::uint64_t own_hash,
                              Time now) {
  if (point.hash == own_hash) {
    if (!dispute_ || point.chosen_end < dispute_->own.chosen_end) return;
    dispute_->hashes[node] = dispute_->own.hash;  // Agrees there, and so it does below.
    if (votes(dispute_->own.hash) == dispute_->hashes.size() + 1) dispute_.reset();
    return;
  }
  const bool lower = dispute_ && point.chosen_end < dispute_->own.chosen_end;
  if (!dispute_ || lower) {
    // Patience is for the first difference; the search for its slot goes on within it.
    const Time since = dispute_ ? dispute_->since : now;
    dispute_ = Dispute{{point.chosen_end, own_hash}, since, {}};
  }
  if (dispute_->own.chosen_end == point.chosen_end) dispute_->hashes[node] = point.hash;
}

std::vector<net::StatePoint> StateComparison::points(const StateTrail& own) const {
  std::vector<net::StatePoint> points{own.newest()};
  const Slot common{own.newest().chosen_end.value / kCommonEvery * kCommonEvery};
  if (const auto hash = own.at(common); hash && common != own.newest().chosen_end) {
    points.push_back({common, *hash});
  }
  if (dispute_) points.push_back(dispute_->own);
  return points;
}

std::size_t StateComparison::votes(std::uint64_t hash) const {
  const auto equal = std::ranges::count_if(dispute_->hashes,
                                           [&](const auto& other) { return other.second == hash; });
  return static_cast<std::size_t>(equal) + (hash == dispute_->own.hash ? 1 : 0);
}

StateComparison::Verdict StateComparison::verdict(Time now) const {
  if (!dispute_) return Verdict::agrees;
  const std::size_t majority = nodes_ / 2 + 1;
  if (votes(dispute_->own.hash) >= majority) return Verdict::agrees;
  for (const auto& [node, hash] : dispute_->hashes) {
    if (votes(hash) >= majority) return Verdict::diverged;
  }
  const bool all_known = dispute_->hashes.size() + 1 == nodes_;
  return all_known || now - dispute_->since >= kPatience ? Verdict::unsure : Verdict::agrees;
}

std::string StateComparison::sentence() const {
  if (!dispute_) return {};
  std::string others;
  for (const auto& [node, hash] : dispute_->hashes) {
    if (hash == dispute_->own.hash) continue;
    others += (others.empty() ? "node " : ", node ") + std::to_string(node.value);
  }
  return "the state of node " + std::to_string(self_.value) + " differs from that of " +
         (others.empty() ? "another node" : others) + " behind slot " +
         std::to_string(dispute_->own.chosen_end.value - 1);
}

std::optional<Slot> StateComparison::disputed() const {
  if (!dispute_) return std::nullopt;
  return dispute_->own.chosen_end;
}

}  // namespace stele::log
