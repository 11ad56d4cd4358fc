#include "log/node/group.h"

#include <algorithm>
#include <utility>

#include <stele/version.h>
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(10);
constexpr Duration kWaitingToldEvery = std::chrono::seconds(5);
/// A refusal that comes again so often is told.
constexpr int kRefusalsTold = 5;
constexpr std::size_t kFaultBytesMax = 1000;

Result<paxos::Configuration> configuration_of(const Group::Options& options) {
  std::vector<NodeId> nodes;
  for (const auto& [node, address] : options.cluster) nodes.push_back(node);
  return paxos::Configuration::make(nodes, options.q1, options.q2);
}

}  // namespace

Result<Group::Origin> Group::origin(const Options& options, const Store& store, net::Loop& loop) {
  const auto configuration = configuration_of(options);
  if (!configuration) return forward(configuration);
  if (!configuration->contains(options.self)) {
    return fail(Errc::invalid_argument, "this node's own id " + std::to_string(options.self.value) +
                                            " is not in the cluster");
  }
  // Before birth a node may be told another id, or another cluster: it has voted for nothing. If
  // others were born with it meanwhile, it is refused like a directory that was emptied.
  const auto& known = store.identity();
  const bool fresh =
      !known || (known->members.empty() &&
                 (known->node != options.self || known->cluster_name != options.cluster_name));
  Identity identity;
  if (fresh) {
    identity.cluster_name = options.cluster_name;
    identity.node = options.self;
    identity.incarnation = loop.random() | 1;
  } else {
    identity = *known;
  }
  auto membership = Membership::make(identity, options.cluster_name, options.self, *configuration);
  if (!membership) return forward(membership);
  // What another id has heard is not this one's.
  Lineage lineage(options.self, fresh ? History{} : store.history(), loop.random(),
                  store.commits_found());
  return Origin{*std::move(membership), std::move(lineage), fresh};
}

Group::Group(Options options, const Surroundings& surroundings, Links& links,
             std::unique_ptr<Store> store, Origin origin)
    : options_(std::move(options)),
      surroundings_(surroundings),
      loop_(surroundings_.loop),
      events_(surroundings_.events),
      links_(links),
      store_(std::move(store)),
      membership_(std::move(origin.membership)),
      soundness_(options_.self, options_.cluster.size(), std::move(origin.lineage), *store_, loop_,
                 events_),
      service_({.entry_bytes_max = options_.entry_bytes_max,
                .connections_max = options_.clients_max,
                .answer_bytes_max = options_.answer_bytes_max},
               loop_, events_, *this),
      started_at_(loop_.now()),
      waiting_told_at_(loop_.now()) {
  if (!origin.fresh) return;
  if (store_->identity()) store_->write_history({}, nullptr);
  store_->write_identity(membership_.identity(), nullptr);
}

Group::~Group() = default;

// --- Birth and start -----------------------------------------------------------------------

Result<void> Group::start() {
  if (membership_.born()) {
    if (const auto started = start_replica(); !started) return forward(started);
  }
  // Nobody may hear of an incarnation, or of a start, that a crash could take back.
  soundness_.keep([this] { begin(); });
  return {};
}

void Group::begin() {
  links_.begin(*this);
  be_born();  // A cluster of one has nobody to wait for.
  tick();
}

void Group::be_born() {
  if (!membership_.take_birth()) return;
  // What spoke before under a member's id, from another directory, speaks no more.
  links_.drop_strangers(membership_.identity().members);
  events_.event(EventLevel::info, "cluster_born",
                {{"cluster_id", to_hex(membership_.identity().cluster_id)},
                 {"nodes", membership_.identity().members.size()}});
  service_.on_born();

  for (const auto& [from, report] : std::exchange(reports_before_birth_, {})) {
    on_report(from, report);
  }
  // It votes only once the list is durable: until then a crash would make it unborn again. What was
  // heard of others becomes durable with the list.
  store_->write_identity(membership_.identity(), nullptr);
  soundness_.keep_all_heard([this] {
    const auto started = start_replica();
    STELE_CHECK(started.has_value(), started.error().detail);
  });
}

/// Starts the replica with what the store holds. Errors: corrupt.
Result<void> Group::start_replica() {
  STELE_CHECK(replica_ == nullptr && membership_.born());
  const auto content = store_->load();
  if (!content) return forward(content);
  auto state = LogState::load(options_.sections, content->numbers, content->rows);
  if (!state) return forward(state);
  Replica::Options options{
      .self = options_.self,
      .configuration = *configuration_of(options_),
      .proposer = {.timing = options_.timing,
                   .seed = loop_.random(),
                   .window = options_.window,
                   // What is in flight when the disk runs low must still fit into the reserve.
                   .in_flight_bytes_max = std::min<std::size_t>(options_.in_flight_bytes_max,
                                                                options_.disk_reserve_bytes / 8)},
      .limits = options_.limits,
      .reserve_bytes = options_.disk_reserve_bytes,
      .piece_bytes_max = options_.piece_bytes_max,
      .fetch_bytes_per_second = options_.fetch_bytes_per_second,
      .snapshots = options_.snapshots,
      .keep_for_members_bytes = options_.keep_for_members_bytes,
      .unapplied_bytes_max = options_.unapplied_bytes_max,
      .sections = options_.sections,
      .on_failure = surroundings_.on_failure,
      .observer = options_.observer,
  };
  events_.event(EventLevel::info, "replica_started",
                {{"chosen_end", content->numbers.chosen_end.value},
                 {"next_lsn", content->numbers.next_lsn.value},
                 {"sessions", state->sessions().size()}});
  replica_ = std::make_unique<Replica>(std::move(options), loop_, *store_, links_.peers(), events_,
                                       content->acceptor, *std::move(state), service_);
  service_.attach(replica_.get());
  soundness_.remember_dispute();
  check_state();
  return {};
}

// --- What comes over the links -------------------------------------------------------------

net::Hello Group::hello() const {
  net::Hello hello = membership_.hello();
  hello.starts = soundness_.history().starts;
  hello.recent_starts = soundness_.history().recent;
  hello.entry_bytes_max = options_.entry_bytes_max;
  hello.software = std::string("stele ") + kVersion;
  return hello;
}

Result<bool> Group::admit(const net::Hello& hello) {
  const auto member = membership_.admit(hello);
  Result<bool> admitted =
      member ? soundness_.admit(hello, membership_.born()) : Result<bool>(forward(member));
  Refusal& refusal = refusals_[hello.node];
  if (admitted) {
    refusal = {};
    be_born();
    return admitted;
  }
  const bool again = refusal.reason == admitted.error().detail;
  refusal = {admitted.error().detail, again ? refusal.times + 1 : 1};
  // A process that was killed may be heard after the next one; it does not come again.
  if (refusal.times == (member ? kRefusalsTold : 1))
    events_.event(EventLevel::error, "peer_refused", {{"reason", refusal.reason}});
  return admitted;
}

void Group::on_message(NodeId from, std::uint64_t start_id, paxos::Message&& message) {
  soundness_.told(from, start_id, message.commits);
  if (replica_) replica_->deliver(from, std::move(message));
}

void Group::on_report(NodeId from, const net::Report& report) {
  if (!membership_.born()) {
    reports_before_birth_[from] = report;
    return;
  }
  std::vector<Sighting> sightings = report.sightings;
  std::erase_if(sightings,
                [this](const Sighting& seen) { return !options_.cluster.contains(seen.node); });
  if (soundness_.merge(from, sightings)) {
    links_.check_all();
    soundness_.keep_all_heard([] {});
  }
  if (!replica_) return;
  soundness_.compare(from, report.points, replica_->trail());
  check_state();
  // A node that takes no part serves nothing.
  if (!report.points.empty() && !soundness_.is_outvoted(from)) {
    replica_->hear_of(from, report.points.front().chosen_end);
    replica_->on_durable_end(from, report.durable_end);
  } else {
    replica_->on_durable_end(from, {});
  }
}

void Group::on_told(const net::Report& report) {
  if (membership_.born() && soundness_.hear_of_self(report)) check_state();
}

void Group::on_connected(NodeId node) {
  if (replica_) replica_->on_peer_connected(node);
  report();
}

void Group::on_gone(NodeId node) {
  if (replica_) replica_->on_peer_gone(node);
}

void Group::report() {
  if (!membership_.born()) return;
  reported_at_ = loop_.now();
  net::Report report = soundness_.report(replica_ ? &replica_->trail() : nullptr);
  // A node that copies lacks slots, though it has a snapshot above them.
  const bool whole = replica_ && !replica_->copying();
  if (whole) report.durable_end = store_->readable().chosen_end;
  links_.peers().send_report(report);
}

/// Stops what this node says and serves while it may be wrong.
void Group::check_state() {
  if (!replica_) return;
  const Soundness::Judgement judgement = soundness_.judge(replica_->trail());
  replica_->set_takes(judgement.takes);
  if (judgement.news) report();
}

// --- Now and then --------------------------------------------------------------------------

void Group::tick() {
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  const Time now = loop_.now();
  const bool all_connected = links_.reaches_all();
  if (replica_) replica_->set_all_connected(all_connected);
  // A node that has been away asks the followers first; one that lags asks its own disk.
  const bool asked = replica_ && !replica_->proposer().leads() && !all_connected;
  store_->keep_cached(asked || (replica_ && replica_->reads_votes_back()));
  check_state();
  if (now - reported_at_ >= kReportEvery) report();
  if (now - kept_at_ >= kReportEvery) {
    kept_at_ = now;
    soundness_.keep_changes();
  }
  if (replica_) {
    tell_leader();
  } else {
    tell_waiting();
  }
  if (stopped_) check_stopped();
}

void Group::tell_waiting() {
  const Time now = loop_.now();
  if (now - waiting_told_at_ < kWaitingToldEvery || membership_.born()) return;
  waiting_told_at_ = now;
  events_.event(EventLevel::info, "unborn", {{"reason", status().fault}});
}

void Group::tell_leader() {
  const auto leader = replica_->leader();
  if (!leader || *leader == leader_told_) return;
  leader_told_ = *leader;
  events_.event(EventLevel::info, "leader_known", {{"leader", leader->value}});
  if (std::exchange(ready_told_, true)) return;
  events_.event(EventLevel::info, "ready",
                {{"node", options_.self.value}, {"address", address_of(options_.self)}});
}

void Group::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  stop_by_ = loop_.now() + kStopWithin;
  service_.shut_down();
  soundness_.keep_changes();
  if (replica_) replica_->hand_over();
  tick();
}

void Group::check_stopped() {
  if (replica_) replica_->hand_over();
  const bool leads = replica_ && replica_->proposer().leads() && options_.cluster.size() > 1;
  if ((!service_.idle() || leads) && loop_.now() < stop_by_) return;
  timer_.reset();
  std::exchange(stopped_, nullptr)();
}

// --- Status --------------------------------------------------------------------------------

std::string Group::address_of(NodeId node) const {
  const auto found = options_.cluster.find(node);
  return found == options_.cluster.end() ? std::string() : to_string(found->second);
}

std::string Group::leader_address() const {
  if (!replica_ || !halted().empty()) return {};
  const auto leader = replica_->leader();
  return leader ? address_of(*leader) : std::string();
}

NodeReport Group::status() const {
  NodeReport report;
  report.cluster_id = membership_.identity().cluster_id;
  report.cluster_name = options_.cluster_name;
  report.node = options_.self;
  report.role = "unborn";
  report.chosen_end = {1};
  report.first_lsn = {1};
  report.disk_bytes = store_->space().used_bytes;
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(loop_.now() - started_at_);
  report.uptime_s = static_cast<std::uint64_t>(uptime.count());
  report.version = kVersion;
  for (const auto& [node, address] : options_.cluster) {
    report.members.push_back({node, to_string(address)});
  }
  report.fault = replica_ ? fault() : fault_before_birth();
  report.fault.resize(std::min(report.fault.size(), kFaultBytesMax));
  if (replica_) report_replica(report);
  return report;
}

void Group::report_replica(NodeReport& report) const {
  const paxos::Proposer& proposer = replica_->proposer();
  using Standing = paxos::Proposer::Standing;
  report.role = !halted().empty()                           ? soundness_.role()
                : proposer.leads()                          ? "leader"
                : proposer.standing() == Standing::follower ? "follower"
                                                            : "candidate";
  const StateNumbers& numbers = replica_->state().numbers();
  report.ballot = replica_->acceptor().promised();
  report.leader = replica_->leader().value_or(NodeId{});
  report.chosen_end = numbers.chosen_end;
  report.applied_lsn = {numbers.next_lsn.value - 1};
  report.first_lsn = numbers.first_lsn;
  report.state_hash = numbers.hash;
  report.retained_bytes = replica_->retained_bytes();
  if (const auto newest = store_->snapshots().newest()) {
    report.snapshot_slot = newest->slot;
    report.snapshot_digest = newest->digest;
    report.snapshot_bytes = newest->bytes;
    const std::uint64_t now_us = loop_.wall_us();
    report.snapshot_age_s = (now_us - std::min(now_us, newest->taken_at_us)) / 1'000'000;
  }
}

std::string Group::fault_before_birth() const {
  std::string fault = "not born yet: waits to hear from";
  for (NodeId node : membership_.missing()) fault += " node " + std::to_string(node.value);
  fault += links_.unreached();
  // Why, if one of them has said so, or this node of them.
  fault += links_.refusals();
  for (const auto& [node, refusal] : refusals_) {
    if (!refusal.reason.empty()) fault += "; " + refusal.reason;
  }
  return fault;
}

std::string Group::fault() const {
  constexpr std::string_view kBetween = "; ";
  std::string fault = halted().empty() ? replica_->fault() : halted();
  // A node that refuses this one may itself be at fault.
  const std::string others = (links_.is_refused() ? links_.refusals() : "") + links_.unreached();
  if (!others.empty()) fault += fault.empty() ? others.substr(kBetween.size()) : others;
  return fault;
}

}  // namespace stele::log
