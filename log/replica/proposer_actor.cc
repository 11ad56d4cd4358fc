#include "log/replica/proposer_actor.h"

#include <algorithm>
#include <utility>

namespace stele::log {

ProposerActor::ProposerActor(net::Loop& loop, paxos::Proposer proposer, Limits limits,
                             ProposerListener& listener)
    : Actor(loop, kLettersMax),
      proposer_(std::move(proposer)),
      limits_(limits),
      listener_(listener) {}

Outcome ProposerActor::submit(CommandKind kind, Slice command) {
  if (!proposer_.leads()) return Outcome::not_leader;
  // One command more than the bound at most: a large one must fit as well.
  if (waiting_.bytes() >= limits_.waiting_bytes_max) return Outcome::overloaded;
  waiting_.add(kind, std::move(command));
  wake();
  return Outcome::ok;
}

void ProposerActor::read(std::uint64_t id) {
  proposer_.read(loop().now(), id, effects_);
  wake();
}

void ProposerActor::hand_over() {
  proposer_.hand_over(loop().now());
  wake();
}

void ProposerActor::on_heard(Ballot ballot) {
  proposer_.on_heard(loop().now(), ballot, effects_);
  wake();
}

void ProposerActor::set_lacks_slots(bool lacks) {
  proposer_.set_lacks_slots(loop().now(), lacks, effects_);
  wake();
}

void ProposerActor::on_connected(NodeId node) {
  proposer_.on_connected(loop().now(), node, effects_);
  wake();
}

void ProposerActor::on_chosen_end(Slot chosen_end) {
  proposer_.on_chosen_end(loop().now(), chosen_end, effects_);
  wake();
}

void ProposerActor::on_fetch_failed() {
  proposer_.on_fetch_failed(loop().now(), effects_);
  wake();
}

void ProposerActor::tick() {
  if (proposer_.leads()) {
    for (NodeId node : proposer_.members()) proposer_.set_progress(node, listener_.progress(node));
  }
  proposer_.tick(loop().now(), effects_);
  // What waits for room among the bytes in flight must not take it this way.
  const bool idle = waiting_.empty() && loop().now() - proposed_at_ >= limits_.time_slot_every;
  if (idle && proposer_.window_open() &&
      proposer_.room_for_upkeep(loop().now()) == paxos::Proposer::Room::enough)
    propose_batch();
  flush();
}

void ProposerActor::handle(Letter& letter) {
  proposer_.step(loop().now(), letter.from, letter.message, effects_);
}

void ProposerActor::flush() {
  propose_waiting();
  paxos::Proposer::Effects effects = std::exchange(effects_, {});
  if (effects.slow_disk) listener_.on_slow_disk(*effects.slow_disk);
  for (const auto& ready : effects.reads) listener_.on_read_ready(ready.read, ready.barrier);
  if (effects.stopped) {
    drop_waiting(Outcome::not_leader);
    listener_.on_stopped(effects.why_stopped);
  }
  if (effects.began) {
    proposed_at_ = loop().now();
    listener_.on_began(*effects.began);
  }
  for (paxos::Send& send : effects.sends) listener_.send(std::move(send));
  for (std::uint64_t read : effects.reads_refused) listener_.on_read_refused(read);
}

void ProposerActor::propose_waiting() {
  // Not in the turn in which it stopped: what waits then was for the leadership before.
  if (effects_.stopped || effects_.began) {
    if (!waiting_.empty()) wake();
    return;
  }
  if (waiting_.empty() || !proposer_.leads()) return;
  // What waited for its batch when space ran low is refused, so that only the window is in flight.
  const auto room = proposer_.room(loop().now());
  const bool none = room == paxos::Proposer::Room::none;
  // What a full disk keeps is not for new values.
  const bool lacks = room != paxos::Proposer::Room::enough && proposer_.anybody_full();
  if (lacks || space_low_) {
    for (const Slice& command : waiting_.take_all_but_upkeep()) {
      listener_.on_dropped(command, none ? Outcome::no_space : Outcome::overloaded);
    }
    // What makes room waits for nothing that may not come: a slot without votes holds up all reads.
    const auto for_upkeep = proposer_.room_for_upkeep(loop().now());
    if (for_upkeep == paxos::Proposer::Room::none) drop_waiting(Outcome::no_space);
    if (for_upkeep == paxos::Proposer::Room::unknown) drop_waiting(Outcome::overloaded);
  }
  // Others may choose without the own disk, which must keep up all the same: callers are answered
  // from the own state, and what the own acceptor cannot take would have to be fetched.
  std::size_t proposed = 0;  // On its way to the own acceptor.
  while (!waiting_.empty() && proposer_.window_open() && !listener_.lags_far() &&
         listener_.backlog_bytes() + proposed <= limits_.backlog_bytes_max) {
    if (!proposer_.has_room()) return;
    proposed += propose_batch();
  }
}

void ProposerActor::drop_waiting(Outcome why) {
  for (const Slice& command : waiting_.take_all()) listener_.on_dropped(command, why);
}

std::size_t ProposerActor::propose_batch() {
  const Time now = loop().now();
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(now - proposed_at_);
  const BatchHeader header{static_cast<std::uint64_t>(elapsed.count()), loop().wall_us()};
  // What the cut to microseconds leaves over belongs to the next slot.
  proposed_at_ += elapsed;
  const std::size_t most = std::min(limits_.batch_bytes_max, proposer_.batch_bytes());
  paxos::Value batch = waiting_.take(header, most);
  const std::size_t bytes = batch.size();
  proposer_.propose(now, std::move(batch), effects_);
  return bytes;
}

}  // namespace stele::log
