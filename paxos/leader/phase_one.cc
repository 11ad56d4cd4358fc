#include "paxos/leader/phase_one.h"

#include <algorithm>
#include <functional>

#include "paxos/base/check.h"

namespace stele::paxos {

PhaseOne::PhaseOne(const Configuration& configuration, Ballot ballot, Slot slot_begin,
                   bool ignore_ahead)
    : configuration_(configuration),
      ballot_(ballot),
      slot_begin_(slot_begin),
      ignore_ahead_(ignore_ahead),
      base_(slot_begin) {}

bool PhaseOne::on_promise(NodeId source, const Promise& promise) {
  if (promise.ballot != ballot_ || !configuration_.contains(source)) return false;
  const auto found = told_end_.find(source);
  // Judged by its first piece: a node that counts may get ahead while its promise is worked off.
  if (ignore_ahead_ && found == told_end_.end() && promise.chosen_end > slot_begin_) {
    ignored_.insert(source);
    const std::size_t others = configuration_.members().size() - ignored_.size();
    if (others >= configuration_.q1()) return false;
    ignore_ahead_ = false;  // Without those that are ahead there is no quorum.
  }
  const Slot told_end = found == told_end_.end() ? slot_begin_ : found->second;
  // A piece counts only if it joins what this node told before: a gap might hide a vote. Below base
  // nothing is proposed, so nothing needs to be told.
  if (promise.slot_begin > std::max(told_end, base_)) return false;
  const Slot piece_end = promise.last ? kSlotMax : promise.slot_end;
  if (found != told_end_.end() && piece_end <= told_end) return false;  // A resent answer.

  told_end_[source] = std::max(told_end, piece_end);
  if (promise.chosen_end > base_) {
    base_ = promise.chosen_end;
    while (!votes_.empty() && votes_.begin()->first < base_) {
      votes_bytes_ -= votes_.begin()->second.value.size();
      votes_.erase(votes_.begin());
    }
  }
  for (const SlotRecord& record : promise.accepted) {
    if (record.slot < std::max(base_, taken_end_)) continue;
    Vote& vote = votes_[record.slot];
    if (record.ballot < vote.ballot) continue;
    votes_bytes_ += record.value.size();
    votes_bytes_ -= vote.value.size();
    vote = {record.ballot, record.value};
  }
  return true;
}

bool PhaseOne::won() const { return told_end_.size() >= configuration_.q1(); }

bool PhaseOne::told_all(NodeId node) const {
  const auto told = told_end_.find(node);
  return told != told_end_.end() && told->second == kSlotMax;
}

bool PhaseOne::complete() const { return covered_end() == kSlotMax; }

Slot PhaseOne::covered_end() const {
  if (!won()) return base_;
  std::vector<Slot> ends;
  for (const auto& [node, end] : told_end_) ends.push_back(end);
  std::sort(ends.begin(), ends.end(), std::greater<>());
  return std::max(base_, ends[configuration_.q1() - 1]);
}

Slot PhaseOne::reported_end() const {
  return votes_.empty() ? base_ : std::max(base_, votes_.rbegin()->first + 1);
}

std::optional<Value> PhaseOne::take(Slot slot) {
  STELE_CHECK(slot >= base_ && slot < covered_end());
  STELE_CHECK(slot >= taken_end_);
  taken_end_ = slot + 1;
  const auto found = votes_.find(slot);
  if (found == votes_.end()) return std::nullopt;
  Value value = std::move(found->second.value);
  votes_bytes_ -= value.size();
  votes_.erase(found);
  return value;
}

std::optional<Slot> PhaseOne::next_piece(NodeId node, Slot slot_next) const {
  const auto found = told_end_.find(node);
  if (found == told_end_.end()) return slot_begin_;
  const Slot told_end = std::max(found->second, base_);
  const Slot frontier = covered_end();
  if (found->second == kSlotMax) return std::nullopt;
  if (votes_bytes_ < kBufferedBytesMax) return told_end;
  // Enough is buffered: only those that hold up the quorum go on, and only if nothing can be
  // proposed.
  if (frontier > slot_next || told_end > frontier) return std::nullopt;
  return told_end;
}

bool PhaseOne::may_end(Time now, NodeId self, const Acceptors& acceptors, Duration timeout) const {
  const auto hopeful = std::ranges::count_if(configuration_.members(), [&](NodeId node) {
    return node == self || told_all(node) || acceptors.heard_within(now, node, timeout);
  });
  return static_cast<std::size_t>(hopeful) >= configuration_.q1();
}

}  // namespace stele::paxos
