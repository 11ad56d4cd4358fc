#include "paxos/acceptor.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::paxos {

Acceptor::Acceptor(Configuration configuration, const State& state)
    : configuration_(std::move(configuration)),
      promised_(state.promised),
      chosen_end_(state.chosen_end),
      promise_faulty_(state.promise_faulty) {}

void Acceptor::step(NodeId source, const Message& message, Effects& out) {
  if (message.epoch != configuration_.epoch() || !configuration_.contains(source)) return;
  // A node promises and votes in an epoch only once it knows all slots before that epoch.
  if (chosen_end_ < configuration_.slot_begin()) return;
  if (promise_faulty_) {
    // What was promised is unknown, so every promise and every vote might break it: learner only.
    // It hears the leader all the same.
    const auto* heartbeat = std::get_if<Heartbeat>(&message.body);
    if (heartbeat != nullptr) out.heard = std::max(out.heard, heartbeat->ballot);
    return;
  }

  if (const auto* prepare = std::get_if<Prepare>(&message.body)) {
    on_prepare(source, *prepare, out);
  } else if (const auto* accept = std::get_if<Accept>(&message.body)) {
    on_accept(source, *accept, out);
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
    on_heartbeat(source, *heartbeat, out);
  }
}

void Acceptor::on_chosen_end(Slot chosen_end) {
  chosen_end_ = std::max(chosen_end_, chosen_end);
  voted_.erase(voted_.begin(), voted_.lower_bound(chosen_end_));
}

// Phase 1b (PMMC 2.2, invariant A1): `promised_` never goes down.
void Acceptor::on_prepare(NodeId source, const Prepare& prepare, Effects& out) {
  if (prepare.ballot < promised_) {
    send(source, Nack{.ballot = prepare.ballot, .promised = promised_}, out);
    return;
  }
  if (prepare.ballot > promised_) {
    promised_ = prepare.ballot;
    out.writes.emplace_back(WritePromised{promised_});
  }
  // An equal ballot is a resend, or asks for the next piece: answer, write nothing. The answer is
  // read and leaves after all earlier writes, so it, too, waits until the first promise is
  // durable.
  out.heard = std::max(out.heard, promised_);
  out.at_once.push_back({source, {configuration_.epoch(), Heard{prepare.ballot, 0}}});
  out.promises.push_back({source, prepare.ballot, prepare.slot_begin});
}

// Phase 2b (PMMC 2.2, invariant A2): votes only for its own promise or a higher ballot.
void Acceptor::on_accept(NodeId source, const Accept& accept, Effects& out) {
  if (accept.ballot < promised_) {
    send(source, Nack{.ballot = accept.ballot, .promised = promised_}, out);
    return;
  }
  out.heard = std::max(out.heard, accept.ballot);
  if (accept.slot < chosen_end_) {
    // Decided and known here: never voted on again. The proposer learns the value instead.
    send(source, ChosenEnd{chosen_end_}, out);
    return;
  }
  const Voted vote{accept.ballot, accept.value.kind(), accept.value.size(), accept.value.digest()};
  const auto known = voted_.find(accept.slot);
  // A vote that this process has written only needs its answer again, after that write.
  if (known == voted_.end() || known->second != vote) {
    if (space_full_ && !takes_room(accept)) {
      send(source, Nack{.ballot = accept.ballot, .promised = promised_, .no_space = true}, out);
      return;
    }
    // Voting raises the promise too, in the same transaction (WriteAccepted says so to the store).
    promised_ = accept.ballot;
    out.writes.emplace_back(
        WriteAccepted{{accept.slot, configuration_.epoch(), accept.ballot, accept.value}});
    if (known != voted_.end() || voted_.size() < kVotedMax) voted_[accept.slot] = vote;
  }
  acknowledge(source, accept.ballot, accept.slot, out);
}

/// On a full disk: whether the value needs no room that counts, or gets it out of what is kept.
bool Acceptor::takes_room(const Accept& accept) {
  const ValueKind kind = accept.value.kind();
  const std::size_t bytes = accept.value.size();
  if (kind == ValueKind::noop || kind == ValueKind::stop_sign) return true;
  const bool upkeep = kind == ValueKind::upkeep && bytes <= kUpkeepBytesMax;
  const bool takes = (accept.recovers && bytes <= space_kept_.to_recover) ||
                     (upkeep && bytes <= space_kept_.for_upkeep);
  if (!takes) return false;
  // The one is a part of the other.
  space_kept_.to_recover -= std::min<std::uint64_t>(bytes, space_kept_.to_recover);
  space_kept_.for_upkeep -= std::min<std::uint64_t>(bytes, space_kept_.for_upkeep);
  return true;
}

void Acceptor::on_heartbeat(NodeId source, const Heartbeat& heartbeat, Effects& out) {
  if (heartbeat.ballot < promised_) {
    send(source, Nack{.ballot = heartbeat.ballot, .promised = promised_}, out);
    return;
  }
  out.heard = std::max(out.heard, heartbeat.ballot);
  out.at_once.push_back(
      {source, {configuration_.epoch(), Heard{heartbeat.ballot, heartbeat.beat}}});
  send(source,
       HeartbeatAck{.ballot = heartbeat.ballot,
                    .beat = heartbeat.beat,
                    .promised = promised_,
                    .chosen_end = chosen_end_,
                    .no_space = space_low_,
                    .no_upkeep = space_full_ && space_kept_.for_upkeep < kUpkeepRoomBytesMin},
       out);
}

void Acceptor::send(NodeId to, Body body, Effects& out) const {
  out.sends.push_back({to, {configuration_.epoch(), std::move(body)}});
}

// Neighbouring slots of one step share one Accepted; a range never covers a slot that was not
// voted.
void Acceptor::acknowledge(NodeId to, Ballot ballot, Slot slot, Effects& out) const {
  if (!out.sends.empty() && out.sends.back().to == to) {
    auto* last = std::get_if<Accepted>(&out.sends.back().message.body);
    if (last != nullptr && last->ballot == ballot && last->slot_end == slot) {
      ++last->slot_end;
      return;
    }
  }
  send(to, Accepted{ballot, slot, slot + 1}, out);
}

std::string Acceptor::check() const {
  if (voted_.size() > kVotedMax) return "more votes are remembered than may be";
  if (promise_faulty_ && !voted_.empty()) return "it has voted, and what it promised is unknown";
  for (const auto& [slot, vote] : voted_) {
    if (slot < chosen_end_) return "a vote below chosen_end is remembered";
    if (vote.ballot > promised_) return "a vote is of a ballot above the promise";
  }
  return {};
}

}  // namespace stele::paxos
