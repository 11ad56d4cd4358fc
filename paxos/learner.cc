#include "paxos/learner.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::paxos {
namespace {

/// Twice the time between two ticks with the default heartbeat: a quiet cluster, in which nothing
/// else happens, must not fetch once in a tick.
constexpr Duration kPaceSlack = std::chrono::milliseconds(25);
/// An answer may take so many times as long as the last one.
constexpr int kPatience = 4;
/// The patience for an answer is so many times the first one at most.
constexpr int kFetchPatienceMax = 4;

}  // namespace

Learner::Learner(NodeId self, Configuration configuration, Slot chosen_end, FetchOptions fetching)
    : self_(self),
      configuration_(std::move(configuration)),
      fetching_(fetching),
      chosen_end_(chosen_end),
      known_end_(chosen_end),
      fetch_patience_(fetching.timeout) {}

void Learner::step(Time now, NodeId source, const Message& message, Effects& out) {
  if (message.epoch != configuration_.epoch() || !configuration_.contains(source)) return;

  if (const auto* chosen = std::get_if<Chosen>(&message.body)) {
    on_chosen(*chosen);
  } else if (const auto* hint = std::get_if<ChosenEnd>(&message.body)) {
    on_hint(source, hint->chosen_end);
  } else if (const auto* fetch = std::get_if<Fetch>(&message.body)) {
    out.serves.push_back({source, fetch->slot_begin, fetch->copies});
    return;
  } else if (const auto* fetched = std::get_if<Fetched>(&message.body)) {
    on_fetched(now, source, *fetched, out);
  } else if (std::holds_alternative<Heartbeat>(message.body)) {
    leader_ = source;  // How far it is comes after its accepts (ChosenEnd).
  } else if (const auto* ack = std::get_if<HeartbeatAck>(&message.body)) {
    on_hint(source, ack->chosen_end);
  } else if (const auto* promise = std::get_if<Promise>(&message.body)) {
    on_hint(source, promise->chosen_end);
  } else {
    return;
  }
  advance(now, out);
}

void Learner::tick(Time now, Effects& out) {
  if (fetch_ && now - fetch_->sent_at >= fetch_patience_) {
    // Its answer may be on a slow line: the next one gets longer, and what comes late is taken.
    fetch_patience_ =
        std::min<Duration>(2 * fetch_patience_, kFetchPatienceMax * fetching_.timeout);
    fetch_failed(now, out);
  }
  advance(now, out);
}

void Learner::on_voted(Time now, const SlotRecord& record, Effects& out) {
  if (record.slot < chosen_end_) return;
  if (missing(record.slot)) missing_end_ = record.slot;
  const auto found = votes_.find(record.slot);
  if (found != votes_.end()) {
    votes_bytes_ -= found->second.value.size();
    votes_.erase(found);
  }
  // The next slot to apply always fits; what does not is read back from the store when its turn
  // comes. As long as there is such a one, memory is for that rather than for what comes after it.
  const std::size_t most = chosen_end_ < dropped_end_ ? kVotesBytesMax / 2 : kVotesBytesMax;
  if (record.slot == chosen_end_ || votes_bytes_ + record.value.size() <= most) {
    votes_bytes_ += record.value.size();
    votes_.emplace(record.slot, record);
  } else {
    dropped_ = std::min(dropped_, record.slot);
    dropped_end_ = std::max(dropped_end_, record.slot + 1);
  }
  advance(now, out);
}

void Learner::on_votes(Time now, const ReadVotes& asked, const std::vector<SlotRecord>& votes,
                       Slot read_end, Effects& out) {
  if (reading_ != asked) return;
  reading_.reset();
  if (!asked.latest) {
    take_votes(votes);
    return advance(now, out);
  }
  for (const SlotRecord& record : votes) {
    // A vote in memory, or one that did not fit there, is newer than what the store held when it
    // was read.
    if (record.slot < chosen_end_ || votes_.contains(record.slot)) continue;
    if (record.slot >= dropped_) break;
    votes_bytes_ += record.value.size();
    votes_.emplace(record.slot, record);
  }
  // A node that was away has none in all of a long range: they are not looked for slot by slot.
  const Slot first = std::min(votes.empty() ? read_end : votes.front().slot, dropped_);
  if (asked.slot_begin <= chosen_end_ && !votes_.contains(chosen_end_) &&
      chosen_end_ < std::max(first, asked.slot_begin + 1)) {
    missing_begin_ = chosen_end_;
    missing_end_ = std::max(first, chosen_end_ + 1);
  }
  advance(now, out);
}

/// Those that are known to be the chosen values: later votes for their slots are for the same ones.
/// Of the others newer ones may be on their way to the disk.
void Learner::take_votes(const std::vector<SlotRecord>& votes) {
  for (const SlotRecord& record : votes) {
    const std::optional<Ballot> ballot = chosen_ballot(record.slot);
    if (!ballot || record.ballot < *ballot) break;
    if (record.slot < chosen_end_ || votes_.contains(record.slot)) continue;
    votes_bytes_ += record.value.size();
    votes_.emplace(record.slot, record);
  }
  if (!votes_.contains(chosen_end_)) latest_at_ = chosen_end_;
}

void Learner::on_chosen(const Chosen& chosen) {
  known_end_ = std::max(known_end_, chosen.slot_end);
  if (chosen.slot_end <= chosen_end_) return;
  for (Chosen& range : ranges_) {
    const bool joins = chosen.slot_begin <= range.slot_end && range.slot_begin <= chosen.slot_end;
    if (range.ballot != chosen.ballot || !joins) continue;
    range.slot_begin = std::min(range.slot_begin, chosen.slot_begin);
    range.slot_end = std::max(range.slot_end, chosen.slot_end);
    return;
  }
  // Beyond the bound a range is forgotten: its values are fetched instead.
  if (ranges_.size() < kRangesMax) ranges_.push_back(chosen);
}

void Learner::on_hint(NodeId source, Slot chosen_end) {
  if (source == self_) return;
  // Messages may overtake each other; only an answer to a fetch takes a hint back.
  Slot& hint = hints_[source];
  hint = std::max(hint, chosen_end);
  known_end_ = std::max(known_end_, chosen_end);
}

void Learner::on_fetched(Time now, NodeId source, const Fetched& fetched, Effects& out) {
  on_hint(source, fetched.chosen_end);
  if (!fetch_ || fetch_->to != source || fetch_->slot_begin != fetched.slot_begin) {
    // Late, and an answer all the same: that node is only slow.
    if (!fetched.records.empty()) {
      fetch_failures_ = 0;
      unhelpful_.erase(source);
    }
    return take_fetched(fetched, out);
  }
  hints_[source] = fetched.chosen_end;
  if (fetched.records.empty()) {
    const bool beyond = fetched.first_slot > fetched.slot_begin;
    if (beyond && fetched.slot_begin == chosen_end_) beyond_.insert(source);
    if (!beyond) beyond_.erase(source);
    if (fetched.chosen_end <= fetched.slot_begin) {
      fetch_.reset();  // Not there yet, as its hint says by now.
    } else {
      fetch_failed(now, out);
    }
    return;
  }
  fetch_patience_ =
      std::max(fetching_.timeout, std::min(fetch_patience_, kPatience * (now - fetch_->sent_at)));
  fetch_.reset();
  fetch_failures_ = 0;
  if (moving_) return;
  std::size_t bytes = 0;
  for (const SlotRecord& record : fetched.records) bytes += record.value.size();
  fetched_until_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
      static_cast<double>(bytes) / static_cast<double>(fetching_.bytes_per_second)));
  if (repairs_.erase(fetched.slot_begin) != 0) {
    out.repaired.push_back(fetched.records.front());
    return;
  }
  take_fetched(fetched, out);
  if (known_end_ <= chosen_end_ + kLagsFar) unhelpful_.clear();  // They may help the next time.
}

// They are chosen, whenever they come.
void Learner::take_fetched(const Fetched& fetched, Effects& out) {
  if (moving_) return;
  for (const SlotRecord& record : fetched.records) {
    if (record.slot < chosen_end_) continue;  // Applied from the own votes meanwhile.
    if (record.slot != chosen_end_ || record.epoch != configuration_.epoch()) break;
    apply(record, true, out);
  }
}

// The lowest ballot in which the slot is known to be chosen: any own vote from there on is that
// value.
std::optional<Ballot> Learner::chosen_ballot(Slot slot) const {
  std::optional<Ballot> lowest;
  for (const Chosen& range : ranges_) {
    if (slot < range.slot_begin || slot >= range.slot_end) continue;
    if (!lowest || range.ballot < *lowest) lowest = range.ballot;
  }
  return lowest;
}

void Learner::set_held(Time now, bool held, Effects& out) {
  held_ = held;
  if (!held) advance(now, out);
}

void Learner::advance(Time now, Effects& out) {
  while (apply_own_vote(out)) {
  }
  std::erase_if(ranges_, [&](const Chosen& range) { return range.slot_end <= chosen_end_; });
  fetch(now, out);
}

bool Learner::apply_own_vote(Effects& out) {
  if (held_ || moving_) return false;
  const std::optional<Ballot> ballot = chosen_ballot(chosen_end_);
  if (!ballot) return false;
  const auto found = votes_.find(chosen_end_);
  if (found == votes_.end()) {
    if (!reading_ && !missing(chosen_end_)) {
      Slot end = chosen_end_;
      for (const Chosen& range : ranges_) end = std::max(end, range.slot_end);
      reading_ = out.read_votes = ReadVotes{chosen_end_, end, latest_at_ == chosen_end_};
      dropped_ = kNoSlot;
    }
    return false;
  }
  if (found->second.ballot < *ballot) {
    missing_begin_ = chosen_end_;  // Another value may have been chosen since.
    missing_end_ = chosen_end_ + 1;
    return false;
  }
  apply(found->second, false, out);
  return true;
}

void Learner::apply(SlotRecord record, bool learned, Effects& out) {
  STELE_CHECK(record.slot == chosen_end_);
  beyond_.clear();
  out.applied.push_back({std::move(record), learned});
  ++chosen_end_;
  known_end_ = std::max(known_end_, chosen_end_);
  while (!votes_.empty() && votes_.begin()->first < chosen_end_) {
    votes_bytes_ -= votes_.begin()->second.value.size();
    votes_.erase(votes_.begin());
  }
}

void Learner::repair(Time now, Slot slot, Effects& out) {
  if (slot >= chosen_end_ || repairs_.size() >= kRepairsMax) return;
  repairs_.insert(slot);
  fetch(now, out);
}

void Learner::fetch(Time now, Effects& out) {
  if (fetch_ || !may_fetch(now)) return;
  // The own vote serves if it is known to be the chosen value; else the value must come from
  // others.
  const bool own_serves = chosen_ballot(chosen_end_) && !missing(chosen_end_);
  if (!reading_ && !own_serves && chosen_end_ < known_end_) {
    fetch_from_others(now, chosen_end_, out);
  } else if (!repairs_.empty()) {
    fetch_from_others(now, *repairs_.begin(), out);
  }
}

bool Learner::may_fetch(Time now) {
  // A node that has fetched less than the pace allows may make up for a little of it.
  fetched_until_ = std::max(fetched_until_, now - kPaceSlack);
  return !paused_ && !held_ && !moving_ && now >= fetch_again_at_ && now >= fetched_until_;
}

void Learner::fetch_from_others(Time now, Slot slot, Effects& out) {
  // A repair is one record: it may come from anyone who is known to have it.
  if (slot >= chosen_end_ && known_end_ > slot + kLagsFar) {
    if (const auto to = preferred_source(slot)) return send_fetch(now, *to, slot, true, out);
  }
  const std::vector<NodeId>& members = configuration_.members();
  for (std::size_t tried = 0; tried < members.size(); ++tried) {
    const NodeId to = members[fetch_target_ % members.size()];
    const auto hint = hints_.find(to);
    if (to != self_ && hint != hints_.end() && hint->second > slot) {
      return send_fetch(now, to, slot, false, out);
    }
    ++fetch_target_;
  }
}

/// A node that does not lead and has the slot, as far as is known: nobody tells followers how far
/// other followers are, but their answers do.
std::optional<NodeId> Learner::preferred_source(Slot slot) const {
  for (const NodeId node : configuration_.members()) {
    if (node == self_ || node == leader_ || unhelpful_.contains(node)) continue;
    const auto hint = hints_.find(node);
    if (hint == hints_.end() || hint->second > slot) return node;
  }
  return std::nullopt;
}

void Learner::send_fetch(Time now, NodeId to, Slot slot, bool preferred, Effects& out) {
  fetch_ = FetchUnderWay{to, slot, now, preferred};
  out.sends.push_back({to, {configuration_.epoch(), Fetch{slot}}});
}

void Learner::fetch_failed(Time now, Effects& out) {
  const Slot slot = fetch_->slot_begin;
  if (fetch_->preferred) {
    // It need not have had the slot: nodes that are known to have it are asked next.
    unhelpful_.insert(fetch_->to);
    fetch_.reset();
    return fetch(now, out);
  }
  fetch_.reset();
  ++fetch_target_;
  // A repair that fails makes room for others; the next read of the record asks again.
  if (repairs_.erase(slot) != 0) return;
  // All that should have it have failed, and one of them at least twice: a message may get lost.
  std::size_t hinted = 0;
  for (const auto& [node, hint] : hints_) hinted += hint > chosen_end_ ? 1U : 0U;
  if (++fetch_failures_ < std::max<std::size_t>(hinted, 2)) return;
  fetch_failures_ = 0;
  fetch_again_at_ = now + fetching_.timeout / 2;
  out.fetch_failed = true;
  out.slots_gone = !beyond_.empty();
}

void Learner::move_to(Slot chosen_end) {
  STELE_CHECK(chosen_end > chosen_end_);
  chosen_end_ = chosen_end;
  known_end_ = std::max(known_end_, chosen_end_);
  while (!votes_.empty() && votes_.begin()->first < chosen_end_) {
    votes_bytes_ -= votes_.begin()->second.value.size();
    votes_.erase(votes_.begin());
  }
  std::erase_if(ranges_, [&](const Chosen& range) { return range.slot_end <= chosen_end_; });
  reading_.reset();
  fetch_.reset();
  fetch_failures_ = 0;
  repairs_.clear();
  beyond_.clear();
  unhelpful_.clear();
}

std::string Learner::check() const {
  std::size_t bytes = 0;
  for (const auto& [slot, record] : votes_) {
    if (slot < chosen_end_) return "a vote below chosen_end is kept";
    if (record.slot != slot) return "a vote is kept at another slot than its own";
    bytes += record.value.size();
  }
  if (bytes != votes_bytes_) return "the bytes of the votes are counted wrong";
  if (ranges_.size() > kRangesMax) return "more ranges told as chosen are kept than may be";
  if (repairs_.size() > kRepairsMax) return "more slots wait for repair than may";
  if (!repairs_.empty() && *repairs_.rbegin() >= chosen_end_)
    return "a slot that is not chosen waits for repair";
  if (known_end_ < chosen_end_) return "it knows of fewer chosen slots than it has";
  return {};
}

}  // namespace stele::paxos
