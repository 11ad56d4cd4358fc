#include "log/client_core.h"

#include <algorithm>
#include <utility>

#include "log/batch.h"
#include "log/client_connection.h"
#include "log/version.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(20);
constexpr Duration kBackoffMin = std::chrono::milliseconds(5);
constexpr Duration kBackoffMax = std::chrono::milliseconds(60);
constexpr Duration kNoSpaceRetry = std::chrono::milliseconds(200);
/// A node keeps an idle tail alive once a second.
constexpr Duration kTailSilenceMax = std::chrono::seconds(3);

/// Reads entries out of a frame; false if it holds something else than `count` entries.
template <class Take>
bool read_entries(const std::vector<Slice>& slices, Lsn lsn, std::uint32_t count, Take take) {
  std::uint32_t found = 0;
  for (const Slice& slice : slices) {
    EntryCursor cursor(slice.bytes);
    std::span<const std::byte> payload;
    while (found < count && cursor.next(payload)) {
      take(Entry{lsn + found, {payload.begin(), payload.end()}});
      ++found;
    }
  }
  return found == count;
}

/// The outcomes of an attempt that had no effect and never will have.
bool is_refusal(net::Outcome outcome) {
  switch (outcome) {
    case net::Outcome::not_leader:
    case net::Outcome::overloaded:
    case net::Outcome::too_large:
    case net::Outcome::no_space:
    case net::Outcome::shutting_down:
    case net::Outcome::resend: return true;
    default: return false;
  }
}

}  // namespace

ClientCore::ClientCore(net::Loop& loop, net::Dialer& dialer, ClientOptions options)
    : loop_(loop), dialer_(dialer), options_(std::move(options)), addresses_(options_.addresses) {
  options_.window = std::clamp<std::uint32_t>(options_.window, 1, 65536);
  if (!addresses_.empty()) target_index_ = loop_.random() % addresses_.size();
}

ClientCore::~ClientCore() {
  abort_all("the client was destroyed");
  for (const auto& call : std::exchange(completed_, {})) call();
}

void ClientCore::abort_all(const std::string& detail) {
  for (Pending& entry : std::exchange(appends_, {})) {
    AppendResult result;
    result.may_be_appended = entry.attempts != 0;
    result.detail = detail;
    finish(entry, Errc::shutting_down, std::move(result));
  }
  const auto abort_read = [&](ReadDone done) {
    ReadResult result;
    result.detail = detail;
    completed_.push_back([done = std::move(done), result] { done(Errc::shutting_down, result); });
  };
  for (auto& [request, read] : std::exchange(reads_, {})) abort_read(std::move(read.done));
  if (tail_.waiting) abort_read(std::move(tail_.waiting));
  tail_ = {};
  for (auto& [request, status] : std::exchange(statuses_, {})) {
    completed_.push_back([done = std::move(status.done)] { done({}); });
  }
}

// --- Turns
// -------------------------------------------------------------------------------------------

void ClientCore::wake() {
  if (!timer_ && !closed_) tick();
  if (std::exchange(woken_, true)) return;
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) turn();
  });
}

void ClientCore::turn() {
  woken_ = false;
  const std::weak_ptr<bool> alive = alive_;
  for (const auto& call : std::exchange(completed_, {})) {
    call();
    if (alive.expired()) return;  // The caller destroyed the client.
  }
  if (closed_) return;
  send_tail_credit();
  if (needs_target()) {
    if (Connection* leader = target(); leader != nullptr && leader->ready()) {
      if (!appends_.empty()) {
        if (session_ == SessionId{}) {
          open_session(*leader);
        } else {
          send_appends(*leader);
        }
      }
      subscribe(*leader);
    }
  }
  send_reads();
  send_status();
}

void ClientCore::tick() {
  const bool first = !timer_;
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  if (first) return;
  const Time now = loop_.now();
  expire_appends(now);
  std::vector<std::uint64_t> late;
  for (const auto& [request, read] : reads_) {
    if (now >= read.deadline) late.push_back(request);
  }
  for (std::uint64_t request : late) {
    ReadResult result;
    result.detail = last_failure_;
    const bool reached = reads_[request].asked != nullptr ||
                         (ever_connected_ && reads_[request].options.node == NodeId{});
    end_read(request, reached ? Errc::timed_out : Errc::unreachable, std::move(result));
  }
  for (auto& [address, connection] : connections_) {
    if (connection->overdue(now, 2 * options_.attempt_timeout)) {
      connection->fail("no handshake within the time-out");
    }
  }
  // A large upload over a slow line is progress, though nothing is answered.
  Connection* asked = needs_target() ? target() : nullptr;
  const std::size_t queued = asked == nullptr ? 0 : asked->queued_bytes();
  if (!target_owes() || queued != target_queued_) waiting_since_ = now;
  target_queued_ = queued;
  const bool only_tail = next_send_ == first_ && opening_nonce_ == 0 &&
                         std::none_of(reads_.begin(), reads_.end(), [](const auto& read) {
                           return read.second.asked != nullptr;
                         });
  const Duration limit = only_tail ? kTailSilenceMax : Duration(options_.attempt_timeout);
  if (asked != nullptr && now - waiting_since_ >= limit)
    asked->fail("no answer within the time-out");
  turn();
}

bool ClientCore::needs_target() const {
  if (!appends_.empty() || tail_.waiting || tail_.request != 0) return true;
  return std::any_of(reads_.begin(), reads_.end(),
                     [](const auto& read) { return read.second.options.node == NodeId{}; });
}

bool ClientCore::target_owes() const {
  if (opening_nonce_ != 0 || next_send_ > first_ || tail_.request != 0) return true;
  return std::any_of(reads_.begin(), reads_.end(), [](const auto& read) {
    return read.second.options.node == NodeId{} && read.second.asked != nullptr;
  });
}

// --- Connections and the leader
// ------------------------------------------------------------------------

ClientCore::Connection& ClientCore::connection(const net::Address& address) {
  auto& found = connections_[net::to_string(address)];
  if (!found) {
    found = std::make_unique<Connection>(
        loop_, dialer_, address, options_.cluster_name,
        Connection::Ports{[this](Connection& c) { on_ready(c); },
                          [this](Connection& c, const std::string& why) { on_lost(c, why); },
                          [this](Connection& c, net::Message& m) { on_message(c, m); },
                          [this] { wake(); }});
  }
  return *found;
}

ClientCore::Connection* ClientCore::target() {
  if (addresses_.empty()) return nullptr;
  Connection& found = connection(addresses_[target_index_ % addresses_.size()]);
  if (found.down() && loop_.now() >= target_again_at_) found.dial();
  return &found;
}

void ClientCore::learn(const std::string& address) {
  const auto parsed = net::parse_address(address);
  if (!parsed || std::find(addresses_.begin(), addresses_.end(), *parsed) != addresses_.end())
    return;
  addresses_.push_back(*parsed);
}

void ClientCore::on_ready(Connection& ready) {
  // Sessions and LSNs of one cluster mean nothing in another.
  if (ready.cluster_id() != 0 && cluster_id_ != 0 && ready.cluster_id() != cluster_id_) {
    return ready.fail("it belongs to another cluster than the one this client has spoken to");
  }
  if (ready.cluster_id() != 0) cluster_id_ = ready.cluster_id();
  ever_connected_ = true;
  waiting_since_ = loop_.now();
  ready.send(net::StatusAsk{0});  // Tells the members and their addresses.
  wake();
}

void ClientCore::on_lost(Connection& lost, const std::string& reason) {
  last_failure_ = net::to_string(lost.address()) + ": " + reason;
  for (auto& [request, read] : reads_) {
    if (read.asked == &lost) {
      read.asked = nullptr;
      read.again_at = loop_.now() + kBackoffMin;
    }
  }
  for (auto& [request, status] : statuses_) {
    const std::string address = net::to_string(lost.address());
    if (!status.nodes.contains(address)) continue;
    status.answered[address] = true;
    status.nodes[address].detail = reason;
  }
  if (!addresses_.empty() && &connection(addresses_[target_index_ % addresses_.size()]) == &lost) {
    leave_target({}, {});
  }
  wake();
}

void ClientCore::leave_target(const std::string& leader, const std::string& reason) {
  if (!reason.empty()) last_failure_ = reason;
  opening_nonce_ = 0;
  next_send_ = first_;
  tail_.request = 0;
  waiting_since_ = loop_.now();
  for (auto& [request, read] : reads_) {
    if (read.options.node == NodeId{}) read.asked = nullptr;
  }
  const auto hinted = net::parse_address(leader);
  if (hinted) learn(leader);
  const auto found =
      hinted ? std::find(addresses_.begin(), addresses_.end(), *hinted) : addresses_.end();
  if (found != addresses_.end()) {
    target_index_ = static_cast<std::size_t>(found - addresses_.begin());
  } else {
    ++target_index_;
  }
  // The first change is free; if it goes on, the cluster is between two leaders.
  const Duration delay = backoff_;
  backoff_ = std::clamp(2 * backoff_, kBackoffMin, kBackoffMax);
  target_again_at_ = loop_.now() + delay;
  appends_again_at_ = std::max(appends_again_at_, target_again_at_);
  for (auto& [request, read] : reads_) read.again_at = std::max(read.again_at, target_again_at_);
}

void ClientCore::on_message(Connection& from, net::Message& message) {
  if (&from == target()) waiting_since_ = loop_.now();
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    on_results(from, *results);
  } else if (const auto* result = std::get_if<net::ReadResult>(&message)) {
    on_read_result(from, *result);
  } else if (const auto* entries = std::get_if<net::TailEntries>(&message)) {
    on_tail_entries(*entries);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    on_session_opened(from, *opened);
  } else if (const auto* end = std::get_if<net::TailEnd>(&message)) {
    on_tail_end(from, *end);
  } else if (const auto* answer = std::get_if<net::StatusAnswer>(&message)) {
    on_status(from, *answer);
  }
}

// --- Appends
// -------------------------------------------------------------------------------------------

void ClientCore::append(std::span<const std::byte> payload, Lsn condition, Duration timeout,
                        std::unique_ptr<AppendDone> done) {
  AppendResult refused;
  Connection* leader = addresses_.empty() ? nullptr : target();
  const std::size_t limit = leader == nullptr ? 0 : leader->entry_bytes_max();
  if (limit != 0 && payload.size() > limit) {
    refused.detail = "the entry has " + std::to_string(payload.size()) + " bytes, the limit is " +
                     std::to_string(limit);
    return complete_later(std::move(done), Errc::too_large, std::move(refused));
  }
  const bool full =
      appends_.size() >= options_.waiting_max ||
      (waiting_bytes_ != 0 && waiting_bytes_ + payload.size() > options_.waiting_bytes_max);
  if (full) {
    refused.detail = "too many appends wait in this client";
    refused.retry_after = std::chrono::milliseconds(10);
    return complete_later(std::move(done), Errc::overloaded, std::move(refused));
  }
  closed_ = false;
  waiting_bytes_ += payload.size();
  appends_.push_back(
      {{payload.begin(), payload.end()}, condition, loop_.now() + timeout, std::move(done)});
  wake();
}

void ClientCore::complete_later(std::unique_ptr<AppendDone> done, std::optional<Errc> error,
                                AppendResult result) {
  completed_.push_back([done = std::shared_ptr<AppendDone>(std::move(done)), error,
                        result = std::move(result)] { done->done(error, result); });
  wake();
}

void ClientCore::open_session(Connection& leader) {
  if (opening_nonce_ != 0 || loop_.now() < appends_again_at_) return;
  const std::uint64_t nonce = loop_.random() | 1;
  const auto ttl_ms = static_cast<std::uint32_t>(options_.session_ttl.count());
  if (leader.send(net::OpenSession{nonce, options_.window, ttl_ms})) opening_nonce_ = nonce;
}

void ClientCore::on_session_opened(Connection& from, const net::SessionOpened& opened) {
  if (opening_nonce_ == 0 || opened.nonce != opening_nonce_) return;
  opening_nonce_ = 0;
  if (opened.outcome == net::Outcome::ok) {
    session_ = opened.session;
    first_ = next_send_ = Sequence{1};
    told_end_ = {};
    backoff_ = {};
  } else if (opened.outcome == net::Outcome::not_leader ||
             opened.outcome == net::Outcome::shutting_down ||
             opened.outcome == net::Outcome::unknown) {
    leave_target(opened.leader, net::to_string(from.address()) + " does not lead");
  } else if (opened.outcome == net::Outcome::no_space) {
    for (Pending& entry : std::exchange(appends_, {})) {
      AppendResult result;
      result.detail = "the cluster's disks are full";
      finish(entry, Errc::no_space, std::move(result));
    }
  } else {
    appends_again_at_ = loop_.now() + std::chrono::milliseconds(opened.retry_ms);
  }
  wake();
}

void ClientCore::send_appends(Connection& leader) {
  if (loop_.now() < appends_again_at_) return;
  while (true) {
    const std::size_t index = next_send_ - first_;
    if (index >= appends_.size() || index >= options_.window) return;
    const Pending& first = appends_[index];
    if (first.consumed) {
      ++next_send_;
      continue;
    }
    if (!first.skip && leader.entry_bytes_max() != 0 &&
        first.payload.size() > leader.entry_bytes_max()) {
      AppendResult result;
      result.may_be_appended = first.attempts != 0;
      result.detail = "the entry has " + std::to_string(first.payload.size()) +
                      " bytes, the limit is " + std::to_string(leader.entry_bytes_max());
      finish(appends_[index], Errc::too_large, std::move(result));
      continue;
    }
    // Neighbours travel together.
    std::size_t count = 1;
    std::size_t bytes = first.payload.size() + kEntryHeaderBytes;
    const std::size_t most = std::min<std::size_t>(appends_.size(), options_.window);
    while (index + count < most && first.condition == Lsn{}) {
      const Pending& next = appends_[index + count];
      const std::size_t more = next.payload.size() + kEntryHeaderBytes;
      // One that is over the limit is told so when its own turn comes, not with its neighbours.
      const bool over = !next.skip && leader.entry_bytes_max() != 0 &&
                        next.payload.size() > leader.entry_bytes_max();
      const bool fits = first.skip || (bytes + more <= kCommandBytesMax && !over);
      if (next.consumed || next.skip != first.skip || next.condition != Lsn{} || !fits) break;
      bytes += more;
      ++count;
    }
    if (!send_command(leader, index, count))
      return;  // Its queue is full: goes on when it has drained.
    next_send_ = next_send_ + count;
  }
}

bool ClientCore::send_command(Connection& leader, std::size_t index, std::size_t count) {
  Command command{.kind = appends_[index].skip ? CommandKind::skip : CommandKind::append,
                  .session = session_,
                  .sequence = first_ + index,
                  .count = static_cast<std::uint32_t>(count),
                  .acked = {first_.value - 1},
                  .condition = appends_[index].condition,
                  .entries = {}};
  std::size_t entries_bytes = 0;
  if (command.kind == CommandKind::append) {
    for (std::size_t i = index; i < index + count; ++i) {
      entries_bytes += kEntryHeaderBytes + appends_[i].payload.size();
    }
  }
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(Command::kHeaderBytes + entries_bytes);
  put_command_header(command, entries_bytes, *bytes);
  if (command.kind == CommandKind::append) {
    for (std::size_t i = index; i < index + count; ++i) put_entry(appends_[i].payload, *bytes);
  }
  const std::span<const std::byte> view(*bytes);
  if (!leader.send(net::Append{{std::move(bytes), view}})) return false;
  for (std::size_t i = index; i < index + count; ++i) {
    if (!appends_[i].skip) ++appends_[i].attempts;
  }
  return true;
}

std::vector<ClientCore::Pending*> ClientCore::range_of(const net::AppendResult& result) {
  std::vector<Pending*> found;
  const Sequence begin = std::max(result.sequence, first_);
  const Sequence end = std::min(result.sequence + result.count, first_ + appends_.size());
  for (Sequence at = begin; at < end; ++at) found.push_back(&appends_[at - first_]);
  return found;
}

void ClientCore::on_results(Connection& from, const net::AppendResults& results) {
  for (const net::AppendResult& result : results.results) {
    if (result.session == session_) on_result(from, result, results);
  }
  drop_consumed();
  // Outcomes come in order: if a later one has been told, an earlier answer was lost on its way.
  if (told_end_ > first_) resend_from(first_);
  wake();
}

void ClientCore::on_result(Connection& from, const net::AppendResult& result,
                           const net::AppendResults& all) {
  const bool from_target = &from == target();
  if (is_refusal(result.outcome)) {
    // That attempt was surely not appended: it counts no more.
    for (Pending* entry : range_of(result)) {
      if (entry->attempts != 0) --entry->attempts;
    }
  }
  switch (result.outcome) {
    case net::Outcome::ok:
    case net::Outcome::forgotten:
    case net::Outcome::skipped:
    case net::Outcome::condition_failed: {
      backoff_ = {};
      told_end_ = std::max(told_end_, result.sequence + result.count);
      Sequence at = std::max(result.sequence, first_);
      for (Pending* entry : range_of(result)) {
        AppendResult told;
        if (result.outcome == net::Outcome::ok) told.lsn = result.lsn + (at - result.sequence);
        std::optional<Errc> error;
        if (result.outcome == net::Outcome::condition_failed) {
          error = Errc::condition_failed;
          told.detail = "the next entry's LSN is not the one asked for";
        } else if (result.outcome == net::Outcome::skipped && entry->done) {
          error = Errc::timed_out;
          told.may_be_appended = true;
          told.detail = "another client has used this session";
        }
        entry->consumed = true;
        finish(*entry, error, std::move(told));
        ++at;
      }
      return;
    }
    case net::Outcome::resend:
      if (from_target) resend_from(result.resend_from);
      return;
    case net::Outcome::overloaded:
      if (!from_target) return;
      resend_from(result.sequence);
      appends_again_at_ = loop_.now() + std::chrono::milliseconds(all.retry_ms);
      return;
    case net::Outcome::no_space:
      on_refused(result, Errc::no_space);
      resend_from(result.sequence);
      appends_again_at_ = loop_.now() + kNoSpaceRetry;
      return;
    case net::Outcome::too_large:
      on_refused(result, Errc::too_large);
      resend_from(result.sequence);
      return;
    case net::Outcome::session_expired: on_session_expired(result); return;
    case net::Outcome::not_leader:
    case net::Outcome::unknown:
    case net::Outcome::shutting_down:
      if (from_target) leave_target(all.leader, net::to_string(from.address()) + " does not lead");
      return;
    case net::Outcome::trimmed:
    case net::Outcome::corrupt: return;
  }
}

// A refusal is definite only if no attempt may have been proposed.
void ClientCore::on_refused(const net::AppendResult& result, Errc error) {
  const bool too_large = error == Errc::too_large;
  bool surely_not_appended = false;
  const auto tell = [&](Pending& entry) {
    AppendResult told;
    told.may_be_appended = !surely_not_appended;
    told.detail =
        too_large ? "the entry is over the cluster's limit" : "the cluster's disks are full";
    finish(entry, error, std::move(told));
  };
  for (Pending* entry : range_of(result)) {
    surely_not_appended = entry->attempts == 0;
    if (surely_not_appended || too_large) tell(*entry);
  }
  if (too_large || !surely_not_appended) return;
  // Nothing passes a sequence that was never proposed: neither does what this connection was given
  // behind it, if that was its only attempt.
  for (Sequence at = std::max(result.sequence + result.count, first_);
       at < first_ + appends_.size(); ++at) {
    Pending& entry = appends_[at - first_];
    if (entry.attempts == 0 || (entry.attempts == 1 && at < next_send_)) tell(entry);
  }
}

void ClientCore::on_session_expired(const net::AppendResult& result) {
  session_ = {};
  const std::vector<Pending*> refused = range_of(result);
  std::deque<Pending> kept;
  // Sequences are consumed without gaps: behind one that surely was not, none was.
  bool surely_not_appended = false;
  for (Pending& entry : appends_) {
    if (!entry.done) continue;  // Nobody waits, and the new session does not know the sequence.
    const bool in_result = std::find(refused.begin(), refused.end(), &entry) != refused.end();
    surely_not_appended =
        surely_not_appended || entry.attempts == 0 || (entry.attempts == 1 && in_result);
    if (surely_not_appended) {
      entry.attempts = 0;
      kept.push_back(std::move(entry));
      continue;
    }
    AppendResult told;
    told.may_be_appended = true;
    told.detail = "the session expired while the append was under way";
    finish(entry, Errc::session_expired, std::move(told));
  }
  appends_ = std::move(kept);
  first_ = next_send_ = Sequence{1};
  told_end_ = {};
}

/// Tells the caller. Unless its sequence is consumed, the entry stays as a skip.
void ClientCore::finish(Pending& entry, std::optional<Errc> error, AppendResult result) {
  if (!entry.done) return;
  waiting_bytes_ -= entry.payload.size();
  entry.payload = {};
  entry.condition = {};
  entry.skip = true;
  complete_later(std::move(entry.done), error, std::move(result));
}

void ClientCore::drop_consumed() {
  while (!appends_.empty() && appends_.front().consumed) {
    appends_.pop_front();
    ++first_;
  }
  next_send_ = std::max(next_send_, first_);
}

void ClientCore::expire_appends(Time now) {
  for (Pending& entry : appends_) {
    if (!entry.done || now < entry.deadline) continue;
    AppendResult told;
    told.may_be_appended = entry.attempts != 0;
    told.detail = last_failure_.empty() ? "no answer in time" : last_failure_;
    finish(entry, ever_connected_ ? Errc::timed_out : Errc::unreachable, std::move(told));
  }
  // Without a session there are no sequences to consume.
  if (session_ == SessionId{}) {
    std::erase_if(appends_, [](const Pending& entry) { return !entry.done; });
  }
}

void ClientCore::resend_from(Sequence sequence) {
  sequence = std::max(sequence, first_);
  if (sequence >= next_send_) return;
  next_send_ = sequence;
  // A moment for the other answers of the same burst, which say the same.
  appends_again_at_ = std::max(appends_again_at_, loop_.now() + kBackoffMin);
}

void ClientCore::close() {
  Connection* leader = addresses_.empty() || session_ == SessionId{} ? nullptr : target();
  if (leader != nullptr && leader->ready() && appends_.empty()) {
    const Command command{.kind = CommandKind::close_session,
                          .session = std::exchange(session_, {}),
                          .sequence = first_,
                          .count = 1,
                          .acked = {first_.value - 1},
                          .condition = {},
                          .entries = {}};
    auto bytes = std::make_shared<std::vector<std::byte>>();
    put_command_header(command, 0, *bytes);
    const std::span<const std::byte> view(*bytes);
    leader->send(net::Append{{std::move(bytes), view}});
  }
  closed_ = true;
  timer_.reset();
  opening_nonce_ = 0;
  session_ = {};
  first_ = next_send_ = Sequence{1};
  told_end_ = {};
  abort_all("the client was closed");
  for (auto& [address, connection] : connections_) connection->close_gently();
  if (!completed_.empty()) wake();
}

// --- Reads
// ---------------------------------------------------------------------------------------------

void ClientCore::read(const ReadOptions& options, ReadDone done) {
  closed_ = false;
  PendingRead pending;
  pending.options = options;
  pending.done = std::move(done);
  pending.deadline = loop_.now() + options.timeout;
  reads_.emplace(++requests_, std::move(pending));
  wake();
}

ClientCore::Connection* ClientCore::connection_for(const PendingRead& read) {
  if (read.options.node == NodeId{}) return target();
  const auto member = members_.find(read.options.node);
  if (member != members_.end()) {
    if (const auto address = net::parse_address(member->second)) return &connection(*address);
  }
  // Not known yet: every node that can be reached tells the members.
  for (const net::Address& address : std::vector<net::Address>(addresses_)) {
    Connection& any = connection(address);
    if (any.ready() && any.node() == read.options.node) return &any;
    if (any.may_dial()) any.dial();
  }
  return nullptr;
}

void ClientCore::send_reads() {
  const Time now = loop_.now();
  for (auto& [request, read] : reads_) {
    if (read.asked != nullptr || now < read.again_at) continue;
    Connection* to = connection_for(read);
    if (to == nullptr) continue;
    if (read.options.node != NodeId{} && to->may_dial()) to->dial();
    if (!to->ready()) continue;
    const net::Read message{request, read.options.lsn_begin, read.options.lsn_end,
                            static_cast<std::uint32_t>(read.options.bytes_max),
                            read.options.node == NodeId{}};
    if (to->send(message)) read.asked = to;
  }
}

void ClientCore::on_read_result(Connection& from, const net::ReadResult& result) {
  const auto found = reads_.find(result.request);
  if (found == reads_.end() || found->second.asked != &from) return;
  PendingRead& read = found->second;
  ReadResult told;
  told.lsn_next = result.lsn_begin + result.count;
  told.lsn_end = result.lsn_end;
  told.first_lsn = result.first_lsn;
  told.detail = result.detail;
  switch (result.outcome) {
    case net::Outcome::ok: {
      const bool whole =
          read_entries(result.entries, result.lsn_begin, result.count,
                       [&](Entry entry) { told.entries.push_back(std::move(entry)); });
      if (!whole) {
        from.fail("it sent entries that cannot be read");
        return;
      }
      backoff_ = {};
      end_read(result.request, std::nullopt, std::move(told));
      return;
    }
    case net::Outcome::trimmed:
      told.detail = "entries below " + std::to_string(result.first_lsn.value) + " are trimmed";
      end_read(result.request, Errc::trimmed, std::move(told));
      return;
    case net::Outcome::corrupt: end_read(result.request, Errc::corrupt, std::move(told)); return;
    case net::Outcome::not_leader:
      if (read.options.node == NodeId{}) {
        leave_target(result.leader, net::to_string(from.address()) + " does not lead");
      }
      break;
    default: break;
  }
  read.asked = nullptr;
  read.again_at = std::max(read.again_at, loop_.now() + std::chrono::milliseconds(result.retry_ms));
}

void ClientCore::end_read(std::uint64_t request, std::optional<Errc> error, ReadResult result) {
  auto read = reads_.extract(request);
  if (read.empty()) return;
  completed_.push_back([done = std::move(read.mapped().done), error,
                        result = std::move(result)]() mutable { done(error, std::move(result)); });
  wake();
}

// --- Tails
// ---------------------------------------------------------------------------------------------

void ClientCore::tail(Lsn lsn_begin, ReadDone done) {
  closed_ = false;
  const bool goes_on = lsn_begin != Lsn{} && lsn_begin == tail_.told;
  if (!goes_on) {
    tail_ = {};
    tail_.next = tail_.told = lsn_begin;
  }
  tail_.waiting = std::move(done);
  deliver_tail();
  wake();
}

void ClientCore::subscribe(Connection& leader) {
  if (tail_.request != 0 || !tail_.waiting || loop_.now() < target_again_at_) return;
  const std::uint64_t request = ++requests_;
  if (!leader.send(net::Tail{request, tail_.next, kTailCreditBytes})) return;
  tail_.request = request;
  tail_.credit_used = 0;
}

void ClientCore::on_tail_entries(const net::TailEntries& entries) {
  if (entries.request != tail_.request || tail_.request == 0) return;
  backoff_ = {};
  if (tail_.next == Lsn{}) tail_.next = tail_.told = entries.lsn_begin;
  const bool joins = entries.lsn_begin == tail_.next;
  std::size_t bytes = 0;
  const bool whole =
      joins && read_entries(entries.entries, entries.lsn_begin, entries.count, [&](Entry entry) {
        bytes += entry.payload.size() + kEntryHeaderBytes;
        tail_.buffered.push_back(std::move(entry));
      });
  if (!whole) {
    // None twice, none missing: whatever does not join is not taken.
    while (!tail_.buffered.empty() && tail_.buffered.back().lsn >= tail_.next) {
      tail_.buffered.pop_back();
    }
    leave_target({}, "a tail that does not join");
    return;
  }
  tail_.next = tail_.next + entries.count;
  deliver_tail();
}

void ClientCore::deliver_tail() {
  if (!tail_.waiting || tail_.buffered.empty()) return;
  ReadResult result;
  std::size_t bytes = 0;
  for (Entry& entry : std::exchange(tail_.buffered, {})) {
    bytes += entry.payload.size() + kEntryHeaderBytes;
    result.entries.push_back(std::move(entry));
  }
  tail_.told = result.lsn_next = result.lsn_end = tail_.next;
  tail_.credit_used += static_cast<std::uint32_t>(bytes);
  send_tail_credit();
  completed_.push_back([done = std::exchange(tail_.waiting, nullptr),
                        result = std::move(result)]() mutable { done({}, std::move(result)); });
  wake();
}

void ClientCore::send_tail_credit() {
  if (tail_.request == 0 || tail_.credit_used < kTailCreditBytes / 2) return;
  Connection* leader = target();
  if (leader == nullptr || !leader->ready()) return;
  if (leader->send(net::TailCredit{tail_.request, tail_.credit_used})) tail_.credit_used = 0;
}

void ClientCore::on_tail_end(Connection& from, const net::TailEnd& end) {
  if (end.request != tail_.request || tail_.request == 0) return;
  tail_.request = 0;
  const bool trimmed = end.outcome == net::Outcome::trimmed;
  if ((trimmed || end.outcome == net::Outcome::corrupt) && tail_.waiting) {
    ReadResult result;
    result.first_lsn = end.first_lsn;
    result.detail = trimmed
                        ? "entries below " + std::to_string(end.first_lsn.value) + " are trimmed"
                        : end.detail;
    completed_.push_back([done = std::exchange(tail_.waiting, nullptr), trimmed,
                          result = std::move(result)]() mutable {
      done(trimmed ? Errc::trimmed : Errc::corrupt, std::move(result));
    });
  } else if (&from == target()) {
    leave_target(end.leader, net::to_string(from.address()) + " ended the tail");
  }
  wake();
}

// --- Status
// --------------------------------------------------------------------------------------------

void ClientCore::status(Duration timeout, StatusDone done) {
  closed_ = false;
  PendingStatus pending;
  pending.done = std::move(done);
  pending.deadline = loop_.now() + timeout;
  statuses_.emplace(++requests_, std::move(pending));
  wake();
}

void ClientCore::send_status() {
  const Time now = loop_.now();
  std::vector<std::uint64_t> finished;
  for (auto& [request, status] : statuses_) {
    bool all = true;
    for (const net::Address& address : std::vector<net::Address>(addresses_)) {
      const std::string name = net::to_string(address);
      const bool fresh = !status.nodes.contains(name);
      NodeStatus& node = status.nodes[name];
      node.address = address;
      Connection& to = connection(address);
      if (fresh) {
        node.detail = "no answer within the time-out";
        if (to.may_dial()) to.dial();
        status.answered[name] = false;
      }
      if (!status.answered[name]) all = false;
      if (!status.answered[name] && to.ready() && !node.reachable) {
        node.reachable = to.send(net::StatusAsk{request});
      }
    }
    if (all || now >= status.deadline) finished.push_back(request);
  }
  for (std::uint64_t request : finished) {
    auto status = statuses_.extract(request);
    std::vector<NodeStatus> nodes;
    for (auto& [name, node] : status.mapped().nodes) {
      node.reachable = node.answer.node != NodeId{};
      for (const auto& [id, address] : members_) {
        if (!node.reachable && address == name) node.answer.node = id;
      }
      nodes.push_back(std::move(node));
    }
    // One node may be known under two names.
    std::stable_sort(nodes.begin(), nodes.end(), [](const NodeStatus& a, const NodeStatus& b) {
      return std::pair(a.answer.node, !a.reachable) < std::pair(b.answer.node, !b.reachable);
    });
    const auto same = [](const NodeStatus& a, const NodeStatus& b) {
      return a.answer.node != NodeId{} && a.answer.node == b.answer.node;
    };
    nodes.erase(std::unique(nodes.begin(), nodes.end(), same), nodes.end());
    completed_.push_back(
        [done = std::move(status.mapped().done), nodes = std::move(nodes)] { done(nodes); });
    wake();
  }
}

void ClientCore::on_status(Connection& from, const net::StatusAnswer& answer) {
  for (const net::MemberAddress& member : answer.members) {
    members_[member.node] = member.address;
    learn(member.address);
  }
  const auto found = statuses_.find(answer.request);
  if (found != statuses_.end()) {
    const std::string name = net::to_string(from.address());
    NodeStatus& node = found->second.nodes[name];
    node.answer = answer;
    node.detail.clear();
    found->second.answered[name] = true;
  }
  wake();
}

}  // namespace stele::log
