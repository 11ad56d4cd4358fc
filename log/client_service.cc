#include "log/client_service.h"

#include <algorithm>
#include <utility>

#include "log/service_client.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(50);
/// While clients wait for room among the answers of all.
constexpr Duration kAnswersAgain = std::chrono::milliseconds(1);

}  // namespace

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
  client.count_bytes();
  answered_.erase(client.id());
  tailing_.erase(client.id());
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
  if (!answered_.empty()) on_turn_end();  // Refused, perhaps, and no turn of the learner comes.
}

/// Slow readers, however many, do not make memory grow: what is not sent yet is bounded for all
/// together. False: asks again in a moment.
bool ClientService::room_for_answers() {
  if (answer_bytes_ < options_.answer_bytes_max) return true;
  if (!answers_again_) answers_again_ = loop_.after(kAnswersAgain, [this] { answer_waiting(); });
  return false;
}

/// In turn, so that those in front do not take all the room.
void ClientService::answer_waiting() {
  answers_again_.reset();
  for_each_client([](Client& client) { client.count_bytes(); });
  const std::uint64_t last = answered_last_;
  for (const bool behind : {true, false}) {
    for_each_client([&](Client& client) {
      if ((client.id() > last) != behind || answers_again_) return;
      answered_last_ = client.id();
      client.go_on();
    });
  }
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

/// Only those for whom there is something, of perhaps thousands.
void ClientService::on_turn_end() {
  const auto each = [this](const std::set<std::uint64_t>& ids, auto act) {
    for (const std::uint64_t id : std::set(ids)) {
      const auto found = clients_.find(id);
      if (found != clients_.end()) act(*found->second);
    }
  };
  each(answered_, [](Client& client) { client.flush_results(); });
  answered_.clear();
  each(tailing_, [](Client& client) { client.pump_tails(); });
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
