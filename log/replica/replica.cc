#include "log/replica/replica.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr std::size_t kReadsMax = 65536;
constexpr std::size_t kFaultySlotsMax = 1024;
/// So many election time-outs a leader waits for others to repair its record.
constexpr int kRepairTimeouts = 4;
/// Between hand-overs for one record the wait doubles, so often at most: nobody may be able to
/// repair it.
constexpr int kHandOversMax = 6;
constexpr Duration kMeasureSpaceEvery = std::chrono::seconds(1);

paxos::Proposer make_proposer(const Replica::Options& options,
                              const paxos::Acceptor::State& acceptor, Time now) {
  return {options.self,      options.configuration, options.proposer,
          acceptor.promised, acceptor.chosen_end,   now};
}

/// The proposer lets less wait for the disk than the own acceptor takes (AcceptorActor::handle).
ProposerActor::Limits limits(const Replica::Options& options, const Store& store) {
  ProposerActor::Limits limits = options.limits;
  const std::size_t kept = store.space().kept_bytes_max;
  if (kept != 0) limits.backlog_bytes_max = std::min(limits.backlog_bytes_max, kept / 3 * 2);
  return limits;
}

/// Of so many members each q1 and each q2 quorum has one.
std::size_t in_each_quorum(const paxos::Configuration& configuration) {
  const std::size_t most = std::max(configuration.q1(), configuration.q2());
  return configuration.members().size() - most + 1;
}

std::vector<NodeId> others(const Replica::Options& options) {
  std::vector<NodeId> nodes = options.configuration.members();
  std::erase(nodes, options.self);
  return nodes;
}

}  // namespace

Replica::Replica(Options options, net::Loop& loop, Store& store, net::Transport& transport,
                 Events& events, const paxos::Acceptor::State& acceptor, LogState state,
                 ReplicaListener& listener)
    : options_(std::move(options)),
      loop_(loop),
      store_(store),
      transport_(transport),
      events_(events),
      listener_(listener),
      acceptor_(options_.self, loop, store, paxos::Acceptor(options_.configuration, acceptor),
                options_.configuration.epoch(), options_.piece_bytes_max,
                options_.unapplied_bytes_max, *this),
      learner_(loop, store,
               paxos::Learner(
                   options_.self, options_.configuration, acceptor.chosen_end,
                   {options_.proposer.timing.election_timeout, options_.fetch_bytes_per_second}),
               std::move(state), options_.sections, options_.configuration.epoch(),
               options_.piece_bytes_max, *this),
      proposer_(loop, make_proposer(options_, acceptor, loop.now()), limits(options_, store),
                *this),
      upkeep_(store, events,
              {others(options_), in_each_quorum(options_.configuration), options_.snapshots,
               options_.keep_for_members_bytes},
              [this](CommandKind kind, Slice command) {
                static_cast<void>(submit(kind, std::move(command)));
              }),
      catching_up_(
          {others(options_), options_.configuration.epoch(),
           2 * options_.proposer.timing.election_timeout, options_.fetch_bytes_per_second},
          store, events, [this](paxos::Send message) { send(std::move(message)); },
          [this](Slot slot) { learner_.install(slot); }) {
  if (acceptor.promise_faulty) {
    events_.event(EventLevel::error, "promise_faulty", {{"reason", fault()}});
  }
  let_loop_commit();
  check_space();
  tick();
}

void Replica::on_voted(const paxos::SlotRecord& record) {
  faulty_slots_.erase(record.slot);  // A new vote overwrites and repairs it.
  learner_.on_voted(record);
}

void Replica::on_far_ahead(bool far) {
  events_.event(far ? EventLevel::warning : EventLevel::info,
                far ? "votes_wait_for_applying" : "votes_go_on",
                {{"chosen_end", state().numbers().chosen_end.value},
                 {"unapplied_bytes_max", options_.unapplied_bytes_max}});
}

void Replica::on_cannot_go_on(const Error& error) {
  ended_ = true;
  set_takes(Takes::no_part);
  STELE_CHECK(options_.on_failure != nullptr, error.detail);
  options_.on_failure(error);
}

void Replica::on_fetch_failed(bool gone) {
  // Without those who are ahead: only if nobody has a snapshot above it either.
  if (gone && !catching_up_.found_none()) {
    return catching_up_.want_snapshot(loop_.now(), state().numbers().chosen_end);
  }
  events_.event(EventLevel::warning, "chosen_slot_unserved",
                {{"slot", state().numbers().chosen_end.value}});
  proposer_.on_fetch_failed();
}

void Replica::on_installed(Slot chosen_end) {
  events_.event(EventLevel::info, "snapshot_installed", {{"slot", chosen_end.value}});
  catching_up_.on_installed();
  on_chosen_end(chosen_end);
}

void Replica::read(Lsn lsn_begin, Lsn lsn_end, std::size_t bytes_max,
                   std::function<void(EntriesRead)> done) {
  if (!catching_up_.is_elsewhere(lsn_begin)) {
    return learner_.read(lsn_begin, lsn_end, bytes_max, std::move(done));
  }
  catching_up_.read(loop_.now(), state().numbers().chosen_end, lsn_begin, lsn_end, bytes_max,
                    std::move(done));
}

void Replica::on_began(Ballot ballot) {
  let_loop_commit();
  events_.event(
      EventLevel::info, "leader_began",
      {{"ballot", std::to_string(ballot.round) + "." + std::to_string(ballot.node.value)}});
}

void Replica::on_stopped(std::string_view why) {
  let_loop_commit();
  events_.event(EventLevel::info, "leader_stopped", {{"reason", std::string(why)}});
  for (auto& [barrier, done] : std::exchange(confirmed_reads_, {})) done(false);
  listener_.on_stopped();
}

void Replica::on_read_ready(std::uint64_t read, Slot barrier) {
  auto found = unconfirmed_reads_.extract(read);
  if (found.empty()) return;
  confirmed_reads_.emplace(barrier, std::move(found.mapped()));
  release_reads();
}

void Replica::on_read_refused(std::uint64_t read) {
  auto found = unconfirmed_reads_.extract(read);
  if (!found.empty()) found.mapped()(false);
}

void Replica::send(paxos::Send message) {
  const bool answers = std::holds_alternative<paxos::Fetched>(message.message.body);
  if (halted() && !(answers && takes_ == Takes::questions)) return;
  message.message.commits = store_.commits();
  if (options_.observer != nullptr) options_.observer->on_send(message);
  if (message.to == options_.self) {
    deliver(options_.self, std::move(message.message));
  } else {
    transport_.send(message.to, message.message);
  }
}

void Replica::deliver(NodeId from, paxos::Message message) {
  const bool asks = std::holds_alternative<paxos::Fetch>(message.body);
  if (halted() && !(asks && takes_ == Takes::questions)) return;
  // How far others are is of use to the learner, too, whatever else they say: a node that does not
  // hear the leader learns from the others.
  if (std::holds_alternative<paxos::Heartbeat>(message.body)) led_at_ = loop_.now();
  const bool is_hint = std::holds_alternative<paxos::Heartbeat>(message.body) ||
                       std::holds_alternative<paxos::HeartbeatAck>(message.body);
  if (is_hint && from != options_.self) learner_.tell({from, message});
  if (const auto* promise = std::get_if<paxos::Promise>(&message.body)) {
    hear_of(from, promise->chosen_end);
  } else if (const auto* vote = std::get_if<paxos::PreVote>(&message.body)) {
    hear_of(from, vote->chosen_end);
  } else if (const auto* answer = std::get_if<paxos::PreVoteAnswer>(&message.body)) {
    hear_of(from, answer->chosen_end);
  }

  if (catching_up_.deliver(loop_.now(), from, message.body)) return;
  switch (paxos::role_of(message.body)) {
    case paxos::Role::acceptor: acceptor_.tell({from, std::move(message)}); return;
    case paxos::Role::proposer: proposer_.tell({from, std::move(message)}); return;
    case paxos::Role::learner: learner_.tell({from, std::move(message)}); return;
  }
}

/// What others know overtakes the accepts that are on their way, which would be fetched as well: a
/// node that hears the leader hears after them what is chosen.
void Replica::hear_of(NodeId node, Slot chosen_end) {
  const Duration recent = 2 * options_.proposer.timing.election_timeout;
  const bool hears = led_at_ && loop_.now() - *led_at_ < recent;
  if (node == options_.self || halted() || hears) return;
  learner_.tell({node, {options_.configuration.epoch(), paxos::ChosenEnd{chosen_end}}});
}

Outcome Replica::submit(CommandKind kind, Slice command) {
  if (!proposer_.role().leads()) return Outcome::not_leader;
  using Room = paxos::Proposer::Room;
  const paxos::Proposer& proposer = proposer_.role();
  // What makes room is taken on full disks, too, as far as there is some kept for it.
  const bool needs_room = !is_upkeep(kind);
  const Room room = needs_room ? proposer.room(loop_.now()) : proposer.room_for_upkeep(loop_.now());
  if (room == Room::none) return Outcome::no_space;
  // Another node takes over, or comes back, in a moment.
  if (room == Room::unknown || (space_low_ && needs_room)) return Outcome::overloaded;
  return proposer_.submit(kind, std::move(command));
}

void Replica::read_barrier(std::function<void(bool)> done) {
  const std::size_t waiting = unconfirmed_reads_.size() + confirmed_reads_.size();
  if (!proposer_.role().leads() || waiting >= kReadsMax) return done(false);
  const std::uint64_t id = ++reads_;
  unconfirmed_reads_.emplace(id, std::move(done));
  proposer_.read(id);
}

void Replica::on_chosen_end(Slot chosen_end) {
  acceptor_.on_chosen_end(chosen_end);
  proposer_.on_chosen_end(chosen_end);
  release_reads();
  listener_.on_turn_end();
}

void Replica::release_reads() {
  while (!confirmed_reads_.empty() &&
         confirmed_reads_.begin()->first <= state().numbers().chosen_end) {
    auto first = confirmed_reads_.extract(confirmed_reads_.begin());
    first.mapped()(true);
  }
}

/// While the loop commits, this node says nothing. So the loop does not commit while this node
/// leads, or another one is away: then others wait for this one.
void Replica::let_loop_commit() {
  store_.let_loop_commit(!proposer_.role().leads() && all_connected_);
}

bool Replica::reads_votes_back() {
  const bool lags = acceptor_.unapplied().bytes() > paxos::Learner::kVotesBytesMax;
  if (!lags || (reads_back_until_ != Slot{} && state().numbers().chosen_end >= reads_back_until_)) {
    reads_back_until_ = {};
    return false;
  }
  if (reads_back_until_ == Slot{}) reads_back_until_ = acceptor_.unapplied().end();
  return true;
}

void Replica::set_all_connected(bool all) {
  if (std::exchange(all_connected_, all) != all) let_loop_commit();
}

void Replica::tick() {
  timer_ = loop_.after(options_.proposer.timing.heartbeat / 4, [this] { tick(); });
  check_space();
  check_faulty_slots();
  check_lag();
  proposer_.tick();
  learner_.tick();
  do_upkeep();
}

void Replica::do_upkeep() {
  if (ended_ || halted()) return;
  const bool leads = proposer_.role().leads() && caught_up();
  upkeep_.tick(loop_.now(), state(),
               {leads, space_low_, !copying(), catching_up_.fetched(loop_.now())});
  catching_up_.set_offered(upkeep_.offered());
  proposer_.set_lacks_slots(catching_up_.fetches_snapshot() || learner_.installing());
  catching_up_.tick(
      loop_.now(), state().numbers(),
      learner_.space_full() || store_.backlog_bytes() > LearnerActor::kBacklogBytesMax, leader());
  const Slot first = store_.holding().first_slot;
  faulty_slots_.erase(faulty_slots_.begin(), faulty_slots_.lower_bound(first));
}

void Replica::check_space() {
  if (loop_.now() - space_measured_at_ >= kMeasureSpaceEvery) {
    space_measured_at_ = loop_.now();
    store_.measure_space();
  }
  // Two steps: at the first the leader takes no more appends, so that what is in flight still fits
  // above the second, where batches are refused and nothing is fetched.
  const std::uint64_t free_bytes = store_.space().free_bytes;
  const bool low = free_bytes < options_.reserve_bytes;
  const bool full = free_bytes < options_.reserve_bytes / 2;
  if (low != space_low_) {
    space_low_ = low;
    events_.event(
        low ? EventLevel::error : EventLevel::info, low ? "space_low" : "space_back",
        {{"free_bytes", store_.space().free_bytes}, {"reserve_bytes", options_.reserve_bytes}});
  }
  acceptor_.set_space(low, full);
  // What phase 1 has found may be all that a new leader lacks: half of what is kept is for that, or
  // what is free but for a part of the reserve. What makes room, of which there is little, may take
  // half of the rest. What was taken since is known by the next measure.
  const Space space = store_.space();
  if (space.measured != space_seen_ || space.measured == 0) {
    space_seen_ = space.measured;
    const std::uint64_t left =
        space.kept_bytes_max != 0 ? space.kept_bytes_max / 2 : options_.reserve_bytes / 4;
    const std::uint64_t there =
        std::min(space.free_bytes, options_.reserve_bytes) + space.kept_bytes;
    const auto above = [&](std::uint64_t kept) {
      const std::uint64_t gone = kept + store_.backlog_bytes();
      return there > gone ? there - gone : 0;
    };
    acceptor_.set_space_kept({above(left), above(left / 2)});
  }
  learner_.set_space_full(full);
  proposer_.set_space_low(low);
  const paxos::Proposer& proposer = proposer_.role();
  // On a full disk nothing is fetched: a node that lacks slots then could serve nothing.
  const bool stuck = full && proposer.others_know_more(loop_.now());
  if (stuck || (low && proposer.leads() && proposer.others_have_space(loop_.now()))) hand_over();
}

void Replica::on_faulty_slot(Slot slot) {
  acceptor_.on_faulty(slot);
  if (faulty_slots_.empty()) {
    faulty_since_ = loop_.now();
    hand_overs_ = 0;
  }
  if (faulty_slots_.size() >= kFaultySlotsMax || !faulty_slots_.insert(slot).second) return;
  events_.event(EventLevel::error, "slot_faulty", {{"slot", slot.value}, {"reason", fault()}});
}

/// A chosen record that nobody else can serve either: the others know of no chosen value there, but
/// hold votes. As long as this node leads, they stay votes; the next leader proposes them again.
void Replica::check_faulty_slots() {
  if (faulty_slots_.empty() || *faulty_slots_.begin() >= state().numbers().chosen_end) return;
  const Duration patience =
      kRepairTimeouts * options_.proposer.timing.election_timeout * (1 << hand_overs_);
  if (loop_.now() - faulty_since_ < patience) return;
  faulty_since_ = loop_.now();
  learner_.repair(*faulty_slots_.begin());
  if (!proposer_.role().leads()) return;
  hand_overs_ = std::min(hand_overs_ + 1, kHandOversMax);
  events_.event(EventLevel::warning, "hands_over",
                {{"reason", "nobody repairs the record of slot " +
                                std::to_string(faulty_slots_.begin()->value)}});
  hand_over();
}

void Replica::on_slow_disk(paxos::Proposer::SlowDisk disk) {
  const auto ms = [](Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  };
  slow_disk_ = "the disk answered " + std::to_string(ms(disk.own)) +
               " ms late, those of enough others at most " + std::to_string(ms(disk.others)) +
               " ms";
  events_.event(EventLevel::warning, "hands_over_slow_disk", {{"reason", slow_disk_}});
}

void Replica::on_repaired_slot(Slot slot) {
  if (faulty_slots_.erase(slot) == 0) return;
  events_.event(EventLevel::warning, "slot_repaired", {{"slot", slot.value}});
}

std::optional<NodeId> Replica::leader() const { return proposer_.role().leader(loop_.now()); }

bool Replica::caught_up() const {
  const auto recovered = proposer_.role().recovered_slot();
  return recovered && state().numbers().chosen_end >= *recovered;
}

}  // namespace stele::log
