#include "net/link/peers.h"

#include <algorithm>
#include <utility>

#include "net/wire/frame.h"

namespace stele::net {
namespace {

/// What the other side says on a connection that was dialled here is small.
constexpr std::size_t kReportBytesMax = 64 << 10;

}  // namespace

class Peers::Peer final {
 public:
  Peer(Peers& peers, NodeId node, Address address)
      : peers_(peers), node_(node), address_(std::move(address)), lost_at_(peers.loop_.now()) {
    dial();
  }

  void send(const paxos::Message& message) {
    if (ready_) lane(paxos::is_bulk(message.body)).link->send(message);
  }
  void send_report(const Report& report) {
    if (ready_) small_.link->send(report);
  }
  [[nodiscard]] paxos::Progress progress() const {
    if (!ready_) return {lost_bytes_, lost_bytes_};
    const std::uint64_t left = lost_bytes_ + values_.link->left_bytes();
    const std::uint64_t on_its_way = values_.link->unacknowledged_bytes();
    return {left + values_.link->queued_bytes(), left - std::min(left, on_its_way)};
  }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] std::string trouble(Duration lasts) const {
    return !ready_ && peers_.loop_.now() - lost_at_ >= lasts ? trouble_ : std::string();
  }
  /// Also if a try is under way that began before the other node was there; the next one is let be.
  void dial_now() {
    const bool early = !hurried_ && peers_.loop_.now() - dialled_at_ >= kTryAnswered;
    if (ready_ || (small_.link && !early)) return;
    dial();
    hurried_ = true;
  }

 private:
  struct Lane final : LinkHandler {
    explicit Lane(Peer& p) : peer(p) {}
    void on_message(Message message) override { peer.on_message(*this, message); }
    void on_closed(const std::string& reason) override { peer.lost(reason); }

    Peer& peer;
    std::unique_ptr<Link> link;
    bool greeted = false;
  };

  Lane& lane(bool bulk) { return bulk ? values_ : small_; }

  void dial() {
    hang_up();
    dialled_at_ = peers_.loop_.now();
    for (Lane* lane : {&small_, &values_}) {
      lane->greeted = false;
      lane->link = peers_.dialer_.dial(address_, *lane);
      lane->link->expect(Speaker::listening, kHelloBytesMax);
      lane->link->send(peers_.listener_.hello());
    }
    retry_ =
        peers_.loop_.after(kHandshakeWithin, [this] { lost("no handshake within the time-out"); });
  }

  void on_message(Lane& lane, const Message& message) {
    if (const auto* hello = std::get_if<Hello>(&message); hello != nullptr && !lane.greeted) {
      on_hello(lane, *hello);
    } else if (const auto* refused = std::get_if<Refused>(&message)) {
      peers_.listener_.on_refused(node_, refused->reason);
      lost("it refused: " + refused->reason);
    } else if (const auto* report = std::get_if<Report>(&message)) {
      peers_.listener_.on_told(*report);
    }
    // Everything else comes in on the connections that the other node dialled.
  }

  void on_hello(Lane& lane, const Hello& hello) {
    if (hello.node != node_) {
      return lost("node " + std::to_string(hello.node.value) + " answers at this address");
    }
    if (const auto admitted = peers_.listener_.on_hello(hello); !admitted) {
      return lost(admitted.error().detail);
    }
    lane.greeted = true;
    lane.link->expect(Speaker::listening, kReportBytesMax);
    if (!small_.greeted || !values_.greeted) return;
    retry_.reset();
    ready_ = true;
    ready_at_ = peers_.loop_.now();
    was_lost_ = false;
    complained_ = false;
    hurried_ = false;
    backoff_ = kBackoffMin;
    peers_.events_.event(EventLevel::info, "peer_connected",
                         {{"node", node_.value}, {"address", to_string(address_)}});
    peers_.listener_.on_connected(node_);
  }

  /// What is on its way is lost, or is not known to have come.
  void hang_up() {
    lost_bytes_ = progress().sent;
    ready_ = false;
    small_.link.reset();
    values_.link.reset();
  }

  void lost(const std::string& reason) {
    const bool was_ready = ready_;
    if (was_ready) lost_at_ = peers_.loop_.now();
    trouble_ = reason;
    hurried_ = false;
    hang_up();
    if (was_ready || !complained_) {
      complained_ = true;  // Once until it works again, not once a try.
      peers_.events_.event(
          EventLevel::warning, was_ready ? "peer_lost" : "peer_unreachable",
          {{"node", node_.value}, {"address", to_string(address_)}, {"reason", reason}});
    }
    // Dialled again at once: a process that has ended refuses.
    if (std::exchange(was_lost_, was_ready) && !was_ready) peers_.listener_.on_gone(node_);
    // One that breaks again and again is no reason to spin.
    const bool stood = was_ready && peers_.loop_.now() - ready_at_ >= kBackoffMax;
    const auto half = stood ? kAtOnce : backoff_ / 2;
    const auto jitter = Duration(static_cast<Duration::rep>(
        peers_.loop_.random() % static_cast<std::uint64_t>(half.count() + 1)));
    if (!was_ready) backoff_ = std::min(2 * backoff_, kBackoffMax);
    retry_ = peers_.loop_.after(half + jitter, [this] { dial(); });
  }

  Peers& peers_;
  NodeId node_;
  Address address_;
  Lane small_{*this};
  Lane values_{*this};
  std::unique_ptr<Timer> retry_;
  Duration backoff_ = kBackoffMin;
  bool ready_ = false;
  std::uint64_t lost_bytes_ = 0;  // Sent over connections that are no more.
  Time dialled_at_{};
  Time ready_at_{};
  Time lost_at_;           // When the last connection was lost; at first, when this object began.
  std::string trouble_;    // Why the last try failed.
  bool was_lost_ = false;  // The try under way is the first one since it was ready.
  bool complained_ = false;
  bool hurried_ = false;  // The try under way began when the other node was there.
};

Peers::Peers(Loop& loop, Dialer& dialer, Events& events, PeersListener& listener)
    : loop_(loop), dialer_(dialer), events_(events), listener_(listener) {}

Peers::~Peers() = default;

void Peers::add(NodeId node, Address address) {
  peers_[node] = std::make_unique<Peer>(*this, node, std::move(address));
}

void Peers::send(NodeId to, const paxos::Message& message) {
  const auto found = peers_.find(to);
  if (found != peers_.end()) found->second->send(message);
}

void Peers::send_report(const Report& report) {
  for (const auto& [node, peer] : peers_) peer->send_report(report);
}

paxos::Progress Peers::progress(NodeId to) const {
  const auto found = peers_.find(to);
  return found == peers_.end() ? paxos::Progress{} : found->second->progress();
}

bool Peers::connected(NodeId node) const {
  const auto found = peers_.find(node);
  return found != peers_.end() && found->second->ready();
}

std::string Peers::trouble(NodeId node, Duration lasts) const {
  const auto found = peers_.find(node);
  return found == peers_.end() ? std::string() : found->second->trouble(lasts);
}

void Peers::heard_from(NodeId node) {
  const auto found = peers_.find(node);
  if (found != peers_.end()) found->second->dial_now();
}

}  // namespace stele::net
