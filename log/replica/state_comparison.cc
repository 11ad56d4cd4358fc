#include "log/replica/state_comparison.h"

#include <algorithm>

namespace stele::log {

void StateComparison::remember(const StatePoint& own, Time now) {
  dispute_ = Dispute{own, now - kPatience, true, {}};
}

void StateComparison::reported(NodeId node, const StatePoint& point, const StateTrail& own,
                               Time now) {
  if (const auto hash = own.at(point.chosen_end)) {
    compared_[node] = point.chosen_end;
    compare(node, point, *hash, now);
  } else if (dispute_ && dispute_->own.chosen_end == point.chosen_end) {
    compare(node, point, dispute_->own.hash, now);  // It has left the trail since.
  } else if (settled_ && settled_->chosen_end == point.chosen_end) {
    compare(node, point, settled_->hash, now);
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

void StateComparison::compare(NodeId node, const StatePoint& point, std::uint64_t own_hash,
                              Time now) {
  const bool equal = point.hash == own_hash;
  if (outvoted_.contains(node)) {
    // Its directory was replaced, if it agrees again.
    if (equal && point.chosen_end >= settled_->chosen_end) outvoted_.erase(node);
    return;
  }
  if (equal) {
    if (!dispute_ || point.chosen_end < dispute_->own.chosen_end) return;
    dispute_->hashes[node] = dispute_->own.hash;  // Agrees there, and so it does below.
    const bool all_agree = votes(dispute_->own.hash) == dispute_->hashes.size() + 1;
    if (all_agree && !dispute_->remembered) return dispute_.reset();
    return settle();
  }
  if (!dispute_) {
    dispute_ = Dispute{{point.chosen_end, own_hash}, now, false, {}};
  } else if (point.chosen_end < dispute_->own.chosen_end) {
    // A node that agrees at a slot agrees below it, too. Patience goes on.
    const std::uint64_t before = dispute_->own.hash;
    std::erase_if(dispute_->hashes, [&](const auto& other) { return other.second != before; });
    for (auto& [other, hash] : dispute_->hashes) hash = own_hash;
    dispute_->own = {point.chosen_end, own_hash};
  }
  if (dispute_->own.chosen_end == point.chosen_end) dispute_->hashes[node] = point.hash;
  settle();
}

/// A majority that has spoken has said all there is: the next difference is another matter.
void StateComparison::settle() {
  if (votes(dispute_->own.hash) < nodes_ / 2 + 1) return;
  for (const auto& [node, hash] : dispute_->hashes) {
    if (hash != dispute_->own.hash) outvoted_.insert(node);
  }
  settled_ = dispute_->own;
  dispute_.reset();
}

std::vector<StatePoint> StateComparison::points(const StateTrail& own) const {
  std::vector<StatePoint> points{own.newest()};
  const Slot common{own.newest().chosen_end.value / kCommonEvery * kCommonEvery};
  if (const auto hash = own.at(common); hash && common != own.newest().chosen_end) {
    points.push_back({common, *hash});
  }
  if (dispute_) points.push_back(dispute_->own);
  if (settled_) points.push_back(*settled_);
  // A node that compares at an older slot may have no other one in common any more.
  for (const auto& [node, slot] : compared_) {
    const auto hash = own.at(slot);
    const bool told = std::ranges::find(points, slot, &StatePoint::chosen_end) != points.end();
    if (hash && !told) points.push_back({slot, *hash});
  }
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
  for (const auto& [node, hash] : dispute_->hashes) {
    if (votes(hash) >= majority) return Verdict::diverged;
  }
  const bool all_known = dispute_->hashes.size() + 1 == nodes_;
  return all_known || now - dispute_->since >= kPatience ? Verdict::unsure : Verdict::agrees;
}

bool StateComparison::leads() const {
  if (!dispute_ || dispute_->hashes.empty()) return false;
  const std::size_t own = votes(dispute_->own.hash);
  return std::ranges::all_of(dispute_->hashes, [&](const auto& other) {
    return other.second == dispute_->own.hash || votes(other.second) < own;
  });
}

std::string StateComparison::sentence() const {
  if (!dispute_) return {};
  std::string others;
  for (const auto& [node, hash] : dispute_->hashes) {
    if (hash == dispute_->own.hash) continue;
    others += (others.empty() ? "node " : ", node ") + std::to_string(node.value);
  }
  return "the state of node " + std::to_string(self_.value) + " differs from that of " +
         (others.empty() ? "another node" : others) + " after slot " +
         std::to_string(dispute_->own.chosen_end.value - 1);
}

std::optional<StatePoint> StateComparison::disputed() const {
  if (!dispute_) return std::nullopt;
  return dispute_->own;
}

}  // namespace stele::log
