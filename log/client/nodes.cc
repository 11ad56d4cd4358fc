#include "log/client/nodes.h"

#include <algorithm>
#include <utility>

namespace stele::log {
namespace {

constexpr Duration kBackoffMax = std::chrono::milliseconds(60);
constexpr Duration kCheckWithin = std::chrono::milliseconds(300);

}  // namespace

Nodes::Nodes(net::Loop& loop, net::Dialer& dialer, const ClientOptions& options, ClientTurns& turns,
             NodeLinkListener& listener)
    : loop_(loop),
      dialer_(dialer),
      options_(options),
      turns_(turns),
      listener_(listener),
      addresses_(options.addresses) {
  if (!addresses_.empty()) target_index_ = loop_.random() % addresses_.size();
}

// --- The target ------------------------------------------------------------------------

NodeLink* Nodes::target() {
  if (addresses_.empty()) return nullptr;
  const std::size_t index = target_index_ % addresses_.size();
  if (std::exchange(target_known_, index) != index) target_ = &link(addresses_[index]);
  if (target_->down()) {
    if (loop_.now() >= target_again_at_) {
      target_->dial();
    } else {
      turns_.tick_soon();
    }
  }
  return target_;
}

void Nodes::leave_target(const std::string& leader) {
  target_leads_ = false;
  leader_hint_ = leader;
  hint_from_ = nullptr;
  const auto hinted = parse_address(leader);
  if (hinted) learn(*hinted);
  const auto found =
      hinted ? std::find(addresses_.begin(), addresses_.end(), *hinted) : addresses_.end();
  // A node that names one that does not answer has not noticed yet.
  if (found != addresses_.end() && !is_silent(*found)) {
    target_index_ = static_cast<std::size_t>(found - addresses_.begin());
  } else {
    ++target_index_;
    for (std::size_t i = 1; i < addresses_.size(); ++i) {
      if (!is_silent(addresses_[target_index_ % addresses_.size()])) break;
      ++target_index_;
    }
  }
  // The first change is free; if it goes on, the cluster is between two leaders.
  const Duration delay = backoff_;
  backoff_ = std::clamp(2 * backoff_, kBackoffMin, kBackoffMax);
  target_again_at_ = loop_.now() + delay;
}

bool Nodes::is_silent(const Address& address) const {
  const auto found = silent_.find(to_string(address));
  return found != silent_.end() && loop_.now() - found->second < 4 * options_.attempt_timeout;
}

void Nodes::on_decided(const NodeLink& link) {
  if (std::exchange(hint_from_, &link) != &link) leader_hint_ = link.name();
}

// --- All of them -----------------------------------------------------------------------

NodeLink& Nodes::link(const Address& address) {
  auto& found = links_[address];
  if (!found) found = std::make_unique<NodeLink>(loop_, dialer_, listener_, address);
  return *found;
}

NodeLink* Nodes::link_of(NodeId node) {
  const auto member = members_.find(node);
  if (member != members_.end()) {
    if (const auto address = parse_address(member->second)) return &link(*address);
  }
  // Not known yet: every node that can be reached tells the members.
  for (const Address& address : std::vector<Address>(addresses_)) {
    NodeLink& any = link(address);
    if (any.ready() && any.node() == node) return &any;
    if (any.may_dial()) any.dial();
  }
  return nullptr;
}

void Nodes::learn(NodeId node, const std::string& address) {
  members_[node] = address;
  if (const auto parsed = parse_address(address)) learn(*parsed);
}

void Nodes::learn(const Address& address) {
  if (std::ranges::find(addresses_, address) == addresses_.end()) addresses_.push_back(address);
}

void Nodes::fail_overdue(Time now) {
  for (auto& [address, link] : links_) {
    if (link->overdue(now, 2 * options_.attempt_timeout))
      link->fail("no handshake within the time-out");
  }
}

void Nodes::close_gently() {
  for (auto& [address, link] : links_) link->close_gently();
}

bool Nodes::any_shaking_hands() const {
  return std::ranges::any_of(links_, [](const auto& link) { return link.second->shaking_hands(); });
}

// --- Which cluster it is ---------------------------------------------------------------

std::optional<std::string> Nodes::admit(const NodeLink& ready) {
  if (!options_.cluster_name.empty() && ready.cluster_name() != options_.cluster_name) {
    return "it belongs to the cluster '" + ready.cluster_name() + "', not to '" +
           options_.cluster_name + "'";
  }
  // Sessions and LSNs of one cluster mean nothing in another.
  if (ready.cluster_id() != 0 && cluster_id_ != 0 && ready.cluster_id() != cluster_id_) {
    return "it belongs to the cluster " + to_hex(ready.cluster_id()) +
           ", another one than this client has spoken to, " + to_hex(cluster_id_) +
           ": that was made anew, or the addresses are of several clusters";
  }
  if (ready.cluster_id() != 0) cluster_id_ = ready.cluster_id();
  ever_connected_ = true;
  silent_.erase(ready.name());
  return std::nullopt;
}

bool Nodes::passes_over(const NodeLink& wrong) {
  const bool served = std::ranges::any_of(links_, [&](const auto& known) {
    const NodeLink& other = *known.second;
    return &other != &wrong && other.ready() && other.cluster_id() != 0 &&
           other.cluster_id() == cluster_id_ &&
           (options_.cluster_name.empty() || other.cluster_name() == options_.cluster_name);
  });
  const bool checks = options_.check_addresses && !addresses_checked_;
  if (served && !checks) return true;
  addresses_checked_ = false;  // What comes next is not to get into the other one.
  checked_since_ = {};
  return false;
}

bool Nodes::addresses_are_checked() {
  if (addresses_checked_ || !options_.check_addresses) return true;
  const Time now = loop_.now();
  if (checked_since_ == Time{}) {
    checked_since_ = now;
    for (const Address& address : options_.addresses) {
      if (link(address).down()) link(address).dial();
    }
  }
  const bool waits = std::ranges::any_of(
      options_.addresses, [this](const Address& address) { return link(address).shaking_hands(); });
  if (waits && now - checked_since_ < kCheckWithin) {
    turns_.tick_soon();
    return false;
  }
  addresses_checked_ = true;
  return true;
}

}  // namespace stele::log
