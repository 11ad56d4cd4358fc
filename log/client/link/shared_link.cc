#include "log/client/link/shared_link.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log/client/link/command_buffer.h"
#include "log/format/batch.h"
#include "net/wire/frame.h"

namespace stele::log {

/// One client's end of a connection.
class SharedConnections::Sharer final : public net::Link {
 public:
  Sharer(SharedConnections& all, Address address, std::uint32_t group, net::LinkHandler& handler)
      : handler_(&handler), own_(*this), all_(all), address_(std::move(address)), group_(group) {}
  ~Sharer() override { leave(false); }
  Sharer(const Sharer&) = delete;
  Sharer& operator=(const Sharer&) = delete;

  void start(net::LinkHandler& handler) override { handler_ = &handler; }
  bool send(const net::Message& message) override;
  void flush() override;
  [[nodiscard]] std::size_t queued_bytes() const override;
  [[nodiscard]] std::uint64_t left_bytes() const override;
  [[nodiscard]] std::size_t unacknowledged_bytes() const override;
  [[nodiscard]] std::size_t receiving_bytes() const override {
    return own_.link ? own_.link->receiving_bytes() : 0;
  }
  void close_gently() override {
    handler_ = nullptr;
    leave(true);
  }
  void expect(net::Speaker, std::size_t) override {}  // They take any from a node.
  [[nodiscard]] std::string peer_name() const override { return to_string(address_); }

  // From the shared connection. The client may destroy its end from within each.
  void on_message(net::Message message) {
    if (handler_ != nullptr) handler_->on_message(std::move(message));
  }
  void on_closed(const std::string& reason);
  void on_writable() {
    if (handler_ != nullptr) handler_->on_writable();
  }

  std::uint64_t id = 0;          // Of the connection: its number among the sharers.
  SessionId session;             // Of the connection: that of the last append.
  bool waits = false;            // Of the connection: waits for room in its queue.
  std::uint64_t sent_until = 0;  // Of the connection: where what it sent last ends, in its bytes.

 private:
  /// The connection for reads and tails.
  struct Own final : net::LinkHandler {
    explicit Own(Sharer& m) : sharer(m) {}
    void on_message(net::Message message) override;
    void on_closed(const std::string& reason) override {
      sharer.leave(true);
      sharer.on_closed(reason);
    }
    void on_writable() override { sharer.on_writable(); }

    Sharer& sharer;
    std::unique_ptr<net::Link> link;
  };

  void leave(bool gently);

  net::LinkHandler* handler_;
  std::shared_ptr<Shared> shared_;
  Own own_;
  SharedConnections& all_;
  Address address_;
  std::uint32_t group_;
  net::Hello hello_;
};

/// The connection, which lives as long as anybody uses it.
class SharedConnections::Shared final : public net::LinkHandler,
                                        public std::enable_shared_from_this<Shared> {
 public:
  Shared(SharedConnections& all, Key key) : all_(all), key_(std::move(key)) {}

  /// Whether that is the node which has answered here.
  [[nodiscard]] bool speaks_to(const net::Hello& other) const {
    const bool born_since = hello_ && hello_->cluster_id == 0;
    return !hello_ ||
           (hello_->node == other.node && (born_since || hello_->cluster_id == other.cluster_id));
  }
  void dial(const net::Hello& hello) {
    link_ = all_.dialer_.dial(std::get<Address>(key_), *this);
    link_->expect(net::Speaker::server, net::kFrameBytesMax);
    link_->send(hello);
  }

  void add(Sharer& sharer) {
    sharer.id = ++members_seen_;
    sharers_.emplace(sharer.id, &sharer);
    if (!hello_) return;
    // The node has answered before; not from within the call that joined.
    all_.loop_.post([weak = weak_from_this(), id = sharer.id] {
      if (const auto self = weak.lock()) self->tell(id, *self->hello_);
    });
  }

  void remove(Sharer& sharer, bool gently) {
    sharers_.erase(sharer.id);
    const auto is_its = [&](const auto& entry) { return entry.second == sharer.id; };
    sessions_.erase(sharer.session);
    std::erase_if(opening_, is_its);
    std::erase_if(asked_, [&](const auto& entry) { return entry.second.first == sharer.id; });
    // A sharer that goes at once has not been answered: the next ones try another connection.
    if (!gently || sharers_.empty()) close_to_others();
    if (gently && sharers_.empty() && link_) {
      send_commands();
      link_->close_gently();
    }
  }

  bool send(Sharer& sharer, const net::Message& message) {
    if (!link_) return false;
    bool sent = false;
    if (const auto* append = std::get_if<net::Append>(&message)) {
      set_session(sharer, command_session(append->commands.bytes));
      sent = append_together(sharer, *append);
    } else if (const auto* open = std::get_if<net::OpenSession>(&message)) {
      sent = give(message);
      if (sent) opening_[open->nonce] = sharer.id;
    } else if (const auto* ask = std::get_if<net::StatusAsk>(&message)) {
      sent = give(net::StatusAsk{++requests_});
      if (sent) asked_[requests_] = {sharer.id, ask->request};
    } else {
      sent = give(message);
    }
    if (sent) sharer.sent_until = link_->left_bytes() + link_->queued_bytes() + commands_.bytes();
    if (!sent && !std::exchange(sharer.waits, true)) waiting_.push_back(sharer.id);
    return sent;
  }

  void flush() {
    if (link_ && send_commands()) link_->flush();
  }

  /// What is to leave before the last message of the sharer has; what others send later is not.
  [[nodiscard]] std::size_t queued_bytes(const Sharer& sharer) const {
    return sharer.sent_until > left_bytes() ? sharer.sent_until - left_bytes() : 0;
  }
  [[nodiscard]] std::uint64_t left_bytes() const { return link_ ? link_->left_bytes() : 0; }
  /// The same of what has left and is not acknowledged.
  [[nodiscard]] std::size_t unacknowledged_bytes(const Sharer& sharer) const {
    if (!link_) return 0;
    const std::uint64_t sent = std::min(sharer.sent_until, left_bytes());
    const std::uint64_t acknowledged =
        left_bytes() - std::min<std::uint64_t>(left_bytes(), link_->unacknowledged_bytes());
    return sent > acknowledged ? sent - acknowledged : 0;
  }

  void on_message(net::Message message) override {
    const auto alive = shared_from_this();
    if (auto* results = std::get_if<net::AppendResults>(&message)) {
      on_results(*results);
    } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
      const auto found = opening_.extract(opened->nonce);
      if (found.empty()) return;
      const auto sharer = sharers_.find(found.mapped());
      if (sharer == sharers_.end()) return;
      if (opened->outcome == Outcome::ok) set_session(*sharer->second, opened->session);
      sharer->second->on_message(std::move(message));
    } else if (auto* status = std::get_if<net::StatusAnswer>(&message)) {
      const auto found = asked_.extract(status->request);
      if (found.empty()) return;
      status->request = found.mapped().second;
      tell(found.mapped().first, std::move(message));
    } else {
      if (const auto* hello = std::get_if<net::Hello>(&message)) hello_ = *hello;
      for (const std::uint64_t id : ids()) tell(id, message);
    }
  }

  void on_closed(const std::string& reason) override {
    const auto alive = shared_from_this();
    link_.reset();
    close_to_others();
    for (const std::uint64_t id : ids()) {
      const auto sharer = sharers_.extract(id);
      if (!sharer.empty()) sharer.mapped()->on_closed(reason);
    }
  }

  void on_writable() override {
    const auto alive = shared_from_this();
    full_ = false;
    if (send_commands() && woken_ == 0) wake_next();
  }

 private:
  /// Sharers that were refused go on in turn, the next one when the last has what it needs: none
  /// takes all the room for ever.
  void wake_next() {
    auto found = sharers_.end();
    while (found == sharers_.end() && !waiting_.empty()) {
      found = sharers_.find(waiting_.front());
      waiting_.pop_front();
    }
    if (found == sharers_.end()) return;
    woken_ = found->first;
    found->second->waits = false;
    found->second->on_writable();
    // After what it sends now.
    all_.loop_.post([weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self) return;
      self->woken_ = 0;
      if (!self->full_ && self->link_) self->wake_next();
    });
  }

  /// What all append within one turn of the loop is one message.
  bool append_together(const Sharer& sharer, const net::Append& append) {
    const std::span<const std::byte> bytes = append.commands.bytes;
    if (bytes.size() >= CommandBuffer::kBytesMax) {
      const bool others_first = woken_ == 0 ? !waiting_.empty() : woken_ != sharer.id;
      return !others_first && send_commands() && give(append);
    }
    if (commands_.bytes() + bytes.size() > CommandBuffer::kBytesMax) {
      if (!send_commands()) return false;
      link_->flush();
    }
    commands_.add(bytes);
    if (!std::exchange(send_posted_, true)) {
      all_.loop_.post([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->send_posted_ = false;
        self->send_commands();
      });
    }
    return true;
  }

  /// False if the link has no room for them now.
  bool send_commands() {
    if (commands_.empty() || !link_) return true;
    if (!give(net::Append{commands_.all()})) return false;
    commands_.on_sent();
    return true;
  }

  bool give(const net::Message& message) {
    const bool sent = link_->send(message);
    full_ = full_ || !sent;
    return sent;
  }

  void tell(std::uint64_t id, net::Message message) {
    const auto found = sharers_.find(id);
    if (found != sharers_.end()) found->second->on_message(std::move(message));
  }

  /// A sharer that is told something may go, or take others with it.
  [[nodiscard]] std::vector<std::uint64_t> ids() const {
    std::vector<std::uint64_t> found;
    for (const auto& [id, sharer] : sharers_) found.push_back(id);
    return found;
  }

  void close_to_others() {
    const auto open = all_.open_.find(key_);
    if (open != all_.open_.end() && open->second.lock().get() == this) all_.open_.erase(open);
  }

  void set_session(Sharer& sharer, SessionId session) {
    if (sharer.session == session) return;
    sessions_.erase(sharer.session);
    sharer.session = session;
    sessions_[session] = &sharer;
  }

  /// Tells each sharer its own results, in their order.
  void on_results(const net::AppendResults& all) {
    for (auto at = all.results.begin(); at != all.results.end();) {
      const SessionId session = at->session;
      const auto end = std::find_if(at, all.results.end(), [&](const CommandResult& result) {
        return result.session != session;
      });
      if (const auto found = sessions_.find(session); found != sessions_.end()) {
        found->second->on_message(net::AppendResults{{at, end}, all.leader, all.retry_ms});
      }
      at = end;
    }
  }

  SharedConnections& all_;
  Key key_;
  std::unique_ptr<net::Link> link_;
  std::optional<net::Hello> hello_;           // The node's.
  std::map<std::uint64_t, Sharer*> sharers_;  // In the order of their coming.
  std::uint64_t members_seen_ = 0;
  std::unordered_map<SessionId, Sharer*> sessions_;
  std::unordered_map<std::uint64_t, std::uint64_t> opening_;  // The sharer, by nonce.
  /// The sharer that has asked for the status and its own number for that, by request.
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> asked_;
  CommandBuffer commands_;  // They leave at the end of the turn.
  bool send_posted_ = false;
  std::uint64_t requests_ = 0;
  bool full_ = false;                  // The link has refused something, and will say when not.
  std::deque<std::uint64_t> waiting_;  // Sharers, in the order in which they were refused.
  std::uint64_t woken_ = 0;            // The sharer whose turn it is; 0: none.
};

bool SharedConnections::Sharer::send(const net::Message& message) {
  if (const auto* hello = std::get_if<net::Hello>(&message)) {
    hello_ = *hello;
    shared_ = all_.join({address_, hello->cluster_name, group_}, *hello);
    shared_->add(*this);
    return true;
  }
  if (!shared_) return false;
  if (!net::has_large_answers(message)) return shared_->send(*this, message);
  if (!own_.link) {
    own_.link = all_.dialer_.dial(address_, own_);
    own_.link->expect(net::Speaker::server, net::kFrameBytesMax);
    own_.link->send(hello_);  // What comes after it need not wait for the answer.
  }
  return own_.link->send(message);
}

/// The client has been told hello by the other connection: this one must be to the same node.
void SharedConnections::Sharer::Own::on_message(net::Message message) {
  const auto* hello = std::get_if<net::Hello>(&message);
  if (hello == nullptr) return sharer.on_message(std::move(message));
  if (!sharer.shared_ || sharer.shared_->speaks_to(*hello)) return;
  sharer.leave(false);  // Not to join the other one again.
  sharer.on_closed("another node, or another cluster, answers at this address now");
}

void SharedConnections::Sharer::flush() {
  if (shared_) shared_->flush();
}

std::uint64_t SharedConnections::Sharer::left_bytes() const {
  return (shared_ ? shared_->left_bytes() : 0) + (own_.link ? own_.link->left_bytes() : 0);
}

std::size_t SharedConnections::Sharer::unacknowledged_bytes() const {
  return (shared_ ? shared_->unacknowledged_bytes(*this) : 0) +
         (own_.link ? own_.link->unacknowledged_bytes() : 0);
}

std::size_t SharedConnections::Sharer::queued_bytes() const {
  return (shared_ ? shared_->queued_bytes(*this) : 0) + (own_.link ? own_.link->queued_bytes() : 0);
}

void SharedConnections::Sharer::on_closed(const std::string& reason) {
  shared_.reset();
  own_.link.reset();
  net::LinkHandler* handler = std::exchange(handler_, nullptr);
  if (handler != nullptr) handler->on_closed(reason);
}

void SharedConnections::Sharer::leave(bool gently) {
  if (const auto shared = std::exchange(shared_, nullptr)) shared->remove(*this, gently);
  if (const auto own = std::move(own_.link); own && gently) own->close_gently();
}

std::shared_ptr<SharedConnections::Shared> SharedConnections::join(const Key& key,
                                                                   const net::Hello& hello) {
  if (const auto open = open_.find(key); open != open_.end()) {
    if (auto shared = open->second.lock()) return shared;
  }
  auto shared = std::make_shared<Shared>(*this, key);
  shared->dial(hello);
  open_[key] = shared;
  return shared;
}

class SharedConnections::GroupDialer final : public net::Dialer {
 public:
  GroupDialer(SharedConnections& all, std::uint32_t group) : all_(all), group_(group) {}
  [[nodiscard]] std::unique_ptr<net::Link> dial(const Address& address,
                                                net::LinkHandler& handler) override {
    return std::make_unique<Sharer>(all_, address, group_, handler);
  }

 private:
  SharedConnections& all_;
  std::uint32_t group_;
};

std::unique_ptr<net::Dialer> SharedConnections::dialer(std::uint32_t group) {
  return std::make_unique<GroupDialer>(*this, group);
}

}  // namespace stele::log
