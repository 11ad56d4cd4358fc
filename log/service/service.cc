#include "log/service/service.h"

#include <algorithm>
#include <utility>

#include "log/service/client_link.h"

namespace stele::log {
namespace {

/// So many clients beyond the bound may ask for the status.
constexpr std::size_t kGuestsMax = 8;

constexpr Duration kFullToldEvery = std::chrono::minutes(1);
constexpr Duration kTickEvery = std::chrono::milliseconds(50);
/// While clients wait for room among the answers of all.
constexpr Duration kAnswersAgain = std::chrono::milliseconds(5);
/// A command that is that much smaller than its message does not keep it.
constexpr std::size_t kMessagePerCommandMax = 8;

/// The smallest ones are copied by the batch.
Slice own_if_small(const Slice& command, std::size_t message_bytes) {
  const std::span<const std::byte> bytes = command.bytes;
  const bool large = bytes.size() * kMessagePerCommandMax > message_bytes;
  if (large || bytes.size() <= BatchBuilder::kCopyBytesMax) return command;
  const auto own = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  return {own, *own};
}

}  // namespace

ClientService::ClientService(Options options, net::Loop& loop, Events& events, const NodeView& view)
    : options_(options), loop_(loop), events_(events), view_(view) {
  tick();
}

ClientService::~ClientService() = default;

bool ClientService::add(std::unique_ptr<net::Link> link) {
  const std::size_t guests = guests_;
  const bool full = clients_.size() - guests >= options_.connections_max;
  if (full) {
    tell_now_and_then(clients_full_told_at_, "clients_full",
                      {{"clients", options_.connections_max},
                       {"reason", "others are refused until one of them goes"}});
  }
  if (full && guests >= kGuestsMax) {
    link->send(net::Refused{this->full()});
    link->close_gently();
    return false;
  }
  const std::uint64_t id = ++clients_seen_;
  if (full) ++guests_;
  clients_.emplace(id, std::make_unique<Client>(*this, id, std::move(link), full));
  return true;
}

std::string ClientService::full() const {
  return "overloaded: this node has as many clients as it takes, " +
         std::to_string(options_.connections_max);
}

void ClientService::drop(Client& client) {
  const auto found = clients_.find(client.id());
  if (found == clients_.end()) return;
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto session = at++;
    if (session->second.owner != &client) continue;
    session->second.owner = nullptr;
    drop_if_unused(session);
  }
  for (auto& [nonce, opener] : opening_) {
    if (opener == &client) opener = nullptr;
  }
  if (client.guest()) --guests_;
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

/// So many bytes an answer to this client may have now; 0: it waits, and has its turn. Slow
/// readers, however many, do not make memory grow: what is not sent yet is bounded for all
/// together. Nor do some of them take it all: the upper half is for clients for whom nothing is
/// queued, a quarter of what is left for each. They need not wait for those who have something.
std::size_t ClientService::answer_room(const Client& client) {
  const bool others_wait = answers_again_ != nullptr && !answering_;
  if (!others_wait && answer_bytes_ < options_.answer_bytes_max / 2) return kReadBytesMax;
  const bool has_none = client.counted_bytes() == 0;
  const bool is_first = answering_ || !waits_with_none_;
  if (has_none && is_first && answer_bytes_ < options_.answer_bytes_max) {
    return std::clamp((options_.answer_bytes_max - answer_bytes_) / 4, kScarceBytesMax,
                      kReadBytesMax);
  }
  waits_with_none_ = waits_with_none_ || has_none;
  if (!answers_again_) answers_again_ = loop_.after(kAnswersAgain, [this] { answer_waiting(); });
  return 0;
}

/// A read that is done may have left room for those who wait.
void ClientService::on_answer() {
  if (!answers_again_ || answering_ || answer_bytes_ >= options_.answer_bytes_max / 2) return;
  answers_again_ = loop_.after({}, [this] { answer_waiting(); });
}

void ClientService::answer_waiting() {
  answers_again_.reset();
  waits_with_none_ = false;
  for_each_client([](Client& client) { client.count_bytes(); });
  answering_ = true;
  std::uint64_t first = 0;
  for (const bool behind : {true, false}) {
    for_each_client([&, last = answered_last_](Client& client) {
      if ((client.id() > last) != behind || !client.waits()) return;
      if (first == 0) first = client.id();
      client.go_on();
    });
  }
  answering_ = false;
  answered_last_ = first;
}

void ClientService::on_born() {
  for_each_client([](Client& client) { client.end(); });
}

void ClientService::shut_down() {
  shutting_down_ = true;
  for_each_client([](Client& client) { client.end_tails(Outcome::shutting_down); });
}

/// Why nothing can be submitted here now; ok if it can.
Outcome ClientService::refusal() const {
  if (shutting_down_) return Outcome::shutting_down;
  if (!serves() || !replica_->proposer().leads()) return Outcome::not_leader;
  return Outcome::ok;
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
                        .body = {}};
  auto bytes = std::make_shared<std::vector<std::byte>>();
  put_command_header(command, 0, *bytes);

  Outcome outcome = refusal();
  std::uint32_t retry_ms = kRetryMs;
  if (outcome == Outcome::ok && replica_->state().sessions().refuses(replica_->state().numbers())) {
    on_sessions_full();
    outcome = Outcome::overloaded;
    retry_ms = 0;
  }
  // Each takes a slot of its own: a flood must not stand before everybody's appends.
  if (outcome == Outcome::ok && opening_.size() >= kOpeningMax) {
    outcome = Outcome::overloaded;
  }
  if (outcome == Outcome::ok) {
    const std::span<const std::byte> view(*bytes);
    outcome = replica_->submit(command.kind, {std::move(bytes), view});
  }
  if (outcome == Outcome::ok) {
    opening_[open.nonce] = &client;
  } else {
    client.send(net::SessionOpened{open.nonce, outcome, {}, view_.leader_address(), retry_ms});
  }
}

void ClientService::on_sessions_full() {
  tell_now_and_then(sessions_full_told_at_, "sessions_full",
                    {{"sessions", replica_->state().sessions().size()},
                     {"reason", "none of them has been idle for a minute of log time"}});
}

/// One line a minute: who asks again and again must not fill the disk with lines.
void ClientService::tell_now_and_then(Time& told_at, std::string_view event,
                                      std::initializer_list<EventField> fields) {
  const Time now = loop_.now();
  if (told_at != Time{} && now - told_at < kFullToldEvery) return;
  told_at = now;
  events_.event(EventLevel::error, event, fields);
}

/// Of a node that is not born, an empty one: what commands there are depends on the program alone.
const LogState& ClientService::state() const {
  static const LogState empty;
  return replica_ == nullptr ? empty : replica_->state();
}

void ClientService::on_append(Client& client, const Slice& commands) {
  std::span<const std::byte> rest = commands.bytes;
  bool answered = false;
  do {
    const std::span<const std::byte> begin = rest;
    const auto command = parse_next_command(rest);
    if (!command) return client.refuse(command.error().detail);
    if (const auto known = state().check_command(*command); !known) {
      return client.refuse(known.error().detail);
    }
    if (command->kind == CommandKind::open_session)
      return client.refuse("sessions are opened otherwise");
    const Slice bytes{commands.owner, begin.first(begin.size() - rest.size())};
    answered = on_command(client, *command, own_if_small(bytes, commands.bytes.size())) || answered;
    if (!client.takes_results()) return;
  } while (!rest.empty());
  if (answered) client.flush_results();
}

/// True if there is something to tell at once.
bool ClientService::on_command(Client& client, const Command& command, Slice bytes) {
  const auto answer = [&](Outcome outcome, Sequence resend_from) {
    client.add_result({command.session, command.sequence, command.count, outcome, {}, resend_from});
    return true;
  };
  if (const Outcome refused = refusal(); refused != Outcome::ok) return answer(refused, {});
  if (command.largest_bytes > options_.entry_bytes_max) return answer(Outcome::too_large, {});

  // What is long decided needs no slot: the outcome is final, and known here.
  const bool plain = command.kind != CommandKind::close_session;
  const Sequence applied_end = replica_->state().sessions().next_sequence(command.session);
  const Sequence end = command.sequence + command.count;
  SessionClient& session = sessions_[command.session];
  if (plain && applied_end != Sequence{} && end <= applied_end) {
    session.owner = &client;
    for (const CommandResult& result : replica_->state().sessions().recall(command)) {
      client.add_result(result);
    }
    return true;
  }
  const bool on_its_way = session.submitted_end != Sequence{};
  const Sequence next = std::max(applied_end, session.submitted_end);
  // A gap would be void when applied: better told at once. A leader that has not applied everything
  // yet does not know, and leaves it to apply.
  const bool knows = replica_->caught_up() || on_its_way;
  if (knows && next != Sequence{} && command.sequence > next) {
    drop_if_unused(sessions_.find(command.session));
    return answer(Outcome::resend, next);
  }
  session.owner = &client;
  // On its way in this leadership: its outcome comes, to the connection that asked last.
  if (plain && on_its_way && end <= session.submitted_end) {
    return tell_applied_part(client, command);
  }

  // Whether an unknown session has expired is for apply to say: this node may lead no more.
  const bool full = under_way_ >= replica_->state().sessions().bounds().sessions;
  const Outcome outcome =
      full ? Outcome::overloaded : replica_->submit(command.kind, std::move(bytes));
  if (outcome != Outcome::ok) {
    // Who makes up sessions must not make memory grow.
    if (applied_end == Sequence{} && !on_its_way) {
      session.owner = nullptr;
      drop_if_unused(sessions_.find(command.session));
    }
    return answer(outcome, {});
  }
  set_submitted_end(session, std::max(session.submitted_end, end));
  return false;
}

/// A command that is partly applied and partly on its way: nobody else tells the first part.
bool ClientService::tell_applied_part(Client& client, const Command& command) {
  const Sequence next = replica_->state().sessions().next_sequence(command.session);
  if (command.sequence >= next) return false;
  Command applied = command;
  applied.count = static_cast<std::uint32_t>(next - command.sequence);
  for (const CommandResult& result : replica_->state().sessions().recall(applied))
    client.add_result(result);
  return true;
}

/// {}: nothing of it is on its way any more.
void ClientService::set_submitted_end(SessionClient& session, Sequence end) {
  if (session.submitted_end == Sequence{} && end != Sequence{}) ++under_way_;
  if (session.submitted_end != Sequence{} && end == Sequence{}) --under_way_;
  session.submitted_end = end;
}

void ClientService::drop_if_unused(Sessions::iterator session) {
  const SessionClient& known = session->second;
  if (known.owner == nullptr && known.submitted_end == Sequence{}) sessions_.erase(session);
}

void ClientService::on_applied(const LogState::Applied& applied) {
  // A void in an earlier leader's slot says nothing of what was submitted here.
  const auto own_begin = replica_->proposer().recovered_slot();
  const bool own_slot = own_begin && applied.row.slot >= *own_begin;
  for (const CommandResult& result : applied.results) {
    const auto found = sessions_.find(result.session);
    if (found == sessions_.end()) continue;
    SessionClient& session = found->second;
    if (session.submitted_end != Sequence{}) {
      const bool all_answered = result.sequence + result.count >= session.submitted_end ||
                                result.outcome == Outcome::session_expired;
      if (all_answered) {
        set_submitted_end(session, {});
      } else if (own_slot && result.outcome == Outcome::resend) {
        // The rest is void, too.
        set_submitted_end(session, std::min(session.submitted_end, result.resend_from));
      }
    }
    if (session.owner != nullptr) {
      // A void speaks of no attempt in particular: it may be of an earlier leader's slot.
      CommandResult told = result;
      if (!serves())
        told = {result.session, result.sequence, result.count, Outcome::unknown, {}, {}};
      if (told.outcome == Outcome::resend) told.count = 0;
      session.owner->add_result(told);
      // Closed, or expired.
      if (result.lsn == Lsn{} &&
          replica_->state().sessions().next_sequence(result.session) == Sequence{}) {
        session.owner = nullptr;
      }
    }
    drop_if_unused(found);
  }
  for (const LogState::Opened& opened : applied.opened) {
    const auto opener = opening_.find(opened.nonce);
    if (opener == opening_.end()) continue;
    // Refused by the log: the table is full.
    if (opened.outcome == Outcome::overloaded) on_sessions_full();
    if (opener->second != nullptr) {
      opener->second->send(net::SessionOpened{opened.nonce, opened.outcome, opened.session, {}, 0});
    }
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

void ClientService::on_dropped(const Slice& bytes, Outcome why) {
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
  const auto found = sessions_.find(command->session);
  if (found == sessions_.end()) return;
  SessionClient& session = found->second;
  if (session.owner != nullptr) {
    session.owner->add_result({command->session, command->sequence, command->count, why, {}, {}});
  }
  // Nor is anything after it on its way.
  if (session.submitted_end == Sequence{}) return;
  const Sequence end = std::min(session.submitted_end, command->sequence);
  const Sequence next = replica_->state().sessions().next_sequence(command->session);
  set_submitted_end(session, end <= next ? Sequence{} : end);
  drop_if_unused(found);
}

void ClientService::on_stopped() {
  // What was submitted may yet be chosen: unknown. The client sends it again, elsewhere.
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto session = at++;
    auto& [owner, submitted_end] = session->second;
    if (submitted_end == Sequence{}) continue;
    if (owner != nullptr) {
      owner->add_result({session->first, {}, 0, Outcome::unknown, {}, {}});
    }
    set_submitted_end(session->second, {});
    drop_if_unused(session);
  }
  for (const auto& [nonce, opener] : std::exchange(opening_, {})) {
    if (opener == nullptr) continue;
    opener->send(net::SessionOpened{nonce, Outcome::unknown, {}, {}, kRetryMs});
  }
  for_each_client([](Client& client) {
    client.flush_results();
    client.end_tails(Outcome::not_leader);
  });
}

}  // namespace stele::log
