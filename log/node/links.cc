#include "log/node/links.h"

#include <algorithm>
#include <utility>

#include "net/wire/frame.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// A node that cannot be reached for so long is named.
constexpr Duration kUnreachedTold = std::chrono::seconds(2);

}  // namespace

/// A connection that came in: at first unknown; a client's goes on to the service, a node's stays.
class Links::Inbound final : public net::LinkHandler {
 public:
  Inbound(Links& links, std::uint64_t id, std::unique_ptr<net::Link> link)
      : links_(links), id_(id), link_(std::move(link)) {
    deadline_ = links_.loop_.after(kHelloWithin, [this] {
      link_.reset();
      links_.drop(*this);
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
    // A connection that ends before its hello may be anybody's; bytes that are none of Stele's are
    // worth a line.
    if (peer_ == NodeId{} && reason != net::kClosedByPeer)
      links_.tell_refused(link_->peer_name(), reason);
    links_.drop(*this);
  }

  /// Refuses the other side if it must not be listened to any more.
  void check() {
    if (peer_ == NodeId{}) return;
    if (const auto still = links_.listener_->check(peer_, start_id()); !still) {
      peer_ = {};
      refuse(still.error().detail);
    }
  }

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool is_silent() const { return !greeted_; }
  [[nodiscard]] bool speaks_as(NodeId node) const {
    return peer_ == node && links_.loop_.now() - heard_at_ < kUnreachedTold;
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
    const std::string& cluster_name = links_.options_.cluster_name;
    if (!hello.cluster_name.empty() && hello.cluster_name != cluster_name)
      return refuse("this node belongs to the cluster '" + cluster_name + "'");
    deadline_.reset();
    net::Hello answer = links_.listener_->hello();
    answer.incarnation = answer.starts = 0;  // Only for those that prove to be members.
    answer.members.clear();
    answer.configured.clear();
    answer.recent_starts.clear();
    link_->send(answer);
    links_.listener_->on_client(std::move(link_));
    links_.drop(*this);
  }

  void on_peer(const net::Hello& hello) {
    const auto admitted = links_.listener_->admit(hello);
    if (!admitted) {
      // A copy that was put back is to learn of it from any node that it reaches.
      const auto seen = links_.listener_->seen(hello.node);
      if (admitted.error().code == Errc::foreign_directory && seen)
        link_->send(net::Report{{*seen}, {}, {}});
      return turn_away(admitted.error().detail);  // The log has it by now.
    }
    hello_ = hello;
    if (!*admitted) return go_on();
    // Nothing that it says may count until a crash of this node cannot forget that it was heard.
    links_.listener_->on_heard(hello.node, start_id(), [&links = links_, id = id_] {
      const auto found = links.inbound_.find(id);
      if (found != links.inbound_.end()) found->second->go_on();
    });
  }

  /// The other side's start is known for good.
  void go_on() {
    deadline_.reset();
    peer_ = hello_.node;
    heard_at_ = links_.loop_.now();
    check();  // Another start of it may have been heard meanwhile.
    if (peer_ == NodeId{}) return;
    link_->expect(net::Speaker::node, net::kFrameBytesMax);
    link_->leave_receive_bound();
    link_->send(links_.listener_->hello());
    links_.peers_.heard_from(peer_);
  }

  void on_peer_message(net::Message& message) {
    heard_at_ = links_.loop_.now();
    if (const auto* report = std::get_if<net::Report>(&message)) {
      links_.peers_.heard_from(peer_);  // The first try may have been too early to be answered.
      return links_.listener_->on_report(peer_, *report);
    }
    auto* paxos_message = std::get_if<paxos::Message>(&message);
    if (paxos_message == nullptr) return;
    check();
    if (peer_ == NodeId{}) return;
    links_.listener_->on_message(peer_, start_id(), std::move(*paxos_message));
  }

  void refuse(const std::string& reason) {
    links_.tell_refused(link_->peer_name(), reason);
    turn_away(reason);
  }

  void turn_away(const std::string& reason) {
    link_->send(net::Refused{reason});
    link_->close_gently();
    links_.drop(*this);
  }

  [[nodiscard]] std::uint64_t start_id() const { return hello_.recent_starts.at(0).id; }

  Links& links_;
  std::uint64_t id_;
  std::unique_ptr<net::Link> link_;
  std::unique_ptr<net::Timer> deadline_;
  bool greeted_ = false;
  Time heard_at_{};
  net::Hello hello_;
  NodeId peer_;  // Known, and listened to.
};

Links::Links(Options options, const Surroundings& surroundings)
    : options_(std::move(options)),
      loop_(surroundings.loop),
      events_(surroundings.events),
      peers_(loop_, surroundings.dialer, events_, *this) {}

Links::~Links() = default;

void Links::begin(LinksListener& listener) {
  STELE_CHECK(listener_ == nullptr);
  listener_ = &listener;
  for (const auto& [node, address] : options_.cluster) {
    if (node != options_.self) peers_.add(node, address);
  }
}

// --- Those that came in ------------------------------------------------------------------

void Links::on_link(std::unique_ptr<net::Link> link) {
  if (listener_ == nullptr) return;  // Closes it.
  if (inbound_.size() >= options_.inbound_max) {
    make_room(link->peer_name());
    if (inbound_.size() >= options_.inbound_max) {
      link->send(net::Refused{"overloaded: this node has as many connections as it takes"});
      return link->close_gently();
    }
  }
  const std::uint64_t id = ++inbound_seen_;
  inbound_.emplace(id, std::make_unique<Inbound>(*this, id, std::move(link)));
}

/// A hello comes at once, from all that send one: the connection that has said nothing for the
/// longest ends.
void Links::make_room(const std::string& peer_name) {
  tell_refused(peer_name, std::to_string(inbound_.size()) +
                              " connections of nodes and of who has not said hello; the oldest of "
                              "those are closed");
  const auto silent = std::ranges::find_if(
      inbound_, [](const auto& inbound) { return inbound.second->is_silent(); });
  if (silent != inbound_.end()) silent->second->refuse_silent();
}

void Links::drop(Inbound& inbound) {
  const auto found = inbound_.find(inbound.id());
  if (found == inbound_.end()) return;
  loop_.post([gone = std::shared_ptr<Inbound>(std::move(found->second))] {});  // It may be calling.
  inbound_.erase(found);
}

void Links::drop_strangers(const std::vector<Member>& members) {
  std::vector<Inbound*> strangers;
  for (const auto& [id, inbound] : inbound_) {
    if (inbound->is_stranger_to(members)) strangers.push_back(inbound.get());
  }
  for (Inbound* stranger : strangers) drop(*stranger);
}

void Links::check_all() {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, inbound] : inbound_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    if (const auto found = inbound_.find(id); found != inbound_.end()) found->second->check();
  }
}

// At most one line a second: a stranger at the port must not fill the disk with lines.
void Links::tell_refused(const std::string& peer_name, const std::string& reason) {
  if (!refusal_told_.due(loop_.now())) return;
  events_.event(EventLevel::warning, "connection_refused",
                {{"from", peer_name}, {"reason", reason}});
}

// --- Those that were dialled -------------------------------------------------------------

/// Nothing comes in over a connection that this node has opened, so nothing need be kept first.
Result<void> Links::on_hello(const net::Hello& other) {
  if (const auto admitted = listener_->admit(other); !admitted) return forward(admitted);
  return {};
}

void Links::on_connected(NodeId node) {
  refused_by_.erase(node);
  listener_->on_connected(node);
}

bool Links::reaches_all() const {
  return std::ranges::all_of(options_.cluster, [this](const auto& member) {
    return member.first == options_.self || peers_.connected(member.first);
  });
}

bool Links::is_refused() const {
  const auto connected = std::ranges::count_if(
      options_.cluster, [this](const auto& member) { return peers_.connected(member.first); });
  return refused_by_.size() > static_cast<std::size_t>(connected);
}

std::string Links::refusals() const {
  std::string all;
  for (const auto& [node, reason] : refused_by_)
    all += "; node " + std::to_string(node.value) + " refuses: " + reason;
  return all;
}

std::string Links::unreached() const {
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
