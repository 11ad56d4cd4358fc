#include "log/node/group.h"

#include <algorithm>
#include <utility>

#include <stele/version.h>
#include "net/wire/frame.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(10);
constexpr Duration kWaitingToldEvery = std::chrono::seconds(5);
constexpr Duration kRefusalToldEvery = std::chrono::seconds(1);
/// Who cannot be reached for so long is named.
constexpr Duration kUnreachedTold = std::chrono::seconds(2);

Result<paxos::Configuration> configuration_of(const Node::Options& options) {
  std::vector<NodeId> nodes;
  for (const auto& [node, address] : options.cluster) nodes.push_back(node);
  return paxos::Configuration::make(nodes, options.q1, options.q2);
}

std::string software() { return std::string("stele ") + kVersion; }

}  // namespace

/// A connection that came in: at first unknown; a client's goes on to the service, a peer's stays.
class Node::Inbound final : public net::LinkHandler {
 public:
  Inbound(Node& node, std::uint64_t id, std::unique_ptr<net::Link> link)
      : node_(node), id_(id), link_(std::move(link)) {
    deadline_ = node.loop_.after(kHelloWithin, [this] {
      link_.reset();
      node_.drop(*this);
    });
    link_->start(*this);
  }

  void on_message(net::Message message) override {
    if (peer_ != NodeId{}) return on_peer_message(message);
    const auto* hello = std::get_if<net::Hello>(&message);
    if (hello == nullptr || greeted_)
      return refuse("the first message must be a hello, and no other");
    greeted_ = true;
    if (hello->kind == net::Hello::Kind::client) {
      on_client(*hello);
    } else {
      on_peer(*hello);
    }
  }

  void on_closed(const std::string& reason) override {
    // A connection that ends before it has said who it is may be anybody's; bytes that are none of
    // Stele's are worth a line.
    if (peer_ == NodeId{} && reason != net::kClosedByPeer)
      node_.tell_refused(link_->peer_name(), reason);
    node_.drop(*this);
  }

  /// The other side's start is known for good.
  void go_on() {
    deadline_.reset();
    peer_ = hello_.node;
    heard_at_ = node_.loop_.now();
    check();  // Another start of it may have been heard meanwhile.
    if (peer_ == NodeId{}) return;
    link_->expect(net::Speaker::node, net::kFrameBytesMax);
    link_->leave_receive_bound();
    link_->send(node_.hello());
    node_.peers_.heard_from(peer_);
  }
  /// What a node says that must not be listened to any more.
  void check() {
    if (peer_ == NodeId{}) return;
    if (const auto still = node_.lineage_.check(peer_, start_id()); !still) {
      peer_ = {};
      refuse(still.error().detail);
    }
  }

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool is_silent() const { return !greeted_; }
  [[nodiscard]] bool speaks_as(NodeId node) const {
    return peer_ == node && node_.loop_.now() - heard_at_ < kUnreachedTold;
  }
  void refuse_silent() { turn_away("overloaded: too many connections say nothing"); }
  [[nodiscard]] bool is_stranger_to(const std::vector<Member>& members) const {
    const Member self{peer_, hello_.incarnation};
    return peer_ != NodeId{} && std::find(members.begin(), members.end(), self) == members.end();
  }

 private:
  void on_client(const net::Hello& hello) {
    if (hello.protocol_version != net::kProtocolVersion) {
      return refuse("this node speaks protocol version " + std::to_string(net::kProtocolVersion) +
                    ", the client version " + std::to_string(hello.protocol_version));
    }
    if (!hello.cluster_name.empty() && hello.cluster_name != node_.options_.cluster_name) {
      return refuse("this node belongs to the cluster '" + node_.options_.cluster_name + "'");
    }
    deadline_.reset();
    net::Hello answer = node_.hello();
    answer.incarnation = answer.starts = 0;  // Only for those who prove to be members.
    answer.members.clear();
    answer.configured.clear();
    answer.recent_starts.clear();
    link_->send(answer);
    node_.service_.add(std::move(link_));
    node_.drop(*this);
  }

  void on_peer(const net::Hello& hello) {
    const auto admitted = node_.admit(hello);
    if (!admitted) {
      // A copy that was put back shall know it, whichever node it may reach.
      const auto seen = node_.lineage_.seen(hello.node);
      if (admitted.error().code == Errc::foreign_directory && seen) {
        link_->send(net::Report{{*seen}, {}});
      }
      return turn_away(admitted.error().detail);  // The log has it by now.
    }
    hello_ = hello;
    if (!*admitted) return go_on();
    // Nothing it says may count before a crash of this node cannot forget that it was heard.
    node_.keep_history([&node = node_, id = id_, from = hello.node, start = start_id()] {
      node.lineage_.on_kept(from, start);
      const auto found = node.inbound_.find(id);
      if (found != node.inbound_.end()) found->second->go_on();
    });
  }

  void on_peer_message(net::Message& message) {
    heard_at_ = node_.loop_.now();
    if (const auto* report = std::get_if<net::Report>(&message)) {
      node_.peers_.heard_from(peer_);  // The own first try may have been too early to be answered.
      return node_.on_report(peer_, *report);
    }
    auto* paxos_message = std::get_if<paxos::Message>(&message);
    if (paxos_message == nullptr) return;
    check();
    if (peer_ == NodeId{}) return;
    node_.lineage_.told(peer_, start_id(), paxos_message->commits);
    if (node_.replica_) node_.replica_->deliver(peer_, std::move(*paxos_message));
  }

  void refuse(const std::string& reason) {
    node_.tell_refused(link_->peer_name(), reason);
    turn_away(reason);
  }

  void turn_away(const std::string& reason) {
    link_->send(net::Refused{reason});
    link_->close_gently();
    node_.drop(*this);
  }

  Node& node_;
  std::uint64_t id_;
  std::unique_ptr<net::Link> link_;
  std::unique_ptr<net::Timer> deadline_;
  [[nodiscard]] std::uint64_t start_id() const { return hello_.recent_starts.at(0).id; }

  bool greeted_ = false;
  Time heard_at_{};
  net::Hello hello_;
  NodeId peer_;  // Known, and listened to.
};

Result<std::unique_ptr<Node>> Node::make(Options options, net::Loop& loop, net::Dialer& dialer,
                                         Events& events, std::unique_ptr<Store> store) {
  const auto configuration = configuration_of(options);
  if (!configuration) return forward(configuration);
  if (!configuration->contains(options.self)) {
    return fail(Errc::invalid_argument, "this node's own id " + std::to_string(options.self.value) +
                                            " is not in the cluster");
  }
  Identity identity;
  const auto& known = store->identity();
  // Before birth a node may be told another id, or another cluster: it has voted for nothing. If
  // others were born with it meanwhile, it is refused like a directory that was emptied.
  const bool other = known && known->members.empty() &&
                     (known->node != options.self || known->cluster_name != options.cluster_name);
  const bool fresh = !known || other;
  if (fresh) {
    identity.cluster_name = options.cluster_name;
    identity.node = options.self;
    identity.incarnation = loop.random() | 1;
  } else {
    identity = *known;
  }
  auto membership = Membership::make(identity, options.cluster_name, options.self, *configuration);
  if (!membership) return forward(membership);
  Lineage lineage(options.self, fresh ? History{} : store->history(), loop.random(),
                  store->commits_found());

  auto node =
      std::unique_ptr<Node>(new Node(std::move(options), loop, dialer, events, std::move(store),
                                     *std::move(membership), std::move(lineage)));
  if (other) node->store_->write_history({}, nullptr);  // What another id has heard is not its own.
  if (fresh) node->store_->write_identity(identity, nullptr);
  if (node->membership_.born()) {
    if (const auto started = node->start_replica(); !started) return forward(started);
  }
  // Nobody may hear of an incarnation, or of a start, that a crash could take back.
  node->keep_history([self = node.get()] { self->begin(); });
  return node;
}

Node::Node(Options options, net::Loop& loop, net::Dialer& dialer, Events& events,
           std::unique_ptr<Store> store, Membership membership, Lineage lineage)
    : options_(std::move(options)),
      loop_(loop),
      events_(events),
      store_(std::move(store)),
      membership_(std::move(membership)),
      lineage_(std::move(lineage)),
      comparison_(options_.self, options_.cluster.size()),
      service_({.entry_bytes_max = options_.entry_bytes_max,
                .connections_max = options_.clients_max,
                .answer_bytes_max = options_.answer_bytes_max},
               loop, events, {[this] { return leader_address(); }, [this] { return status(); }}),
      peers_(loop, dialer, events,
             {[this] { return hello(); },
              [this](const net::Hello& other) -> Result<void> {
                // Nothing comes in over a connection that this node has opened.
                if (const auto admitted = admit(other); !admitted) {
                  return forward(admitted);
                }
                return {};
              },
              [this](NodeId node, const std::string& reason) { refused_by_[node] = reason; },
              [this](const net::Report& report) { on_refused_for(report); },
              [this](NodeId node) {
                if (replica_) replica_->on_peer_gone(node);
              },
              [this](NodeId node) {
                refused_by_.erase(node);
                if (replica_) replica_->on_peer_connected(node);
                report();
              }}),
      started_at_(loop.now()),
      waiting_told_at_(loop.now()) {}

Node::~Node() = default;

void Node::begin() {
  begun_ = true;
  for (const auto& [node, address] : options_.cluster) {
    if (node != options_.self) peers_.add(node, address);
  }
  be_born();  // A cluster of one has nobody to wait for.
  tick();
}

void Node::keep_history(std::function<void()> durable) {
  static_cast<void>(lineage_.take_changed());
  store_->write_history(lineage_.history(), std::move(durable));
}

bool Node::reaches_all() const {
  return std::ranges::all_of(options_.cluster, [this](const auto& member) {
    return member.first == options_.self || peers_.connected(member.first);
  });
}

/// All that was heard so far.
void Node::keep_all_heard(std::function<void()> durable) {
  keep_history([this, heard = lineage_.history().heard, durable = std::move(durable)] {
    for (const Sighting& seen : heard) lineage_.on_kept(seen.node, seen.recent[0].id);
    durable();
  });
}

Result<bool> Node::admit(const net::Hello& hello) {
  Result<bool> admitted = false;
  // A process that was killed may be heard after the next one; it does not come again.
  int told_at = 5;
  if (const auto member = membership_.admit(hello); !member) {
    admitted = forward(member);
    told_at = 1;
  } else {
    // Before birth another directory may take a node's place, and there is nothing to lose; what
    // was heard becomes durable with the birth.
    const bool born = membership_.born();
    if (!born) lineage_.forget(hello.node);
    admitted = lineage_.admit(hello);
    if (admitted && !born) admitted = false;
  }
  Refusal& refusal = refusals_[hello.node];
  if (!admitted) {
    const bool again = refusal.reason == admitted.error().detail;
    refusal = {admitted.error().detail, again ? refusal.times + 1 : 1};
    if (refusal.times == told_at) {
      events_.event(EventLevel::error, "peer_refused", {{"reason", refusal.reason}});
    }
    return admitted;
  }
  refusal = {};
  be_born();
  return admitted;
}

void Node::be_born() {
  if (!membership_.take_birth()) return;
  // What spoke before under a member's id, from another directory, speaks no more.
  std::vector<Inbound*> strangers;
  for (const auto& [id, inbound] : inbound_) {
    if (inbound->is_stranger_to(membership_.identity().members)) strangers.push_back(inbound.get());
  }
  for (Inbound* stranger : strangers) drop(*stranger);
  events_.event(EventLevel::info, "cluster_born",
                {{"cluster_id", to_hex(membership_.identity().cluster_id)},
                 {"nodes", membership_.identity().members.size()}});
  service_.on_born();
  // It votes only once the list is durable: until then a crash would make it unborn again.
  for (const auto& [from, report] : std::exchange(reports_before_birth_, {})) {
    on_report(from, report);
  }
  // Who was heard goes with it.
  store_->write_identity(membership_.identity(), nullptr);
  keep_all_heard([this] {
    const auto started = start_replica();
    STELE_CHECK(started.has_value(), started.error().detail);
  });
}

/// With what the store holds. Errors: corrupt.
Result<void> Node::start_replica() {
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
      .on_failure = options_.on_failure,
      .tap = options_.tap,
  };
  events_.event(EventLevel::info, "replica_started",
                {{"chosen_end", content->numbers.chosen_end.value},
                 {"next_lsn", content->numbers.next_lsn.value},
                 {"sessions", state->sessions().size()}});
  replica_ = std::make_unique<Replica>(std::move(options), loop_, *store_, peers_, events_,
                                       content->acceptor, *std::move(state), service_);
  service_.attach(replica_.get());
  if (const StatePoint& disputed = lineage_.history().disputed; disputed.chosen_end != Slot{}) {
    comparison_.remember(disputed, loop_.now());
  }
  check_state();
  return {};
}

// --- What the nodes tell each other of themselves (ADR 16) -------------------------------

void Node::report() {
  if (!membership_.born()) return;
  reported_at_ = loop_.now();
  net::Report report;
  report.sightings = lineage_.sightings(store_->commits());
  if (replica_) report.points = comparison_.points(replica_->trail());
  peers_.send_report(report);
}

void Node::on_report(NodeId from, const net::Report& report) {
  if (!membership_.born()) {
    reports_before_birth_[from] = report;
    return;
  }
  std::vector<Sighting> sightings = report.sightings;
  std::erase_if(sightings,
                [this](const Sighting& seen) { return !options_.cluster.contains(seen.node); });
  if (lineage_.merge(from, sightings)) {
    drop_forked();
    keep_all_heard([] {});
  }
  if (!replica_) return;
  for (const StatePoint& point : report.points) {
    comparison_.reported(from, point, replica_->trail(), loop_.now());
  }
  check_state();
  // Who takes no part serves nothing.
  if (!report.points.empty() && !comparison_.outvoted().contains(from)) {
    replica_->hear_of(from, report.points.front().chosen_end);
  }
}

/// Somebody who refuses this node says what it has heard of it.
void Node::on_refused_for(const net::Report& report) {
  if (!membership_.born()) return;
  for (const Sighting& seen : report.sightings) lineage_.hear_of_self(seen);
  if (lineage_.gone_back().empty() || !halted_.empty()) return;
  keep_history(nullptr);
  check_state();
}

/// Nothing more is heard from a process that is not the newest of its node, or one of two.
void Node::drop_forked() {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, inbound] : inbound_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (const auto found = inbound_.find(id); found != inbound_.end()) found->second->check();
  }
}

/// Stops what this node says and serves while it may be wrong, and tells why.
void Node::check_state() {
  if (!replica_) return;
  comparison_.compare_waiting(replica_->trail(), loop_.now());
  using Verdict = StateComparison::Verdict;
  const Verdict verdict = comparison_.verdict(loop_.now());
  if (verdict == Verdict::diverged && lineage_.history().diverged_at == Slot{}) {
    lineage_.set_diverged(comparison_.disputed()->chosen_end);
    keep_history([] {});
  }
  // A restart must not make it sure.
  const StatePoint disputed_now =
      verdict == Verdict::unsure ? *comparison_.disputed() : StatePoint{};
  if (verdict != Verdict::diverged && lineage_.history().disputed != disputed_now) {
    lineage_.set_disputed(disputed_now);
    keep_history([] {});
  }
  std::string why;
  if (!lineage_.gone_back().empty()) {
    why = lineage_.gone_back();
  } else if (const Slot at = lineage_.history().diverged_at; at != Slot{}) {
    why = "diverged: the state behind slot " + std::to_string(at.value - 1) +
          " differs from a majority's; this node takes no part any more";
  } else if (verdict == Verdict::unsure) {
    why = "diverged: " + comparison_.sentence() + ", and no majority says which is right";
  }
  if (const auto disputed = comparison_.disputed(); disputed != disputed_) {
    disputed_ = disputed;
    if (disputed) {
      events_.event(EventLevel::error, "states_differ", {{"reason", comparison_.sentence()}});
      report();
    }
  }
  if (comparison_.outvoted() != outvoted_) {
    outvoted_ = comparison_.outvoted();
    std::string nodes;
    for (NodeId node : outvoted_) nodes += (nodes.empty() ? "" : ", ") + std::to_string(node.value);
    if (!nodes.empty()) {
      events_.event(EventLevel::error, "states_differ",
                    {{"reason", "the state of node " + nodes +
                                    " differs from a majority's: it takes no part any more"}});
    }
  }
  // Others may lack what makes them the majority that says so.
  const bool serves = verdict == Verdict::unsure && comparison_.leads() &&
                      lineage_.history().diverged_at == Slot{} && lineage_.gone_back().empty();
  using Takes = Replica::Takes;
  replica_->set_takes(why.empty() ? Takes::part : serves ? Takes::questions : Takes::no_part);
  if (why == halted_) return;
  halted_ = why;
  if (halted_.empty()) {
    events_.event(EventLevel::warning, "goes_on", {{"reason", "a majority has the same state"}});
  } else {
    const bool gone_back = !lineage_.gone_back().empty();
    events_.event(EventLevel::error, gone_back ? "gone_back" : "diverged", {{"reason", halted_}});
  }
}

void Node::tick() {
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  const Time now = loop_.now();
  const bool all_connected = reaches_all();
  if (replica_) replica_->set_all_connected(all_connected);
  // Who has been away asks the followers first.
  store_->keep_cached(replica_ && !replica_->proposer().leads() && !all_connected);
  check_state();
  if (now - reported_at_ >= kReportEvery) report();
  if (now - kept_at_ >= kReportEvery) {
    kept_at_ = now;
    if (lineage_.take_changed()) keep_history(nullptr);
  }
  if (!replica_) {
    if (now - waiting_told_at_ >= kWaitingToldEvery && !membership_.born()) {
      waiting_told_at_ = now;
      events_.event(EventLevel::info, "unborn", {{"reason", status().fault}});
    }
  } else if (const auto leader = replica_->leader(); leader && *leader != leader_told_) {
    leader_told_ = *leader;
    events_.event(EventLevel::info, "leader_known", {{"leader", leader->value}});
    if (!std::exchange(ready_told_, true)) {
      events_.event(EventLevel::info, "ready",
                    {{"node", options_.self.value}, {"address", address_of(options_.self)}});
    }
  }
  if (!stopped_) return;
  if (replica_) replica_->hand_over();
  const bool leads = replica_ && replica_->proposer().leads() && options_.cluster.size() > 1;
  if ((service_.idle() && !leads) || now >= stop_by_) {
    timer_.reset();
    std::exchange(stopped_, nullptr)();
  }
}

void Node::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  stop_by_ = loop_.now() + kStopWithin;
  service_.shut_down();
  if (lineage_.take_changed()) keep_history(nullptr);
  if (replica_) replica_->hand_over();
  tick();
}

// At most one line a second: a stranger at the port must not fill the disk with lines.
void Node::tell_refused(const std::string& who, const std::string& reason) {
  const Time now = loop_.now();
  if (now - refusal_told_at_ < kRefusalToldEvery) return;
  refusal_told_at_ = now;
  events_.event(EventLevel::warning, "connection_refused", {{"from", who}, {"reason", reason}});
}

void Node::on_link(std::unique_ptr<net::Link> link) {
  if (!begun_) return;  // Closes it.
  if (inbound_.size() >= options_.inbound_max) {
    // Who says who it is does so at once: the one that has said nothing for the longest makes room.
    const auto silent = std::ranges::find_if(
        inbound_, [](const auto& inbound) { return inbound.second->is_silent(); });
    tell_refused(link->peer_name(), std::to_string(inbound_.size()) +
                                        " connections of nodes and of who has not said hello; the "
                                        "oldest of those are closed");
    if (silent == inbound_.end()) {
      link->send(net::Refused{"overloaded: this node has as many connections as it takes"});
      return link->close_gently();
    }
    silent->second->refuse_silent();
  }
  const std::uint64_t id = ++inbound_seen_;
  inbound_.emplace(id, std::make_unique<Inbound>(*this, id, std::move(link)));
}

void Node::drop(Inbound& inbound) {
  const auto found = inbound_.find(inbound.id());
  if (found == inbound_.end()) return;
  loop_.post([gone = std::shared_ptr<Inbound>(std::move(found->second))] {});  // It may be calling.
  inbound_.erase(found);
}

net::Hello Node::hello() const {
  net::Hello hello = membership_.hello();
  hello.starts = lineage_.history().starts;
  hello.recent_starts = lineage_.history().recent;
  hello.entry_bytes_max = options_.entry_bytes_max;
  hello.software = software();
  return hello;
}

std::string Node::address_of(NodeId node) const {
  const auto found = options_.cluster.find(node);
  return found == options_.cluster.end() ? std::string() : to_string(found->second);
}

std::string Node::leader_address() const {
  if (!replica_ || !halted_.empty()) return {};
  const auto leader = replica_->leader();
  return leader ? address_of(*leader) : std::string();
}

NodeReport Node::status() const {
  NodeReport answer;
  answer.cluster_id = membership_.identity().cluster_id;
  answer.cluster_name = options_.cluster_name;
  answer.node = options_.self;
  answer.role = "unborn";
  answer.chosen_end = {1};
  answer.first_lsn = {1};
  answer.disk_bytes = store_->space().used_bytes;
  const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(loop_.now() - started_at_);
  answer.uptime_s = static_cast<std::uint64_t>(uptime.count());
  answer.version = kVersion;
  for (const auto& [node, address] : options_.cluster) {
    answer.members.push_back({node, to_string(address)});
  }
  if (!replica_) {
    answer.fault = "not born yet: waits to hear from";
    for (NodeId node : membership_.missing()) answer.fault += " node " + std::to_string(node.value);
    answer.fault += unreached();
    // Why, if one of them has said so, or this node of them.
    for (const auto& [node, reason] : refused_by_) {
      answer.fault += "; node " + std::to_string(node.value) + " refuses: " + reason;
    }
    for (const auto& [node, refusal] : refusals_) {
      if (!refusal.reason.empty()) answer.fault += "; " + refusal.reason;
    }
    answer.fault.resize(std::min<std::size_t>(answer.fault.size(), 1000));
    return answer;
  }
  const paxos::Proposer& proposer = replica_->proposer();
  answer.role = !halted_.empty()   ? (lineage_.gone_back().empty() ? "diverged" : "gone_back")
                : proposer.leads() ? "leader"
                : proposer.standing() == paxos::Proposer::Standing::follower ? "follower"
                                                                             : "candidate";
  const StateNumbers& numbers = replica_->state().numbers();
  answer.ballot = replica_->acceptor().promised();
  answer.leader = replica_->leader().value_or(NodeId{});
  answer.chosen_end = numbers.chosen_end;
  answer.applied_lsn = {numbers.next_lsn.value - 1};
  answer.first_lsn = numbers.first_lsn;
  answer.state_hash = numbers.hash;
  answer.fault = halted_.empty() ? replica_->fault() : halted_;
  // One that refuses may itself be at fault; not so if hardly any other talks to this one.
  const auto connected = std::ranges::count_if(
      options_.cluster, [this](const auto& member) { return peers_.connected(member.first); });
  if (refused_by_.size() > static_cast<std::size_t>(connected)) {
    for (const auto& [node, reason] : refused_by_) {
      answer.fault += (answer.fault.empty() ? "node " : "; node ") + std::to_string(node.value) +
                      " refuses: " + reason;
    }
  }
  if (const std::string unreached = this->unreached(); !unreached.empty()) {
    answer.fault += answer.fault.empty() ? unreached.substr(2) : unreached;
  }
  answer.fault.resize(std::min<std::size_t>(answer.fault.size(), 1000));
  return answer;
}

/// Those who live, as they say themselves, and do not hear this node: "; node …", or empty.
std::string Node::unreached() const {
  std::string all;
  for (const auto& [node, address] : options_.cluster) {
    const bool lives = std::ranges::any_of(
        inbound_, [node = node](const auto& inbound) { return inbound.second->speaks_as(node); });
    if (node == options_.self || peers_.connected(node) || !lives) continue;
    const std::string why = peers_.trouble(node, kUnreachedTold);
    if (why.empty()) continue;
    all += "; node " + std::to_string(node.value) + " is heard, but cannot be reached at " +
           to_string(address) + ": " + why;
  }
  return all;
}

}  // namespace stele::log
