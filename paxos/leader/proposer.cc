#include "paxos/leader/proposer.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::paxos {
namespace {

/// So many election time-outs a candidate waits for promises that are on their way.
constexpr int kCampaignTimeouts = 10;
/// So many election time-outs a leader in phase 1 waits for a sign of nodes whose promises it
/// lacks.
constexpr int kPromiseTimeouts = 3;
/// If the first slot in flight is not chosen within so many election time-outs, a leader gives up.
constexpr int kStuckTimeouts = 30;
/// If its own disk is slower than those of others for so many election time-outs, it hands over.
constexpr int kSlowTimeouts = 10;
constexpr std::string_view kHigherBallot = "another node has a higher ballot";

}  // namespace

Proposer::Proposer(NodeId self, Configuration configuration, Options options, Ballot promised,
                   Slot chosen_end, Time now)
    : self_(self),
      configuration_(std::move(configuration)),
      options_(options),
      election_(self, configuration_, options.timing, options.seed, now),
      flow_(options.in_flight_bytes_max),
      acceptors_(self, configuration_, options.timing.election_timeout),
      hand_over_(options.timing.election_timeout, kSlowTimeouts * options.timing.election_timeout),
      round_seen_(promised.round),
      chosen_end_(chosen_end),
      window_(chosen_end) {}

void Proposer::step(Time now, NodeId source, const Message& message, Effects& out) {
  if (message.epoch != configuration_.epoch() || !configuration_.contains(source)) return;

  if (const auto* accepted = std::get_if<Accepted>(&message.body)) {
    on_accepted(now, source, *accepted, out);
  } else if (const auto* ack = std::get_if<HeartbeatAck>(&message.body)) {
    on_heartbeat_ack(now, source, *ack, out);
  } else if (const auto* heard = std::get_if<Heard>(&message.body)) {
    on_heard_message(now, source, *heard);
  } else if (const auto* promise = std::get_if<Promise>(&message.body)) {
    on_promise(now, source, *promise, out);
  } else if (const auto* nack = std::get_if<Nack>(&message.body)) {
    on_nack(now, source, *nack, out);
  } else if (const auto* ask = std::get_if<PreVote>(&message.body)) {
    election_.on_pre_vote(now, source, *ask, leads(), round_seen_, chosen_end_, out.sends);
  } else if (const auto* answer = std::get_if<PreVoteAnswer>(&message.body)) {
    see_round(answer->round);
    election_.on_pre_vote_answer(now, source, *answer, chosen_end_);
  } else if (const auto* take_over = std::get_if<TakeOver>(&message.body)) {
    on_take_over(now, *take_over, out);
  }
  // Faulty needs no answer: that acceptor does not count, and is asked again with the next tick.
}

void Proposer::tick(Time now, Effects& out) {
  if (standing_ == Standing::follower) {
    election_.set_reluctant(space_low_ || lacks_slots_ || disk_is_slow(now));
    if (election_.tick(now, chosen_end_, out.sends)) campaign(now, out);
    return;
  }
  if (standing_ != Standing::leader) {
    if (campaign_fails(now)) return give_up(now, {}, out);
    pull_promises(now, out);
    return;
  }
  // A leader that hears nothing from q2, or whose own disk stalls, stops.
  if (acceptors_.own_disk_stalls(now, slots_take())) {
    return give_up(now, "the own disk has stopped answering, and others go on", out);
  }
  if (!hears_quorum(now)) return give_up(now, "too few nodes answer", out);
  if (gets_nowhere(now)) {
    return give_up(now, "others live, and what is proposed does not get to them", out);
  }
  if (phase_one_ && !hears_promises(now)) {
    return give_up(now, "too few nodes tell what they have voted for", out);
  }
  if (phase_one_) pull_promises(now, out);
  repropose(now, out);
  tell_chosen(out);
  resend(now, out);
  if (now - confirmation_.started_at() >= options_.timing.heartbeat) start_beat(now, out);
  const bool may = recovered() && configuration_.members().size() > 1;
  hand_over_.watch(now, acceptors_, configuration_.q2(), may);
  finish_hand_over(now, out);
}

// --- Phase 1 ---------------------------------------------------------------------------

void Proposer::campaign(Time now, Effects& out, bool ignore_ahead) {
  standing_ = Standing::preparing;
  ballot_ = {round_seen_ + 1, self_};
  round_seen_ = ballot_.round;
  campaigned_at_ = now;
  hand_over_.cancel();
  phase_one_.emplace(configuration_, ballot_, chosen_end_, ignore_ahead);
  acceptors_.reset();
  window_.clear();
  confirmation_.reset();
  // Durability (d): only the own acceptor hears of the ballot before it has durably promised it.
  acceptors_.on_prepared(now, self_);
  send(self_, Prepare{ballot_, chosen_end_}, out);
}

void Proposer::on_promise(Time now, NodeId source, const Promise& promise, Effects& out) {
  if (!phase_one_ || promise.ballot != ballot_) return;
  if (standing_ == Standing::preparing && source != self_) return;
  if (!phase_one_->on_promise(source, promise)) return;

  acceptors_.on_heard(now, source);
  acceptors_.on_promise(source);
  if (standing_ == Standing::preparing) standing_ = Standing::candidate;
  if (standing_ == Standing::candidate && phase_one_->won()) begin_leading(now, out);
  pull_promises(now, out);
  repropose(now, out);
}

// Promises may take long: over slow lines, from busy disks. As long as a q1 quorum has promised,
// or shows that it has heard of the ballot, the candidate waits for them, within a bound.
bool Proposer::campaign_fails(Time now) const {
  const Duration timeout = options_.timing.election_timeout;
  if (now - campaigned_at_ < timeout) return false;
  if (now - campaigned_at_ >= kCampaignTimeouts * timeout) return true;
  return standing_ != Standing::preparing && !hears_promises(now);
}

/// Phase 1 may yet end. A leader needs that, too: with q2 below q1 it may hear q2 nodes, and wait
/// for ever for what the others have voted for.
bool Proposer::hears_promises(Time now) const {
  // A leader has won much already, and its pieces may be long on the way.
  const Duration timeout = options_.timing.election_timeout * (leads() ? kPromiseTimeouts : 1);
  return phase_one_->may_end(now, self_, acceptors_, timeout);
}

void Proposer::pull_promises(Time now, Effects& out) {
  if (!phase_one_ || standing_ == Standing::preparing) return;
  phase_one_->pull(now, window_.next(), acceptors_, [&](NodeId node, Slot slot_begin) {
    send(node, Prepare{ballot_, slot_begin}, out);
  });
}

void Proposer::begin_leading(Time now, Effects& out) {
  standing_ = Standing::leader;
  window_.begin_at(phase_one_->base());
  window_.drop_learned(chosen_end_);
  acceptors_.begin_leading(now);
  flow_.begin(now);
  hand_over_.begin_leading();
  out.began = ballot_;
  start_beat(now, out);
}

// PMMC 2.4: what a quorum may have chosen is proposed again, holes are filled with noops.
void Proposer::repropose(Time now, Effects& out) {
  if (standing_ != Standing::leader || !phase_one_) return;
  // A promise that came later may know of more chosen slots: those are fetched, not proposed.
  if (window_.empty() && window_.next() < phase_one_->base()) {
    window_.begin_at(phase_one_->base());
    window_.drop_learned(chosen_end_);
  }
  while (window_.next() < phase_one_->base() ||
         window_.next() < std::min(phase_one_->covered_end(), phase_one_->reported_end())) {
    if (window_.size() >= options_.window || !fits()) return;
    if (window_.next() < phase_one_->base()) return;  // In-flight slots below it are dropped first.
    const std::optional<Value> found = phase_one_->take(window_.next());
    propose(now, found.value_or(Value{}), true, out);
  }
  if (!phase_one_->complete()) return;
  recovered_slot_ = window_.next();
  phase_one_.reset();
}

void Proposer::give_up(Time now, std::string_view why, Effects& out) {
  if (standing_ == Standing::leader) {
    out.stopped = true;
    out.why_stopped = why;
  }
  tell_chosen(out);
  confirmation_.refuse_all(out.reads_refused);
  standing_ = Standing::follower;
  phase_one_.reset();
  window_.clear();
  hand_over_.cancel();
  if (heard_.node == self_) heard_ = {};
  election_.on_heard(now);  // The others have the first try.
}

void Proposer::on_nack(Time now, NodeId source, const Nack& nack, Effects& out) {
  see_round(nack.promised.round);
  if (standing_ == Standing::follower || nack.ballot != ballot_) return;
  if (nack.no_space) {
    acceptors_.on_full(now, source);
    // Nothing more is proposed until there is room. What is in flight has room in what disks keep
    // for what phase 1 finds: otherwise nobody could be told, and no read be served, until then.
    if (leads() && room(now) != Room::enough) window_.mark_recovering();
    return;
  }
  if (nack.promised <= ballot_) return;
  if (standing_ != Standing::leader) {
    // As long as a q1 quorum may still promise, one refusal is not the end.
    const std::size_t left = configuration_.members().size() - acceptors_.on_refused(source);
    if (source == self_ || left < configuration_.q1()) give_up(now, {}, out);
    return;
  }
  if (hand_over_.under_way()) return give_up(now, kHigherBallot, out);
  // If q2 acceptors still follow this leader, the other ballot is a leftover: phase 1 again above
  // it. Only those count that have answered in this ballot: with a q1 below q2 a node may win
  // ballots that it can never lead in, and two of those would unseat each other for ever.
  confirmation_.forget(source);
  acceptors_.forget(now, source);
  const bool still_followed = hears_quorum(now) && confirmation_.followers() >= configuration_.q2();
  give_up(now, kHigherBallot, out);
  if (still_followed) campaign(now, out);
}

// --- Phase 2 ---------------------------------------------------------------------------

bool Proposer::window_open() const {
  return recovered() && !hand_over_.under_way() && window_.size() < options_.window;
}

bool Proposer::has_room() {
  // While it measures, nothing is as full as the bound allows.
  return window_.empty() || (!flow_.measures() && fits());
}

bool Proposer::fits() {
  if (window_.empty()) return true;
  const bool room = in_flight_bytes() < std::min(options_.in_flight_bytes_max, flow_.bytes_max());
  if (!room) flow_.on_held_back();
  return room;
}

Slot Proposer::propose(Time now, Value value, bool recovers, Effects& out) {
  STELE_CHECK(leads() && window_.size() < options_.window);
  const Slot slot = window_.next();
  const SlotWindow::InFlight& in_flight = window_.push(std::move(value), now, recovers);
  flow_.on_proposed(now, slot, window_.size() == 1);
  for (NodeId node : configuration_.members()) send_accept(slot, in_flight, node, out);
  tell_chosen(out);  // After it: should a link's queue be full, this is what can wait.
  return slot;
}

void Proposer::send_accept(Slot slot, const SlotWindow::InFlight& in_flight, NodeId to,
                           Effects& out) {
  acceptors_.on_sent(to);
  send(to, Accept{ballot_, slot, in_flight.value, in_flight.recovers}, out);
}

void Proposer::on_accepted(Time now, NodeId source, const Accepted& accepted, Effects& out) {
  if (!leads() || accepted.ballot != ballot_) return;
  acceptors_.on_disk_answer(now, source);
  const std::size_t told = untold_.size();
  const auto on_chosen = [&](Slot slot, const SlotWindow::InFlight& chosen) {
    flow_.on_chosen(now, slot, {chosen.proposed_at, chosen.value.size(), chosen.ahead_bytes});
    const bool joins = untold_.size() > told && untold_.back().slot_end == slot;
    if (!joins) untold_.push_back({ballot_, slot, slot});
    untold_.back().slot_end = slot + 1;
  };
  window_.on_votes(source, accepted, configuration_.q2(), on_chosen);
  for (std::size_t i = told; i < untold_.size(); ++i) send(self_, untold_[i], out);
  window_.drop_chosen();
  repropose(now, out);
}

// The others learn what is chosen with the next accept, or with the next tick: nobody waits for it
// there, and one append at a time it would wake each of them once more for every slot.
void Proposer::tell_chosen(Effects& out) {
  for (const Chosen& chosen : std::exchange(untold_, {})) {
    for (NodeId node : configuration_.members()) {
      if (node != self_) send(node, chosen, out);
    }
  }
}

void Proposer::on_chosen_end(Time now, Slot chosen_end, Effects& out) {
  chosen_end_ = std::max(chosen_end_, chosen_end);
  if (!leads()) return;
  window_.drop_learned(chosen_end_);
  repropose(now, out);
  finish_hand_over(now, out);
}

void Proposer::on_fetch_failed(Time now, Effects& out) {
  // Also for the first slot in flight: a node that knows it as chosen does not vote for it.
  const bool waits = chosen_end_ == window_.begin() && !window_.empty();
  if (!leads() || (chosen_end_ >= window_.begin() && !waits)) return;
  give_up(now, "nobody serves a slot that is chosen: its votes are asked for", out);
  // A node that says that the slot is chosen does not serve it: the votes of the others must do.
  campaign(now, out, true);
}

void Proposer::resend(Time now, Effects& out) {
  for (NodeId node : configuration_.members()) {
    if (acceptors_.is_to_be_sent_again(now, node, window_.first_owed(node), window_.next()))
      resend_to(node, out);
  }
}

void Proposer::resend_to(NodeId node, Effects& out) {
  window_.for_each_owed(node, [&](Slot slot, const SlotWindow::InFlight& in_flight) {
    send_accept(slot, in_flight, node, out);
  });
}

// --- Heartbeats, confirmation of reads, hand-over --------------------------------------

void Proposer::start_beat(Time now, Effects& out) {
  const std::uint64_t beat = confirmation_.start_beat(now, window_.next());
  // Repeats what was counted in this ballot, in case a connection lost it.
  if (window_.counted_begin() < window_.begin()) {
    send_all(Chosen{ballot_, window_.counted_begin(), window_.begin()}, out);
  }
  send_all(Heartbeat{ballot_, beat}, out);
  // After the accepts that were sent before: a node that lacks one of those slots has lost it.
  for (NodeId node : configuration_.members()) {
    if (node != self_) send(node, ChosenEnd{chosen_end_}, out);
  }
}

void Proposer::on_heard_message(Time now, NodeId source, const Heard& heard) {
  if (standing_ == Standing::follower || heard.ballot != ballot_ || source == self_) return;
  acceptors_.on_heard(now, source);
  if (!leads() || heard.beat == 0 || heard.beat > confirmation_.beat()) return;
  if (const auto at = confirmation_.started_at(heard.beat)) flow_.on_round_trip(now - *at);
}

void Proposer::on_heartbeat_ack(Time now, NodeId source, const HeartbeatAck& ack, Effects& out) {
  if (!leads() || ack.ballot != ballot_ || ack.beat > confirmation_.beat()) return;
  acceptors_.on_ack(now, source, ack, confirmation_.started_at(ack.beat));
  if (ack.promised != ballot_) {
    // It hears this leader but has not promised it: it cannot confirm reads until it has.
    if (acceptors_.may_prepare(now, source)) {
      acceptors_.on_prepared(now, source);
      send(source, Prepare{ballot_, window_.next()}, out);
    }
    return;
  }
  if (confirmation_.on_answer(source, ack.beat)) confirm_reads(now, out);
}

void Proposer::read(Time now, std::uint64_t id, Effects& out) {
  if (!recovered()) {
    out.reads_refused.push_back(id);
    return;
  }
  if (confirmation_.add(id)) start_beat(now, out);
}

void Proposer::confirm_reads(Time now, Effects& out) {
  if (confirmation_.confirm(configuration_.q2(), out.reads)) start_beat(now, out);
}

void Proposer::hand_over(Time now) {
  const bool alone = configuration_.members().size() == 1;
  if (leads() && !alone && !hand_over_.under_way()) hand_over_.begin(now);
}

void Proposer::finish_hand_over(Time now, Effects& out) {
  if (!hand_over_.under_way() || !leads()) return;
  // Everything proposed is chosen and applied here, so its callers have been answered. A leader
  // that cannot get so far (its disk is full, say) does not wait for it: its callers are told
  // unknown.
  const bool applied = !phase_one_ && chosen_end_ >= window_.next();
  const bool late = hand_over_.late(now);
  if (!applied && !late) return;
  if (const auto target = hand_over_.target(now, acceptors_)) {
    hand_over_.on_asked(now);
    out.slow_disk = hand_over_.slow_disk();
    tell_chosen(out);
    send(*target, TakeOver{ballot_}, out);
    give_up(now, "it has handed over", out);
  } else if (late) {
    hand_over_.give_up(now);
  }
}

void Proposer::on_heard(Time now, Ballot ballot, Effects& out) {
  see_round(ballot.round);
  if (ballot < heard_) return;
  heard_ = ballot;
  heard_at_ = now;
  if (ballot.node == self_) return;
  if (standing_ != Standing::follower && ballot > ballot_) give_up(now, kHigherBallot, out);
  if (standing_ == Standing::follower) election_.on_heard(now);
}

/// The others live, and what is proposed does not get to them, whatever the reason: another one may
/// have a better way.
bool Proposer::gets_nowhere(Time now) const {
  if (window_.empty() || room(now) != Room::enough) return false;
  return now - window_.front().proposed_at >= kStuckTimeouts * options_.timing.election_timeout;
}

}  // namespace stele::paxos
