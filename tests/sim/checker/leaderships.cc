#include "tests/sim/checker/leaderships.h"

#include <algorithm>

namespace stele::sim {
namespace {

constexpr Slot kSlotEnd{UINT64_MAX};

}  // namespace

std::vector<const paxos::SlotRecord*> Leadership::told(Slot slot) const {
  std::vector<const paxos::SlotRecord*> all;
  for (const auto& [node, pieces] : promised) {
    for (const Told& piece : pieces) {
      if (slot < std::max(piece.begin, piece.chosen_end) || slot >= piece.end) continue;
      const auto record = piece.accepted.find(slot);
      all.push_back(record == piece.accepted.end() ? nullptr : &record->second);
      break;
    }
  }
  return all;
}

std::pair<std::size_t, std::size_t> Leadership::agree(Slot slot, const paxos::Value& value) const {
  const auto told = this->told(slot);
  Ballot highest;  // Of the votes told for what is proposed; {}: there are none.
  for (const paxos::SlotRecord* record : told) {
    if (record != nullptr && same(record->value, value))
      highest = std::max(highest, record->ballot);
  }
  const auto agree = std::ranges::count_if(told, [&](const paxos::SlotRecord* record) {
    return record == nullptr || record->ballot <= highest;
  });
  return {static_cast<std::size_t>(agree), told.size()};
}

void Leaderships::on_receive(NodeId from, NodeId to, const paxos::Message& message) {
  const auto* promise = std::get_if<paxos::Promise>(&message.body);
  if (promise == nullptr || promise->ballot.node != to) return;
  Leadership::Told told{
      promise->slot_begin, promise->last ? kSlotEnd : promise->slot_end, promise->chosen_end, {}};
  for (const paxos::SlotRecord& record : promise->accepted) told.accepted[record.slot] = record;
  all_[promise->ballot].promised[from].push_back(std::move(told));
}

Ballot Leaderships::last_ballot_won(NodeId node, std::size_t q1) const {
  Ballot won;
  for (const auto& [ballot, leadership] : all_) {
    if (ballot.node == node && leadership.promised.size() >= q1) won = ballot;
  }
  return won;
}

}  // namespace stele::sim
