#include "tests/sim/checker/checker.h"

#include <algorithm>
#include <utility>

#include "log/format/batch.h"
#include "tests/sim/checker/describe.h"

namespace stele::sim {
namespace {

constexpr Slot kSlotEnd{UINT64_MAX};

std::string node_name(NodeId node) { return "n" + std::to_string(node.value); }
std::string slot_name(Slot slot) { return "slot " + std::to_string(slot.value); }

[[noreturn]] void violated(int invariant, const std::string& what) {
  throw Violation(std::to_string(invariant), what);
}

}  // namespace

Checker::Checker(paxos::Configuration configuration, std::uint64_t window,
                 std::size_t in_flight_bytes_max, Coverage& coverage)
    : configuration_(std::move(configuration)),
      window_(window),
      in_flight_bytes_max_(in_flight_bytes_max),
      coverage_(coverage),
      count_(leaderships_, configuration_.q1(), coverage) {}

// --- What became durable ---------------------------------------------------------------

void Checker::on_durable(NodeId node, const Txn& txn) {
  for (const paxos::Acceptor::Write& write : txn.votes) {
    if (const auto* accepted = std::get_if<paxos::WriteAccepted>(&write)) {
      on_vote(node, accepted->record);
    }
    Ballot& promised = nodes_.at(node).promised;
    const auto* promise = std::get_if<paxos::WritePromised>(&write);
    promised = std::max(promised, promise != nullptr
                                      ? promise->ballot
                                      : std::get<paxos::WriteAccepted>(write).record.ballot);
  }
  if (txn.trim) on_trim(node, *txn.trim);
  for (const log::CopyWrite& copy : txn.copies) on_copy(node, copy);
  if (txn.install) on_install(node, *txn.install);
  if (txn.state) on_state(node, *txn.state);
}

void Checker::on_vote(NodeId node, const paxos::SlotRecord& record) {
  if (record.epoch != configuration_.epoch()) violated(7, "a vote of another epoch");
  if (record.ballot < nodes_.at(node).promised) {
    violated(5, node_name(node) + " voted in " + describe(record.ballot) +
                    " after its promise of " + describe(nodes_.at(node).promised));
  }
  SlotView& view = at(record.slot);
  const auto [vote, fresh] = view.votes.try_emplace(record.ballot, Vote{record.value, {}});
  if (!fresh && !same(vote->second.value, record.value)) {
    violated(2, "in ballot " + describe(record.ballot) + " " + node_name(node) + " voted for " +
                    describe(record.value) + " at " + slot_name(record.slot) +
                    ", another acceptor for " + describe(vote->second.value));
  }
  // Invariant 5, from the other side: a vote below a promise that has left.
  for (const auto& [ballot, promises] : nodes_[node].promises) {
    if (ballot <= record.ballot) continue;
    for (const Promises::Piece& piece : promises.pieces) {
      const bool told =
          record.slot >= std::max(piece.begin, piece.chosen_end) && record.slot < piece.end;
      if (!told) continue;
      const auto accepted = piece.accepted.find(record.slot);
      if (accepted != piece.accepted.end() && accepted->second >= record.ballot) continue;
      violated(5, node_name(node) + " voted at " + slot_name(record.slot) + " in " +
                      describe(record.ballot) + " after its promise of " + describe(ballot) +
                      " had left without that vote");
    }
  }
  vote->second.voters.insert(node);
  if (vote->second.voters.size() >= configuration_.q2()) {
    choose(record.slot, view, record.ballot, record.value);
  }
}

void Checker::choose(Slot slot, SlotView& view, Ballot ballot, const paxos::Value& value) {
  if (view.chosen && !same(*view.chosen, value)) {
    violated(1, slot_name(slot) + ": a quorum voted for " + describe(*view.chosen) + " in " +
                    describe(view.chosen_in) + " and for " + describe(value) + " in " +
                    describe(ballot));
  }
  for (const auto& [proposed_in, proposed] : view.proposed) {
    if (proposed_in <= ballot || same(proposed, value)) continue;
    violated(2, slot_name(slot) + ": " + describe(value) + " is chosen in " + describe(ballot) +
                    ", but " + describe(proposed) + " was proposed in " + describe(proposed_in));
  }
  if (view.chosen) {
    view.chosen_in = std::min(view.chosen_in, ballot);
    return;
  }
  view.chosen = value;
  if (value.size() == log::BatchHeader::kBytes) coverage_.count(Path::time_slots);
  view.chosen_in = ballot;
  while (true) {
    const SlotView* next = find(log_.slot_end());
    if (next == nullptr || !next->chosen) break;
    const auto before = std::pair(log_.let_go(), log_.refused());
    const ModelLog::Trims trims = log_.trims();
    log_.apply(*next->chosen);
    if (log_.let_go() != before.first) coverage_.count(Path::sessions_let_go);
    if (log_.refused() != before.second) coverage_.count(Path::sessions_refused);
    coverage_.count(Path::trims, log_.trims().by_clients - trims.by_clients);
    coverage_.count(Path::trims_of_leaders, log_.trims().by_leaders - trims.by_leaders);
    coverage_.count(Path::trims_past_holds, log_.trims().past_holds - trims.past_holds);
    coverage_.count(Path::trims_held_back, log_.trims().held_back - trims.held_back);
  }
}

void Checker::on_state(NodeId node, const log::StateWrite& state) {
  NodeView& view = nodes_.at(node);
  const log::StateNumbers& numbers = state.numbers;
  const auto wrong = [&](int invariant, const std::string& what) {
    violated(invariant, node_name(node) + " at chosen_end " +
                            std::to_string(numbers.chosen_end.value) + ": " + what);
  };
  if (numbers.chosen_end < view.numbers.chosen_end) wrong(6, "chosen_end went back");
  if (numbers.next_lsn < view.numbers.next_lsn) wrong(11, "the next LSN went back");
  if (numbers.first_lsn < view.numbers.first_lsn) wrong(11, "the trim point went back");
  if (numbers.stamp_us < view.numbers.stamp_us) wrong(11, "the time stamp went back");
  if (numbers.log_time_us < view.numbers.log_time_us) wrong(11, "log time went back");
  if (numbers.chosen_end > log_.slot_end()) {
    wrong(6, "only slots below " + std::to_string(log_.slot_end().value) + " are chosen");
  }
  // What lies below chosen_end on the disk now is what was chosen.
  for (Slot slot = view.numbers.chosen_end; slot < numbers.chosen_end; ++slot) {
    const auto record = view.disk->synced.slots.find(slot);
    if (record == view.disk->synced.slots.end()) wrong(6, slot_name(slot) + " has no record");
    if (!same(record->second.value, *find(slot)->chosen)) {
      wrong(6, slot_name(slot) + " holds " + describe(record->second.value) + ", chosen is " +
                   describe(*find(slot)->chosen));
    }
  }
  const ModelLog::Numbers& model = log_.after(numbers.chosen_end);
  if (numbers.next_lsn != model.next_lsn) {
    wrong(9, "the next LSN is " + std::to_string(numbers.next_lsn.value) + ", should be " +
                 std::to_string(model.next_lsn.value));
  }
  if (numbers.first_lsn != model.first_lsn) {
    wrong(14, "the trim point is " + std::to_string(numbers.first_lsn.value) + ", should be " +
                  std::to_string(model.first_lsn.value));
  }
  if (numbers.log_time_us != model.log_time_us) wrong(11, "log time is not that of the slots");
  if (numbers.stamp_us != model.stamp_us) wrong(11, "the time stamp is not that of the slots");
  if (!view.differs) {
    const auto [first, fresh] = states_.try_emplace(numbers.chosen_end, numbers);
    if (!fresh && first->second != numbers) wrong(8, "another node has another state there");
  }
  for (const log::IndexRow& row : state.index) {
    for (std::uint32_t i = 0; i < row.count; ++i) {
      const std::size_t at = row.first_lsn.value + i - 1;
      if (at < log_.slots().size() && log_.slots()[at] == row.slot) continue;
      wrong(11, "LSN " + std::to_string(at + 1) + " is not an entry of " + slot_name(row.slot));
    }
  }
  view.numbers = numbers;
}

// --- What left -------------------------------------------------------------------------

void Checker::on_send(NodeId from, const paxos::Send& send) {
  if (send.message.epoch != configuration_.epoch()) violated(7, "a message of another epoch");
  count_.on_send(from, send);
  const paxos::Body& body = send.message.body;
  if (send.to == from) on_receive(from, from, send.message);
  if (nodes_.at(from).wiped) violated(3, node_name(from) + " speaks up in a wiped directory");
  const Image& durable = nodes_.at(from).disk->synced;
  if (const auto* prepare = std::get_if<paxos::Prepare>(&body)) {
    if (send.to != from && durable.promised < prepare->ballot) {
      violated(3, "a prepare of " + describe(prepare->ballot) + " left " + node_name(from) +
                      " before its own promise was durable");
    }
  } else if (const auto* promise = std::get_if<paxos::Promise>(&body)) {
    on_promise(from, *promise);
  } else if (const auto* accept = std::get_if<paxos::Accept>(&body)) {
    on_accept(from, send.to, *accept);
  } else if (const auto* accepted = std::get_if<paxos::Accepted>(&body)) {
    on_accepted(from, *accepted);
  } else if (const auto* chosen = std::get_if<paxos::Chosen>(&body)) {
    on_chosen(from, *chosen);
  } else if (const auto* fetched = std::get_if<paxos::Fetched>(&body)) {
    on_fetched(*fetched);
  } else if (const auto* ack = std::get_if<paxos::HeartbeatAck>(&body)) {
    if (ack->promised > durable.promised) {
      violated(3, node_name(from) + " told a promise that is not durable");
    }
  }
}

void Checker::on_promise(NodeId from, const paxos::Promise& promise) {
  NodeView& view = nodes_.at(from);
  const Image& durable = view.disk->synced;
  if (durable.promised < promise.ballot || durable.promise_rotten) {
    violated(3, "the promise of " + describe(promise.ballot) + " left " + node_name(from) +
                    " and is not durable");
  }
  if (promise.chosen_end > durable.numbers.chosen_end) {
    violated(3, node_name(from) + " promised with a chosen_end that is not durable");
  }
  Promises::Piece piece{
      promise.slot_begin, promise.last ? kSlotEnd : promise.slot_end, promise.chosen_end, {}};
  for (const paxos::SlotRecord& record : promise.accepted) {
    piece.accepted[record.slot] = record.ballot;
    const SlotView* slot = find(record.slot);
    const auto vote = slot == nullptr ? std::map<Ballot, Vote>::const_iterator{}
                                      : slot->votes.find(record.ballot);
    const bool known = slot != nullptr && vote != slot->votes.end() &&
                       vote->second.voters.contains(from) && same(vote->second.value, record.value);
    if (!known) {
      violated(5, node_name(from) + " reported a vote at " + slot_name(record.slot) + " in " +
                      describe(record.ballot) + " that it never cast");
    }
  }
  // Every vote that has left, below this ballot and within what is told, must be there.
  const Slot begin = std::max(piece.begin, piece.chosen_end);
  for (auto at = view.votes_left.lower_bound(begin);
       at != view.votes_left.end() && at->first < piece.end; ++at) {
    if (at->second >= promise.ballot) continue;
    const auto accepted = piece.accepted.find(at->first);
    if (accepted != piece.accepted.end() && accepted->second >= at->second) continue;
    violated(5, "the promise of " + describe(promise.ballot) + " left " + node_name(from) +
                    " without its vote at " + slot_name(at->first) + " in " + describe(at->second));
  }
  view.promises[promise.ballot].pieces.push_back(std::move(piece));
  if (view.promises.size() > 16) view.promises.erase(view.promises.begin());
}

void Checker::on_accept(NodeId from, NodeId to, const paxos::Accept& accept) {
  if (accept.ballot.node != from) violated(2, node_name(from) + " proposes in a foreign ballot");
  SlotView& view = at(accept.slot);
  const auto [proposed, fresh] = view.proposed.try_emplace(accept.ballot, accept.value);
  if (!same(proposed->second, accept.value)) {
    violated(2, "in ballot " + describe(accept.ballot) + " two values were proposed at " +
                    slot_name(accept.slot) + ": " + describe(proposed->second) + " and " +
                    describe(accept.value));
  }
  if (!fresh) {
    if (to == from) coverage_.count(Path::resent_accepts);
    return;
  }
  if (view.chosen && view.chosen_in < accept.ballot && !same(*view.chosen, accept.value)) {
    violated(2, slot_name(accept.slot) + ": " + describe(*view.chosen) + " is chosen in " +
                    describe(view.chosen_in) + ", but " + describe(accept.value) +
                    " is proposed in " + describe(accept.ballot));
  }
  for (const auto& [ballot, vote] : view.votes) {
    if (ballot >= accept.ballot || !same(vote.value, accept.value)) continue;
    coverage_.count(Path::reproposals);
    break;
  }
  if (accept.value.kind() == paxos::ValueKind::noop) coverage_.count(Path::noop_fills);
  // Invariant 4: slots are proposed in order; what is passed over is chosen already.
  Leadership& leadership = leaderships_.of(accept.ballot);
  const Slot expected = leadership.began ? leadership.next : Slot{1};
  if (!std::exchange(leadership.began, true)) {
    leadership.begin = accept.slot;
    ++elections_;
    coverage_.count(Path::elections_won);
  }
  check_phase_one(accept, leadership);
  if (!all_chosen(expected, accept.slot)) {
    violated(4, describe(accept.ballot) + " proposes at " + slot_name(accept.slot) +
                    ", but not all slots before are chosen or proposed");
  }
  leadership.next = std::max(leadership.next, accept.slot + 1);
  check_bytes_in_flight(accept, view);
  // What this leader proposed a window before must be chosen by now.
  if (accept.slot - leadership.begin >= window_) {
    const Slot before{accept.slot.value - window_};
    if (!all_chosen(before, before + 1)) {
      violated(12, describe(accept.ballot) + " has more than its window in flight");
    }
  }
}

/// Phase 1 (PMMC 2.4): of q1 acceptors that told of the slot, the vote of the highest ballot is
/// proposed again; a value of one's own only if q1 told of none.
void Checker::check_phase_one(const paxos::Accept& accept, const Leadership& leadership) const {
  const auto [agree, told] = leadership.agree(accept.slot, accept.value);
  if (agree >= configuration_.q1()) return;
  violated(4, describe(accept.ballot) + " proposes " + describe(accept.value) + " at " +
                  slot_name(accept.slot) + ", for which only " + std::to_string(agree) + " of " +
                  std::to_string(told) + " promises speak");
}

/// A leader proposes nothing above the bound but what must be proposed again, and batches without
/// commands.
void Checker::check_bytes_in_flight(const paxos::Accept& accept, const SlotView& view) const {
  if (accept.value.size() <= log::BatchHeader::kBytes) return;
  for (const auto& [ballot, vote] : view.votes) {
    if (ballot < accept.ballot && same(vote.value, accept.value)) return;
  }
  Slot slot = leaderships_.find(accept.ballot)->begin;
  if (accept.slot - slot > window_) slot = {accept.slot.value - window_};
  std::size_t in_flight = 0;
  for (; slot < accept.slot; ++slot) {
    const SlotView* before = find(slot);
    const auto value = before->proposed.find(accept.ballot);
    if (!before->chosen && value != before->proposed.end()) in_flight += value->second.size();
  }
  if (in_flight == 0 || in_flight < in_flight_bytes_max_) return;
  violated(12, describe(accept.ballot) + " has " + std::to_string(in_flight) +
                   " bytes in flight, and proposes more");
}

void Checker::on_accepted(NodeId from, const paxos::Accepted& accepted) {
  NodeView& view = nodes_.at(from);
  const Image& durable = view.disk->synced;
  for (Slot slot = accepted.slot_begin; slot < accepted.slot_end; ++slot) {
    const SlotView* seen = find(slot);
    const auto vote = seen == nullptr ? std::map<Ballot, Vote>::const_iterator{}
                                      : seen->votes.find(accepted.ballot);
    const bool cast =
        seen != nullptr && vote != seen->votes.end() && vote->second.voters.contains(from);
    const auto record = durable.slots.find(slot);
    const bool kept = slot < durable.numbers.chosen_end ||
                      (record != durable.slots.end() && record->second.ballot >= accepted.ballot);
    if (!cast || !kept || durable.promised < accepted.ballot) {
      violated(3, "the vote at " + slot_name(slot) + " in " + describe(accepted.ballot) + " left " +
                      node_name(from) + " and is not durable");
    }
    Ballot& left = view.votes_left[slot];
    left = std::max(left, accepted.ballot);
  }
}

void Checker::on_chosen(NodeId from, const paxos::Chosen& chosen) {
  if (chosen.ballot.node != from) violated(6, node_name(from) + " tells of a foreign ballot");
  for (Slot slot = chosen.slot_begin; slot < chosen.slot_end; ++slot) {
    const SlotView* view = find(slot);
    const auto vote = view == nullptr ? std::map<Ballot, Vote>::const_iterator{}
                                      : view->votes.find(chosen.ballot);
    const bool counted = view != nullptr && vote != view->votes.end() &&
                         vote->second.voters.size() >= configuration_.q2();
    if (!counted) {
      violated(6, node_name(from) + " says that " + slot_name(slot) + " is chosen in " +
                      describe(chosen.ballot) + ", and no quorum has voted so");
    }
  }
}

void Checker::on_fetched(const paxos::Fetched& fetched) {
  for (const paxos::SlotRecord& record : fetched.records) {
    const SlotView* view = find(record.slot);
    if (view == nullptr || !view->chosen || !same(*view->chosen, record.value)) {
      violated(6, "what is served as the chosen value of " + slot_name(record.slot) + " is not");
    }
  }
}

Ballot Checker::ballot_passed() const {
  std::vector<Ballot> promised;
  for (const auto& [id, view] : nodes_) promised.push_back(view.promised);
  std::sort(promised.rbegin(), promised.rend());
  return promised.at(promised.size() - configuration_.q2());
}

}  // namespace stele::sim
