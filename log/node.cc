#include "log/node.h"

#include <algorithm>
#include <utility>

#include "log/version.h"
#include "net/frame.h"
#include "paxos/check.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(10);
constexpr Duration kWaitingToldEvery = std::chrono::seconds(5);
constexpr Duration kRefusalToldEvery = std::chrono::seconds(1);

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
    if (peer_ != NodeId{}) {
      auto* paxos_message = std::get_if<paxos::Message>(&message);
      if (paxos_message != nullptr && node_.replica_) {
        node_.replica_->deliver(peer_, std::move(*paxos_message));
      }
      return;
    }
    const auto* hello = std::get_if<net::Hello>(&message);
    if (hello == nullptr) return refuse("the first message must be a hello");
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

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool is_stranger_to(const std::vector<net::Member>& members) const {
    const net::Member self{peer_, incarnation_};
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
    link_->send(node_.hello());
    node_.service_.add(std::move(link_));
    node_.drop(*this);
  }

  void on_peer(const net::Hello& hello) {
    const auto admitted = node_.admit(hello);
    if (!admitted) return refuse(admitted.error().detail);
    deadline_.reset();
    peer_ = hello.node;
    incarnation_ = hello.incarnation;
    link_->set_frame_bytes_max(net::kFrameBytesMax);
    link_->leave_receive_bound();
    link_->send(node_.hello());
    node_.peers_.heard_from(peer_);
  }

  void refuse(const std::string& reason) {
    node_.tell_refused(link_->peer_name(), reason);
    link_->send(net::Refused{reason});
    link_->close_gently();
    node_.drop(*this);
  }

  Node& node_;
  std::uint64_t id_;
  std::unique_ptr<net::Link> link_;
  std::unique_ptr<net::Timer> deadline_;
  NodeId peer_;
  std::uint64_t incarnation_ = 0;
};

Result<std::unique_ptr<Node>> Node::make(Options options, net::Loop& loop, net::Dialer& dialer,
                                         net::Events& events, std::unique_ptr<Store> store) {
  const auto configuration = configuration_of(options);
  if (!configuration) return tl::unexpected<Error>(configuration.error());
  if (!configuration->contains(options.self)) {
    return fail(Errc::invalid_argument, "this node's own id " + std::to_string(options.self.value) +
                                            " is not in the cluster");
  }
  Identity identity;
  const bool fresh = !store->identity();
  if (fresh) {
    identity.cluster_name = options.cluster_name;
    identity.node = options.self;
    identity.incarnation = loop.random() | 1;
  } else {
    identity = *store->identity();
  }
  auto membership =
      Membership::make(identity, options.cluster_name, options.self, configuration->members());
  if (!membership) return tl::unexpected<Error>(membership.error());

  auto node = std::unique_ptr<Node>(
      new Node(std::move(options), loop, dialer, events, std::move(store), *std::move(membership)));
  if (fresh) {
    // Nobody may hear of an incarnation that a crash could take back.
    node->store_->write_identity(identity, [self = node.get()] { self->begin(); });
  } else {
    if (node->membership_.born()) {
      auto content = node->store_->load();
      if (!content) return tl::unexpected<Error>(content.error());
      node->start_replica(*std::move(content));
    }
    node->begin();
  }
  return node;
}

Node::Node(Options options, net::Loop& loop, net::Dialer& dialer, net::Events& events,
           std::unique_ptr<Store> store, Membership membership)
    : options_(std::move(options)),
      loop_(loop),
      events_(events),
      store_(std::move(store)),
      membership_(std::move(membership)),
      service_({.entry_bytes_max = options_.entry_bytes_max,
                .answer_bytes_max = options_.answer_bytes_max},
               loop, events, {[this] { return leader_address(); }, [this] { return status(); }}),
      peers_(loop, dialer, events,
             {[this] { return hello(); }, [this](const net::Hello& other) { return admit(other); },
              [this](NodeId node, const std::string& reason) { refused_by_[node] = reason; },
              [this](NodeId node) {
                if (replica_) replica_->on_peer_gone(node);
              },
              [this](NodeId node) {
                if (replica_) replica_->on_peer_connected(node);
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

Result<void> Node::admit(const net::Hello& hello) {
  auto admitted = membership_.admit(hello);
  std::string& told = refusals_[hello.node];
  if (!admitted) {
    if (told != admitted.error().detail) {
      told = admitted.error().detail;
      events_.event(net::Level::error, "peer_refused", {{"reason", told}});
    }
    return admitted;
  }
  told.clear();
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
  events_.event(net::Level::info, "cluster_born",
                {{"cluster_id", std::to_string(membership_.identity().cluster_id)},
                 {"nodes", membership_.identity().members.size()}});
  // It votes only once the list is durable: until then a crash would make it unborn again.
  store_->write_identity(membership_.identity(), [this] {
    auto content = store_->load();
    STELE_CHECK(content.has_value(), content.error().detail);
    start_replica(*std::move(content));
  });
}

void Node::start_replica(StoreContent content) {
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
      .tap = options_.tap,
  };
  events_.event(net::Level::info, "replica_started",
                {{"chosen_end", content.numbers.chosen_end.value},
                 {"next_lsn", content.numbers.next_lsn.value},
                 {"sessions", content.sessions.size()}});
  replica_ = std::make_unique<Replica>(std::move(options), loop_, *store_, peers_, events_,
                                       std::move(content), service_);
  service_.attach(replica_.get());
}

void Node::tick() {
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  const Time now = loop_.now();
  store_->keep_cached(will_be_asked());
  if (!replica_) {
    if (now - waiting_told_at_ >= kWaitingToldEvery && !membership_.born()) {
      waiting_told_at_ = now;
      events_.event(net::Level::info, "unborn", {{"reason", status().fault}});
    }
  } else if (const auto leader = replica_->leader(); leader && *leader != leader_told_) {
    leader_told_ = *leader;
    events_.event(net::Level::info, "leader_known", {{"leader", leader->value}});
    if (!std::exchange(ready_told_, true)) {
      events_.event(net::Level::info, "ready",
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

/// Who has been away asks the followers first.
bool Node::will_be_asked() const {
  if (!replica_ || replica_->proposer().leads()) return false;
  return std::ranges::any_of(options_.cluster, [this](const auto& member) {
    return member.first != options_.self && !peers_.connected(member.first);
  });
}

void Node::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  stop_by_ = loop_.now() + kStopWithin;
  service_.shut_down();
  if (replica_) replica_->hand_over();
  tick();
}

// At most one line a second: whoever knocks at the port must not fill the disk with lines.
void Node::tell_refused(const std::string& who, const std::string& reason) {
  const Time now = loop_.now();
  if (now - refusal_told_at_ < kRefusalToldEvery) return;
  refusal_told_at_ = now;
  events_.event(net::Level::warning, "connection_refused", {{"from", who}, {"reason", reason}});
}

void Node::on_link(std::unique_ptr<net::Link> link) {
  if (!begun_ || inbound_.size() >= kInboundMax) return;  // Closes it.
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
  hello.entry_bytes_max = options_.entry_bytes_max;
  hello.software = software();
  return hello;
}

std::string Node::address_of(NodeId node) const {
  const auto found = options_.cluster.find(node);
  return found == options_.cluster.end() ? std::string() : net::to_string(found->second);
}

std::string Node::leader_address() const {
  if (!replica_) return {};
  const auto leader = replica_->leader();
  return leader ? address_of(*leader) : std::string();
}

net::StatusAnswer Node::status() const {
  net::StatusAnswer answer;
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
    answer.members.push_back({node, net::to_string(address)});
  }
  if (!replica_) {
    answer.fault = "not born yet: waits to hear from";
    for (NodeId node : membership_.missing()) answer.fault += " node " + std::to_string(node.value);
    // Why, if one of them has said so, or this node of them.
    for (const auto& [node, reason] : refused_by_) {
      answer.fault += "; node " + std::to_string(node.value) + " refuses: " + reason;
    }
    for (const auto& [node, reason] : refusals_) {
      if (!reason.empty()) answer.fault += "; " + reason;
    }
    answer.fault.resize(std::min<std::size_t>(answer.fault.size(), 1000));
    return answer;
  }
  const paxos::Proposer& proposer = replica_->proposer();
  answer.role = proposer.leads()                                             ? "leader"
                : proposer.standing() == paxos::Proposer::Standing::follower ? "follower"
                                                                             : "candidate";
  const StateNumbers& numbers = replica_->state().numbers();
  answer.ballot = replica_->acceptor().promised();
  answer.leader = replica_->leader().value_or(NodeId{});
  answer.chosen_end = numbers.chosen_end;
  answer.applied_lsn = {numbers.next_lsn.value - 1};
  answer.first_lsn = numbers.first_lsn;
  answer.state_hash = numbers.hash;
  answer.fault = replica_->fault();
  return answer;
}

}  // namespace stele::log
