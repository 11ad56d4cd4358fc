#include "paxos/leader/proposer.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::paxos {
namespace {

/// Who does not answer is asked again after longer and longer times, up to so many times the first.
constexpr int kResentMax = 3;
/// A node is given so many times what its answers have taken of late.
constexpr int kPatience = 3;
/// More for the own disk: only one that stands still is a reason to give up.
constexpr int kOwnPatience = 5;
/// So many election time-outs a candidate waits for promises that are on their way.
constexpr int kCampaignTimeouts = 10;
/// So many a leader in phase 1 waits for a sign of those whose promises it lacks.
constexpr int kPromiseTimeouts = 3;
/// So many a leader waits until the first slot in flight is chosen, and then gives up.
constexpr int kStuckTimeouts = 30;
/// So many its own disk is slower than those of others, and then it hands over.
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
      disk_watch_(kSlowTimeouts * options.timing.election_timeout),
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
    election_.set_reluctant(space_low_ || disk_watch_.reluctant(now));
    if (election_.tick(now, chosen_end_, out.sends)) campaign(now, out);
    return;
  }
  if (standing_ != Standing::leader) {
    if (campaign_fails(now)) return give_up(now, {}, out);
    pull_promises(now, out);
    return;
  }
  // A leader that hears nothing from q2, or whose own disk stalls, stops.
  if (own_disk_stalls(now)) {
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
  watch_own_disk(now);
  finish_hand_over(now, out);
}

// --- Phase 1 ---------------------------------------------------------------------------

void Proposer::campaign(Time now, Effects& out, bool ignore_ahead) {
  standing_ = Standing::preparing;
  ballot_ = {round_seen_ + 1, self_};
  round_seen_ = ballot_.round;
  campaigned_at_ = now;
  handing_over_ = false;
  phase_one_.emplace(configuration_, ballot_, chosen_end_, ignore_ahead);
  peers_.clear();
  for (NodeId node : configuration_.members()) peers_[node];
  window_.clear();
  confirmation_.reset();
  // Durability (d): only the own acceptor hears of the ballot before it has durably promised it.
  peers_[self_].prepared_at = now;
  send(self_, Prepare{ballot_, chosen_end_}, out);
}

void Proposer::on_promise(Time now, NodeId source, const Promise& promise, Effects& out) {
  if (!phase_one_ || promise.ballot != ballot_) return;
  if (standing_ == Standing::preparing && source != self_) return;
  if (!phase_one_->on_promise(source, promise)) return;

  peers_[source].heard_at = now;
  peers_[source].prepared_at = Time{};  // The next piece may be asked for at once.
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

/// Phase 1 may yet end: a q1 quorum has told all, or lives. A leader, too, waits for what they have
/// voted for, with q2 below q1 as one that hardly anybody hears.
bool Proposer::hears_promises(Time now) const {
  // A leader has won much already, and its pieces may be long on the way.
  const Duration timeout = options_.timing.election_timeout * (leads() ? kPromiseTimeouts : 1);
  const auto heard = std::ranges::count_if(peers_, [&](const auto& known) {
    const auto& [node, peer] = known;
    return node == self_ || phase_one_->told_all(node) || now - peer.heard_at < timeout;
  });
  return static_cast<std::size_t>(heard) >= configuration_.q1();
}

// Asks each node for its (next) piece, again after a while if no answer came.
void Proposer::pull_promises(Time now, Effects& out) {
  if (!phase_one_ || standing_ == Standing::preparing) return;
  const Duration again_after = options_.timing.election_timeout / 4;
  for (auto& [node, peer] : peers_) {
    if (peer.prepared_at != Time{} && now - peer.prepared_at < again_after) continue;
    if (const auto slot_begin = phase_one_->next_piece(node, window_.next())) {
      peer.prepared_at = now;
      send(node, Prepare{ballot_, *slot_begin}, out);
    }
  }
}

void Proposer::begin_leading(Time now, Effects& out) {
  standing_ = Standing::leader;
  window_.begin_at(phase_one_->base());
  window_.drop_learned(chosen_end_);
  for (auto& [node, peer] : peers_) {
    peer.heard_at = peer.disk_at = now;
  }
  flow_.begin(now);
  disk_watch_.begin();
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
  handing_over_ = false;
  if (heard_.node == self_) heard_ = {};
  election_.on_heard(now);  // The others have the first try.
}

void Proposer::on_nack(Time now, NodeId source, const Nack& nack, Effects& out) {
  see_round(nack.promised.round);
  if (standing_ == Standing::follower || nack.ballot != ballot_) return;
  if (nack.no_space) {
    peers_[source].no_space = true;
    peers_[source].space_told_at = now;
    // Nothing more is proposed until there is room. What is in flight has room in what disks keep
    // for what phase 1 finds: otherwise nobody could be told, and no read be served, until then.
    if (leads() && room(now) != Room::enough) window_.mark_recovering();
    return;
  }
  if (nack.promised <= ballot_) return;
  if (standing_ != Standing::leader) {
    // As long as a q1 quorum may still promise, one refusal is not the end.
    peers_[source].nacked = true;
    const auto refused = static_cast<std::size_t>(std::count_if(
        peers_.begin(), peers_.end(), [](const auto& peer) { return peer.second.nacked; }));
    if (source == self_ || peers_.size() - refused < configuration_.q1()) give_up(now, {}, out);
    return;
  }
  if (handing_over_) return give_up(now, kHigherBallot, out);
  // If q2 acceptors still follow this leader, the other ballot is a leftover: phase 1 again above
  // it. Only those count that have answered in this ballot: with a q1 below q2 a node may win
  // ballots that it can never lead in, and two of those would unseat each other for ever.
  confirmation_.forget(source);
  peers_[source].heard_at = now - 2 * options_.timing.election_timeout;
  const bool still_followed = hears_quorum(now) && confirmation_.followers() >= configuration_.q2();
  give_up(now, kHigherBallot, out);
  if (still_followed) campaign(now, out);
}

void Proposer::on_take_over(Time now, const TakeOver& message, Effects& out) {
  if (standing_ != Standing::follower || message.ballot != heard_) return;
  campaign(now, out);
}

// --- Phase 2 ---------------------------------------------------------------------------

bool Proposer::recovered() const { return leads() && !phase_one_; }

bool Proposer::window_open() const {
  return recovered() && !handing_over_ && window_.size() < options_.window;
}

bool Proposer::has_room() {
  if (window_.empty()) return true;
  // While it measures, nothing is as full as the bound allows.
  return !flow_.measures() && fits();
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
  peers_[to].sent_more = true;
  send(to, Accept{ballot_, slot, in_flight.value, in_flight.recovers}, out);
}

void Proposer::on_accepted(Time now, NodeId source, const Accepted& accepted, Effects& out) {
  if (!leads() || accepted.ballot != ballot_) return;
  Peer& peer = peers_[source];
  peer.heard_at = peer.disk_at = now;
  Slot run_begin{};
  Slot run_end{};
  const auto tell = [&] {
    if (run_begin == run_end) return;
    untold_.push_back({ballot_, run_begin, run_end});
    send(self_, untold_.back(), out);
  };
  const auto on_chosen = [&](Slot slot, const SlotWindow::InFlight& chosen) {
    flow_.on_chosen(now, slot, {chosen.proposed_at, chosen.value.size(), chosen.ahead_bytes});
    if (run_end != slot) {
      tell();
      run_begin = slot;
    }
    run_end = slot + 1;
  };
  window_.on_votes(source, accepted, configuration_.q2(), on_chosen);
  tell();
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
  // Of the first slot in flight, too: who knows it as chosen votes for it no more.
  const bool waits = chosen_end_ == window_.begin() && !window_.empty();
  if (!leads() || (chosen_end_ >= window_.begin() && !waits)) return;
  give_up(now, "nobody serves a slot that is chosen: its votes are asked for", out);
  // A node that says that the slot is chosen does not serve it: the votes of the others must do.
  campaign(now, out, true);
}

/// How long an answer of that node may take: its disk may have much to do.
Duration Proposer::patience(const Peer& peer) const {
  return std::max<Duration>(options_.timing.election_timeout / 2, kPatience * peer.delay);
}

// What is on its way arrives, or its connection ends (on_connected). Beyond that an acceptor drops
// what its disk does not keep up with, and a link what its queue has no room for: who has
// everything that is on its way and does not get on is asked again, also if it votes for later
// slots. A vote is idempotent.
void Proposer::resend(Time now, Effects& out) {
  for (auto& [node, peer] : peers_) {
    const std::optional<Slot> owed = window_.first_owed(node);
    if (!owed || *owed != peer.owed) {
      peer.owed = owed.value_or(window_.next());
      peer.owed_since = now;
      peer.resent = 0;
      continue;
    }
    if (peer.on_the_way) {
      peer.owed_since = now;
      continue;
    }
    if (now - peer.owed_since < patience(peer) * (1 << peer.resent)) continue;
    peer.owed_since = now;
    peer.resent = std::min(peer.resent + 1, kResentMax);
    resend_to(node, out);
  }
}

void Proposer::resend_to(NodeId node, Effects& out) {
  window_.for_each_owed(node, [&](Slot slot, const SlotWindow::InFlight& in_flight) {
    send_accept(slot, in_flight, node, out);
  });
}

void Proposer::on_connected(Time now, NodeId node, Effects& out) {
  const auto found = peers_.find(node);
  if (standing_ == Standing::follower || found == peers_.end()) return;
  found->second.prepared_at = {};
  found->second.owed_since = now;
  if (leads()) resend_to(node, out);
}

void Proposer::set_progress(NodeId node, Progress progress) {
  const auto found = peers_.find(node);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  if (std::exchange(peer.sent_more, false)) peer.sent_end = progress.sent;
  peer.on_the_way = progress.arrived < peer.sent_end;
}

// --- Heartbeats, confirmation of reads, hand-over --------------------------------------

void Proposer::start_beat(Time now, Effects& out) {
  const std::uint64_t beat = confirmation_.start_beat(now, window_.next());
  // Repeats what was counted in this ballot, in case a connection lost it.
  if (window_.counted_begin() < window_.begin()) {
    send_all(Chosen{ballot_, window_.counted_begin(), window_.begin()}, out);
  }
  send_all(Heartbeat{ballot_, beat}, out);
  // After the accepts that were sent before: who lacks one of those slots then has lost it.
  for (const auto& [node, peer] : peers_) {
    if (node != self_) send(node, ChosenEnd{chosen_end_}, out);
  }
}

void Proposer::on_heard_message(Time now, NodeId source, const Heard& heard) {
  if (standing_ == Standing::follower || heard.ballot != ballot_ || source == self_) return;
  peers_[source].heard_at = now;
  if (!leads() || heard.beat == 0 || heard.beat > confirmation_.beat()) return;
  if (const auto at = confirmation_.started_at(heard.beat)) flow_.on_round_trip(now - *at);
}

void Proposer::on_heartbeat_ack(Time now, NodeId source, const HeartbeatAck& ack, Effects& out) {
  if (!leads() || ack.ballot != ballot_ || ack.beat > confirmation_.beat()) return;
  Peer& peer = peers_[source];
  peer.heard_at = peer.disk_at = now;
  peer.chosen_end = std::max(peer.chosen_end, ack.chosen_end);
  peer.no_space = ack.no_space;
  peer.space_told_at = now;
  if (const auto sent_at = confirmation_.started_at(ack.beat)) {
    // What it was is forgotten within a few time-outs, however often there are answers.
    const auto timeout = static_cast<double>(options_.timing.election_timeout.count());
    const auto passed = static_cast<double>((now - std::exchange(peer.delay_at, now)).count());
    const double kept = static_cast<double>(peer.delay.count()) * timeout / (timeout + passed);
    peer.delay = std::max(Duration(static_cast<Duration::rep>(kept)), now - *sent_at);
  }
  if (ack.promised != ballot_) {
    // It hears this leader but has not promised it: it cannot confirm reads until it has.
    if (now - peer.prepared_at >= options_.timing.election_timeout / 4) {
      peer.prepared_at = now;
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
  if (handing_over_ || !leads() || configuration_.members().size() == 1) return;
  handing_over_ = true;
  to_quicker_.reset();
  handing_over_since_ = now;
}

void Proposer::watch_own_disk(Time now) {
  const Duration own = peers_.at(self_).delay;
  std::vector<Duration> others;
  for (const auto& [node, peer] : peers_) {
    const bool known = now - peer.disk_at < options_.timing.election_timeout;
    if (node != self_ && known && !peer.no_space) others.push_back(peer.delay);
  }
  disk_watch_.look(now, own, others, configuration_.q2());
  if (!disk_watch_.slow(now) || handing_over_ || !recovered()) return;
  std::ranges::sort(others);
  hand_over(now);
  to_quicker_ = SlowDisk{own, others.at(configuration_.q2() - 1)};
}

void Proposer::finish_hand_over(Time now, Effects& out) {
  if (!handing_over_ || !leads()) return;
  // Everything proposed is chosen and applied here, so its callers have been answered. A leader
  // that cannot get so far (its disk is full, say) does not wait for it: its callers are told
  // unknown.
  const bool applied = !phase_one_ && chosen_end_ >= window_.next();
  const bool late = now - handing_over_since_ >= options_.timing.election_timeout;
  if (!applied && !late) return;
  if (const auto target = best_to_lead(now)) {
    if (to_quicker_) disk_watch_.done(now);
    out.slow_disk = to_quicker_;
    tell_chosen(out);
    send(*target, TakeOver{ballot_}, out);
    give_up(now, "it has handed over", out);
  } else if (late) {
    handing_over_ = false;
    if (to_quicker_) disk_watch_.put_off(now);
  }
}

std::optional<NodeId> Proposer::best_to_lead(Time now) const {
  const Duration own = peers_.at(self_).delay;
  std::optional<NodeId> target;
  for (const auto& [node, peer] : peers_) {
    // Its disk answers, too: it could lead at once.
    const Duration fresh = std::max(options_.timing.election_timeout, patience(peer));
    const bool answered = peer.space_told_at != Time{};  // In this ballot.
    if (node == self_ || !answered || now - peer.disk_at >= fresh) continue;
    if (to_quicker_ && !DiskWatch::quicker(peer.delay, own)) continue;
    if (target) {
      const Peer& best = peers_.at(*target);
      const bool better = (best.no_space && !peer.no_space) ||
                          (best.no_space == peer.no_space && peer.chosen_end > best.chosen_end);
      if (!better) continue;
    }
    target = node;
  }
  return target;
}

// --- Small things ----------------------------------------------------------------------

void Proposer::on_heard(Time now, Ballot ballot, Effects& out) {
  see_round(ballot.round);
  if (ballot < heard_) return;
  heard_ = ballot;
  heard_at_ = now;
  if (ballot.node == self_) return;
  if (standing_ != Standing::follower && ballot > ballot_) give_up(now, kHigherBallot, out);
  if (standing_ == Standing::follower) election_.on_heard(now);
}

void Proposer::on_peer_gone(Time now, NodeId node) {
  if (standing_ == Standing::follower && leader(now) == node) election_.suspect(now);
}

std::optional<NodeId> Proposer::leader(Time now) const {
  if (leads()) return self_;
  if (heard_ == Ballot{} || heard_.node == self_ || election_.suspects()) return std::nullopt;
  if (now - heard_at_ >= 2 * options_.timing.election_timeout) return std::nullopt;
  return heard_.node;
}

Proposer::Room Proposer::room(Time now) const {
  if (!leads()) return Room::unknown;
  if (with_space(now, false) >= configuration_.q2()) return Room::enough;
  std::size_t without = 0;
  for (const auto& [node, peer] : peers_) {
    const Duration fresh = std::max(options_.timing.election_timeout, patience(peer));
    if (peer.no_space && now - peer.space_told_at < fresh) ++without;
  }
  // Silence is no full disk.
  return peers_.size() - without < configuration_.q2() ? Room::none : Room::unknown;
}

bool Proposer::others_know_more(Time now) const {
  return leads() && std::ranges::any_of(peers_, [&](const auto& peer) {
           const bool fresh = now - peer.second.disk_at < options_.timing.election_timeout;
           return fresh && peer.second.chosen_end > chosen_end_;
         });
}

bool Proposer::anybody_full() const {
  return std::ranges::any_of(peers_, [](const auto& peer) { return peer.second.no_space; });
}

bool Proposer::others_have_space(Time now) const {
  return leads() && with_space(now, true) >= configuration_.q2();
}

/// An acceptor that has not been asked yet in this ballot has room.
std::size_t Proposer::with_space(Time now, bool others_only) const {
  std::size_t count = 0;
  for (const auto& [node, peer] : peers_) {
    if (others_only && node == self_) continue;
    if (!peer.no_space && answers(now, node, peer)) ++count;
  }
  return count;
}

bool Proposer::answers(Time now, NodeId node, const Peer& peer) const {
  if (node == self_) return !own_disk_stalls(now);
  return now - peer.heard_at < options_.timing.election_timeout;
}

/// The others live, and what is proposed does not get to them, whatever the reason: another one may
/// have a better way.
bool Proposer::gets_nowhere(Time now) const {
  if (window_.empty() || room(now) != Room::enough) return false;
  return now - window_.front().proposed_at >= kStuckTimeouts * options_.timing.election_timeout;
}

bool Proposer::hears_quorum(Time now) const {
  const auto heard = std::ranges::count_if(
      peers_, [&](const auto& peer) { return answers(now, peer.first, peer.second); });
  return static_cast<std::size_t>(heard) >= configuration_.q2();
}

/// It has answered nothing for longer than it usually takes, and a quorum of the others has
/// meanwhile: they do better without this leader. If all disks are slow, none does.
bool Proposer::own_disk_stalls(Time now) const {
  const Peer& own = peers_.at(self_);
  const Duration timeout = options_.timing.election_timeout;
  // What a slow disk is given at once may take as long as slots may.
  const Duration longest = std::max({timeout, kOwnPatience * own.delay, 2 * flow_.target()});
  if (now - own.disk_at < longest) return false;
  const auto ahead = std::ranges::count_if(
      peers_, [&](const auto& peer) { return peer.second.disk_at - own.disk_at >= timeout / 2; });
  return static_cast<std::size_t>(ahead) >= configuration_.q2();
}

void Proposer::see_round(std::uint64_t round) { round_seen_ = std::max(round_seen_, round); }

void Proposer::send(NodeId to, Body body, Effects& out) const {
  out.sends.push_back({to, {configuration_.epoch(), std::move(body)}});
}

void Proposer::send_all(const Body& body, Effects& out) const {
  for (NodeId node : configuration_.members()) send(node, body, out);
}

}  // namespace stele::paxos
