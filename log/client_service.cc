#include "log/client_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include "net/frame.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(50);
constexpr Duration kKeepAliveEvery = std::chrono::seconds(1);
constexpr std::uint32_t kRetryMs = 20;
/// Reads wait while this much is queued for a client.
constexpr std::size_t kQueuedBytesMax = 4 << 20;
/// Of one client at a time; each answer has up to 1 MiB.
constexpr std::size_t kReadsUnderWayMax = 4;
/// Results in one message.
constexpr std::size_t kResultsMax = 8192;

}  // namespace

/// One client's connection.
class ClientService::Client final : public net::LinkHandler {
 public:
  Client(ClientService& service, std::uint64_t id, std::unique_ptr<net::Link> link)
      : service_(service), id_(id), link_(std::move(link)) {
    // A command may hold many entries, but not more than one large one and some small ones.
    link_->set_frame_bytes_max(service.options_.entry_bytes_max + (2 << 20));
    link_->start(*this);
  }

  void on_message(net::Message message) override {
    if (dropped_) return;
    if (const auto* append = std::get_if<net::Append>(&message)) {
      service_.on_append(*this, append->command);
    } else if (const auto* read = std::get_if<net::Read>(&message)) {
      on_read(*read);
    } else if (const auto* open = std::get_if<net::OpenSession>(&message)) {
      service_.on_open(*this, *open);
    } else if (const auto* tail = std::get_if<net::Tail>(&message)) {
      on_tail(*tail);
    } else if (const auto* credit = std::get_if<net::TailCredit>(&message)) {
      on_credit(*credit);
    } else if (const auto* ask = std::get_if<net::StatusAsk>(&message)) {
      net::StatusAnswer answer = service_.ports_.status();
      answer.request = ask->request;
      send(answer);
    } else if (!std::holds_alternative<net::KeepAlive>(message)) {
      refuse("a client does not send this kind of message");
    }
  }

  void on_closed(const std::string&) override { service_.drop(*this); }

  [[nodiscard]] std::uint64_t id() const { return id_; }

  /// Told together at the end of the turn.
  void add_result(const net::AppendResult& result) { results_.push_back(result); }

  void flush_results() {
    const std::vector<net::AppendResult> results = std::exchange(results_, {});
    for (std::size_t at = 0; at < results.size() && !dropped_; at += kResultsMax) {
      net::AppendResults message;
      const auto begin = results.begin() + static_cast<std::ptrdiff_t>(at);
      const std::size_t count = std::min(kResultsMax, results.size() - at);
      message.results.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
      for (const net::AppendResult& result : message.results) {
        if (result.outcome == net::Outcome::not_leader || result.outcome == net::Outcome::unknown) {
          message.leader = service_.ports_.leader_address();
        }
        if (result.outcome != net::Outcome::ok) message.retry_ms = kRetryMs;
      }
      send(message);
    }
  }

  /// An answer that cannot be queued would be lost: then the connection ends, and the client asks
  /// again.
  void send(const net::Message& message) {
    if (!dropped_ && !link_->send(message)) refuse("the client does not read its answers");
  }

  void refuse(const std::string& reason) {
    if (std::exchange(dropped_, true)) return;
    service_.events_.event(net::Level::warning, "client_refused",
                           {{"client", link_->peer_name()}, {"reason", reason}});
    link_->send(net::Refused{reason});
    link_->close_gently();
    service_.drop(*this);
  }

  void tick(Time now) {
    serve_waiting_reads();
    if (tails_.empty() || now - kept_alive_at_ < kKeepAliveEvery) return;
    kept_alive_at_ = now;
    if (link_->queued_bytes() == 0) send(net::KeepAlive{});
  }

  void pump_tails() {
    std::vector<std::uint64_t> requests;
    for (const auto& [request, tail] : tails_) requests.push_back(request);
    for (const std::uint64_t request : requests) {
      const auto found = tails_.find(request);
      if (found != tails_.end()) pump(request, found->second);
    }
  }

  void end_tails(net::Outcome outcome) {
    for (const auto& [request, tail] : std::exchange(tails_, {})) {
      send(net::TailEnd{request, outcome, {}, {}, service_.ports_.leader_address()});
    }
  }

 private:
  struct TailState {
    Lsn next;
    std::int64_t credit = 0;
    bool reading = false;
  };

  // --- Reads ---------------------------------------------------------------------------

  void on_read(const net::Read& read) {
    if (reads_.size() >= kReadsWaitingMax) return send(refused(read, net::Outcome::overloaded));
    reads_.push_back(read);
    serve_waiting_reads();
  }

  void serve_waiting_reads() {
    while (!reads_.empty() && reading_ < kReadsUnderWayMax &&
           link_->queued_bytes() < kQueuedBytesMax) {
      const net::Read read = reads_.front();
      reads_.pop_front();
      ++reading_;
      serve(read);
    }
  }

  /// The answer to a read that serve() began.
  void finish_read(const net::ReadResult& result) {
    --reading_;
    send(result);
    service_.loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.lock()) serve_waiting_reads();
    });
  }

  void serve(const net::Read& read) {
    Replica* replica = service_.replica_;
    if (service_.shutting_down_) return finish_refused(read, net::Outcome::shutting_down);
    if (replica == nullptr) return finish_refused(read, net::Outcome::not_leader);
    if (!read.linearizable) return read_applied(read);
    replica->read_barrier([this, read, alive = std::weak_ptr<bool>(alive_)](bool confirmed) {
      if (!alive.lock()) return;
      if (confirmed) {
        read_applied(read);
      } else {
        finish_refused(read, net::Outcome::not_leader);
      }
    });
  }

  void read_applied(const net::Read& read) {
    const StateNumbers& numbers = service_.replica_->state().numbers();
    const Lsn applied_end = numbers.next_lsn;
    const Lsn end = read.lsn_end == Lsn{} ? applied_end : std::min(read.lsn_end, applied_end);
    if (read.lsn_begin < numbers.first_lsn) return finish_refused(read, net::Outcome::trimmed);
    const std::size_t bytes_max = std::clamp<std::size_t>(read.bytes_max, 1, kReadBytesMax);
    service_.replica_->read(
        read.lsn_begin, end, bytes_max,
        [this, read, applied_end, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
          if (!alive.lock()) return;
          net::ReadResult result = blank(read);
          result.count = found.count;
          result.lsn_end = applied_end;
          result.entries = std::move(found.entries);
          if (found.count == 0 && found.fault) {
            service_.events_.event(net::Level::error, "read_failed", {{"reason", *found.fault}});
            result.outcome = net::Outcome::corrupt;
            result.detail = *found.fault;
          }
          finish_read(result);
        });
  }

  void finish_refused(const net::Read& read, net::Outcome outcome) {
    finish_read(refused(read, outcome));
  }

  net::ReadResult refused(const net::Read& read, net::Outcome outcome) const {
    net::ReadResult result = blank(read);
    result.outcome = outcome;
    result.leader = service_.ports_.leader_address();
    result.retry_ms = kRetryMs;
    return result;
  }

  net::ReadResult blank(const net::Read& read) const {
    net::ReadResult result;
    result.request = read.request;
    result.lsn_begin = read.lsn_begin;
    if (service_.replica_ != nullptr) {
      result.first_lsn = service_.replica_->state().numbers().first_lsn;
    }
    return result;
  }

  // --- Tails ---------------------------------------------------------------------------

  void on_tail(const net::Tail& tail) {
    const Replica* replica = service_.replica_;
    const bool leads = replica != nullptr && replica->proposer().leads() && replica->caught_up();
    if (service_.shutting_down_ || !leads) {
      const net::Outcome outcome =
          service_.shutting_down_ ? net::Outcome::shutting_down : net::Outcome::not_leader;
      return send(net::TailEnd{tail.request, outcome, {}, {}, service_.ports_.leader_address()});
    }
    const StateNumbers& numbers = replica->state().numbers();
    const Lsn next = tail.lsn_begin == Lsn{} ? numbers.next_lsn : tail.lsn_begin;
    if (next < numbers.first_lsn) {
      return send(net::TailEnd{tail.request, net::Outcome::trimmed, numbers.first_lsn, {}, {}});
    }
    if (tails_.size() >= kTailsMax)
      tails_.erase(tails_.begin());  // The oldest: the client left it.
    TailState& state = tails_[tail.request];
    state = {next, tail.credit_bytes, false};
    kept_alive_at_ = service_.loop_.now();
    send(net::TailEntries{tail.request, next, 0, {}});
    pump(tail.request, state);
  }

  void on_credit(const net::TailCredit& credit) {
    const auto found = tails_.find(credit.request);
    if (found == tails_.end()) return;
    found->second.credit += credit.credit_bytes;
    pump(credit.request, found->second);
  }

  void pump(std::uint64_t request, TailState& tail) {
    Replica* replica = service_.replica_;
    if (tail.reading || tail.credit <= 0 || replica == nullptr) return;
    const Lsn end = replica->state().numbers().next_lsn;
    if (tail.next >= end) return;
    tail.reading = true;
    const auto bytes_max = std::min<std::size_t>(static_cast<std::size_t>(tail.credit), 256 << 10);
    replica->read(tail.next, end, bytes_max,
                  [this, request, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
                    if (alive.lock()) on_tail_read(request, std::move(found));
                  });
  }

  void on_tail_read(std::uint64_t request, EntriesRead read) {
    const auto found = tails_.find(request);
    if (found == tails_.end()) return;
    TailState& tail = found->second;
    tail.reading = false;
    if (read.count == 0) {
      if (!read.fault) return;  // The next applied slot pumps again.
      send(net::TailEnd{request, net::Outcome::corrupt, {}, *read.fault, {}});
      tails_.erase(request);
      return;
    }
    tail.next = read.lsn_end();
    tail.credit -= static_cast<std::int64_t>(read.bytes);
    send(net::TailEntries{request, read.lsn_begin, read.count, std::move(read.entries)});
    // In a turn of its own: a long backlog must not hold up the loop.
    service_.loop_.post([this, request, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.lock()) return;
      const auto again = tails_.find(request);
      if (again != tails_.end()) pump(request, again->second);
    });
  }

  ClientService& service_;
  std::uint64_t id_;
  std::unique_ptr<net::Link> link_;
  std::vector<net::AppendResult> results_;
  std::deque<net::Read> reads_;  // Wait for room in the link's queue,
  std::size_t reading_ = 0;      // and are being served.
  std::map<std::uint64_t, TailState> tails_;
  Time kept_alive_at_{};
  bool dropped_ = false;  // Refused; it only waits to be destroyed.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

ClientService::ClientService(Options options, net::Loop& loop, net::Events& events, Ports ports)
    : options_(options), loop_(loop), events_(events), ports_(std::move(ports)) {
  tick();
}

ClientService::~ClientService() = default;

bool ClientService::add(std::unique_ptr<net::Link> link) {
  if (clients_.size() >= options_.connections_max) {
    link->send(net::Refused{"this node serves as many clients as it may"});
    link->close_gently();
    return false;
  }
  const std::uint64_t id = ++clients_seen_;
  clients_.emplace(id, std::make_unique<Client>(*this, id, std::move(link)));
  return true;
}

void ClientService::drop(Client& client) {
  const auto found = clients_.find(client.id());
  if (found == clients_.end()) return;
  std::erase_if(owners_, [&](const auto& owner) { return owner.second == &client; });
  for (auto& [nonce, opener] : opening_) {
    if (opener == &client) opener = nullptr;
  }
  // Not at once: the client may be calling.
  loop_.post([gone = std::shared_ptr<Client>(std::move(found->second))] {});
  clients_.erase(found);
}

/// Also if clients are dropped meanwhile: they live until the end of the turn.
template <class Act>
void ClientService::for_each_client(Act act) {
  for (auto at = clients_.begin(); at != clients_.end();) {
    const std::uint64_t id = at->first;
    act(*at->second);
    at = clients_.upper_bound(id);
  }
}

void ClientService::tick() {
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  for_each_client([this](Client& client) { client.tick(loop_.now()); });
}

void ClientService::shut_down() {
  shutting_down_ = true;
  for_each_client([](Client& client) { client.end_tails(net::Outcome::shutting_down); });
}

/// Why nothing can be submitted here now; ok if it can.
net::Outcome ClientService::refusal() const {
  if (shutting_down_) return net::Outcome::shutting_down;
  if (replica_ == nullptr || !replica_->proposer().leads()) return net::Outcome::not_leader;
  return net::Outcome::ok;
}

void ClientService::on_open(Client& client, const net::OpenSession& open) {
  // Asked again, over another connection perhaps: it is on its way, and costs one slot.
  if (const auto under_way = opening_.find(open.nonce); under_way != opening_.end()) {
    under_way->second = &client;
    return;
  }
  const Command command{.kind = CommandKind::open_session,
                        .session = {open.nonce},
                        .sequence = {},
                        .count = std::max<std::uint32_t>(open.window, 1),
                        .acked = {std::uint64_t{open.ttl_ms} * 1000},
                        .condition = {},
                        .entries = {}};
  auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 0, *bytes);

  net::Outcome outcome = refusal();
  // Each takes a slot of its own: a flood must not stand before everybody's appends.
  if (opening_.size() >= kOpeningMax) {
    outcome = net::Outcome::overloaded;
  }
  if (outcome == net::Outcome::ok) {
    const std::span<const std::byte> view(*bytes);
    outcome = replica_->submit(command.kind, {std::move(bytes), view});
  }
  if (outcome == net::Outcome::ok) {
    opening_[open.nonce] = &client;
  } else {
    client.send(net::SessionOpened{open.nonce, outcome, {}, ports_.leader_address(), kRetryMs});
  }
}

void ClientService::on_append(Client& client, const Slice& bytes) {
  const auto command = parse_command(bytes.bytes);
  if (!command) return client.refuse(command.error().detail);
  if (command->kind == CommandKind::open_session)
    return client.refuse("sessions are opened otherwise");

  const auto answer = [&](net::Outcome outcome, Sequence resend_from) {
    client.add_result(
        {command->session, command->sequence, command->count, outcome, {}, resend_from});
    client.flush_results();
  };
  if (const net::Outcome refused = refusal(); refused != net::Outcome::ok)
    return answer(refused, {});
  if (command->largest_bytes > options_.entry_bytes_max) return answer(net::Outcome::too_large, {});

  // What is long decided needs no slot: the outcome is final, and known here.
  const bool plain = command->kind != CommandKind::close_session;
  if (plain) {
    if (const auto known = replica_->state().recall(*command); !known.empty()) {
      owners_[command->session] = &client;
      for (const net::AppendResult& result : known) client.add_result(result);
      return client.flush_results();
    }
  }
  const Sequence end = command->sequence + command->count;
  const auto submitted = expected_.find(command->session);
  Sequence next = replica_->state().next_sequence(command->session);
  if (submitted != expected_.end()) next = std::max(next, submitted->second);
  // A gap would be void when applied: better told at once. A leader that has not applied everything
  // yet does not know, and leaves it to apply.
  const bool knows = replica_->caught_up() || submitted != expected_.end();
  if (knows && next != Sequence{} && command->sequence > next) {
    return answer(net::Outcome::resend, next);
  }
  owners_[command->session] = &client;
  // On its way in this leadership: its outcome comes, to the connection that asked last.
  if (plain && submitted != expected_.end() && end <= submitted->second) {
    tell_applied_part(client, *command);
    return;
  }

  // Whether an unknown session has expired is for apply to say: this node may lead no more.
  const bool full = expected_.size() >= LogState::kSessionsMax;
  const net::Outcome outcome =
      full ? net::Outcome::overloaded : replica_->submit(command->kind, bytes);
  if (outcome != net::Outcome::ok) return answer(outcome, {});
  Sequence& expected = expected_[command->session];
  expected = std::max(expected, end);
}

/// A command that is partly applied and partly on its way: nobody else tells the first part.
void ClientService::tell_applied_part(Client& client, const Command& command) {
  const Sequence next = replica_->state().next_sequence(command.session);
  if (command.sequence >= next) return;
  Command applied = command;
  applied.count = static_cast<std::uint32_t>(next - command.sequence);
  for (const net::AppendResult& result : replica_->state().recall(applied))
    client.add_result(result);
  client.flush_results();
}

void ClientService::on_applied(const LogState::Applied& applied) {
  // A void in an earlier leader's slot says nothing of what was submitted here.
  const auto own_begin = replica_->proposer().recovered_slot();
  const bool own_slot = own_begin && applied.row.slot >= *own_begin;
  for (const net::AppendResult& result : applied.results) {
    const auto submitted = expected_.find(result.session);
    if (submitted != expected_.end()) {
      const bool all_answered = result.sequence + result.count >= submitted->second ||
                                result.outcome == net::Outcome::session_expired;
      if (all_answered) {
        expected_.erase(submitted);
      } else if (own_slot && result.outcome == net::Outcome::resend) {
        submitted->second =
            std::min(submitted->second, result.resend_from);  // The rest is void, too.
      }
    }
    const auto owner = owners_.find(result.session);
    if (owner == owners_.end()) continue;
    // A void speaks of no attempt in particular: it may be of an earlier leader's slot.
    net::AppendResult told = result;
    if (told.outcome == net::Outcome::resend) told.count = 0;
    owner->second->add_result(told);
    const bool gone = replica_->state().next_sequence(result.session) == Sequence{};
    if (gone) owners_.erase(owner);
  }
  for (net::SessionOpened opened : applied.opened) {
    const auto opener = opening_.find(opened.nonce);
    if (opener == opening_.end()) continue;
    opened.retry_ms = opened.outcome == net::Outcome::ok ? 0 : kRetryMs;
    if (opener->second != nullptr) opener->second->send(opened);
    opening_.erase(opener);
  }
}

void ClientService::on_turn_end() {
  for_each_client([](Client& client) {
    client.flush_results();
    client.pump_tails();
  });
}

void ClientService::on_dropped(const Slice& bytes, net::Outcome why) {
  const auto command = parse_command(bytes.bytes);
  if (!command) return;
  if (command->kind == CommandKind::open_session) {
    const auto opener = opening_.find(command->session.value);
    if (opener == opening_.end()) return;
    if (opener->second != nullptr) {
      opener->second->send(net::SessionOpened{command->session.value, why, {}, {}, kRetryMs});
    }
    opening_.erase(opener);
    return;
  }
  const auto owner = owners_.find(command->session);
  if (owner == owners_.end()) return;
  owner->second->add_result({command->session, command->sequence, command->count, why, {}, {}});
  // Nor is anything behind it on its way.
  const auto submitted = expected_.find(command->session);
  if (submitted == expected_.end()) return;
  submitted->second = std::min(submitted->second, command->sequence);
  const Sequence next = replica_->state().next_sequence(command->session);
  if (submitted->second <= next) expected_.erase(submitted);
}

void ClientService::on_stopped() {
  // What was submitted may yet be chosen: unknown. The client sends it again, elsewhere.
  for (const auto& [session, next] : std::exchange(expected_, {})) {
    const auto owner = owners_.find(session);
    if (owner == owners_.end()) continue;
    owner->second->add_result({session, {}, 0, net::Outcome::unknown, {}, {}});
  }
  for (const auto& [nonce, opener] : std::exchange(opening_, {})) {
    if (opener == nullptr) continue;
    opener->send(net::SessionOpened{nonce, net::Outcome::unknown, {}, {}, kRetryMs});
  }
  for_each_client([](Client& client) {
    client.flush_results();
    client.end_tails(net::Outcome::not_leader);
  });
}

}  // namespace stele::log
