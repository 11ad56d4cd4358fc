#include "log/client/client_core.h"

#include <algorithm>
#include <utility>

#include <stele/version.h>
#include "log/client/node_link.h"

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(40);
/// While something is to be tried again.
constexpr Duration kTickSoon = std::chrono::milliseconds(10);
constexpr Duration kBackoffMax = std::chrono::milliseconds(60);
/// So much in a queue is an upload under way.
constexpr std::size_t kUploadBytesMin = 16 << 10;
/// A node keeps an idle tail alive once a second.
constexpr Duration kTailSilenceMax = std::chrono::seconds(3);
/// A node is given so many times what its answers have taken of late,
constexpr int kPatience = 4;
/// Of so many attempts' time-outs at most.
constexpr int kGapTimeouts = 4;
/// and twice as long for each one before it that did not answer, up to so many.
constexpr int kLeftSilentMax = 4;
/// In all, of an attempt's time-outs; a node that says that it leads is given some times as long.
constexpr int kPatienceTimeouts = 16;

}  // namespace

ClientCore::ClientCore(net::Loop& loop, net::Dialer& dialer, ClientOptions options)
    : loop_(loop), dialer_(dialer), options_(std::move(options)) {
  addresses_ = options_.addresses;
  options_.window = std::clamp<std::uint32_t>(options_.window, 1, 65536);
  if (!addresses_.empty()) target_index_ = loop_.random() % addresses_.size();
}

ClientCore::~ClientCore() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  abort_operations(Errc::shutting_down, "the client was destroyed");
  end_statuses();
  // What they append now ends with the client, untold.
  for (std::size_t left = completed_.size(); left != 0 && call_next(); --left) {
  }
  // Others may share them.
  for (auto& [address, connection] : connections_) connection->close_gently();
}

void ClientCore::abort_operations(Errc error, const std::string& detail) {
  for (Pending& entry : std::exchange(appends_, {})) {
    AppendResult result;
    result.may_be_appended = entry.attempts != 0;
    result.detail = detail;
    finish(entry, error, std::move(result));
  }
  const auto abort_read = [&](ReadDone done) {
    ReadResult result;
    result.detail = detail;
    call_later([done = std::move(done), error, result] { done(error, result); });
  };
  for (auto& [request, read] : std::exchange(reads_, {})) abort_read(std::move(read.done));
  if (tail_.waiting) abort_read(std::move(tail_.waiting));
  tail_ = {};
  // Their sequences go with their session: others would be answered in their place.
  session_ = {};
  opening_nonce_ = session_nonce_ = 0;
  resend_later_.reset();
  resent_until_ = {};
  resent_end_ = 0;
  first_ = next_send_ = stop_begin_ = Sequence{1};
  told_end_ = {};
}

void ClientCore::end_statuses() {
  for (auto& [request, status] : std::exchange(statuses_, {})) {
    call_later([done = std::move(status.done)] { done({}); });
  }
}

// --- Turns -----------------------------------------------------------------------------

void ClientCore::wake() {
  if (!timer_ && !closed_) tick();
  if (std::exchange(woken_, true)) return;
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) turn();
  });
}

/// What those appended who have been told leaves before the others are, so that the leader has
/// something to do meanwhile.
void ClientCore::send_half() {
  fresh_bytes_ = 0;
  if (closed_ || session_ == SessionId{}) return;
  Connection* leader = target();
  if (leader == nullptr || !leader->ready()) return;
  send_appends(*leader);
  leader->flush();
}

void ClientCore::call_later(std::function<void()> call) {
  completed_.push_back({{}, {}, std::move(call)});
}

/// False if there is nothing to be told. The client may be gone afterwards.
bool ClientCore::call_next() {
  if (completed_.empty()) return false;
  Completed next = std::move(completed_[told_++]);
  if (told_ == completed_.size()) {
    completed_.clear();
    told_ = 0;
  }
  if (next.call) {
    next.call();
  } else {
    AppendResult result;
    result.lsn = next.lsn;
    next.append->complete({}, std::move(result));
  }
  return true;
}

void ClientCore::turn() {
  // What is called appends again, most likely, which then leaves in this same turn.
  woken_ = true;
  if (std::exchange(takes_back_, false)) take_back();
  bool destroyed = false;
  bool* const outer = std::exchange(destroyed_, &destroyed);  // Of a caller that runs the loop.
  const std::size_t half = completed_.size() / 2;
  for (std::size_t left = completed_.size(); left != 0 && call_next(); --left) {
    if (destroyed) {  // The client has called the others.
      if (outer != nullptr) *outer = true;
      return;
    }
    if (left == half && fresh_bytes_ >= kCommandBytesMax) send_half();
  }
  destroyed_ = outer;
  completed_.erase(completed_.begin(), completed_.begin() + static_cast<std::ptrdiff_t>(told_));
  told_ = 0;
  woken_ = false;
  if (!completed_.empty()) wake();
  if (closed_) return;
  send_tail_credit();
  if (needs_target()) {
    if (Connection* leader = target();
        leader != nullptr && leader->ready() && addresses_are_checked()) {
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
  if (addresses_are_checked()) send_reads();
  send_status();
}

void ClientCore::tick() {
  const bool first = !timer_;
  const Time now = loop_.now();
  tick_at_ = now + kTickEvery;
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  if (first) appends_since_ = tail_since_ = appends_served_at_ = served_at_ = now;
  if (first) return;
  expire_appends(now);
  look_at_resend(now);
  std::vector<std::uint64_t> late;
  for (const auto& [request, read] : reads_) {
    const NodeId node = read.options.node;
    const bool unknown_node = node != NodeId{} && !members_.empty() && !members_.contains(node);
    if (now >= read.deadline || unknown_node) late.push_back(request);
  }
  for (std::uint64_t request : late) {
    ReadResult result;
    result.detail = last_failure_;
    const NodeId node = reads_[request].options.node;
    if (node != NodeId{} && !members_.empty() && !members_.contains(node)) {
      result.detail = "the cluster has no node " + std::to_string(node.value);
    }
    const bool reached = reads_[request].asked != nullptr || reads_[request].answered ||
                         (ever_connected_ && reads_[request].options.node == NodeId{});
    end_read(request, reached ? Errc::timed_out : Errc::unreachable, std::move(result));
  }
  for (auto& [address, connection] : connections_) {
    if (connection->overdue(now, 2 * options_.attempt_timeout)) {
      connection->fail("no handshake within the time-out");
    }
  }
  Connection* asked = needs_target() || target_owes() ? target() : nullptr;
  look_at_upload(asked, now);
  look_at_download(asked, now);
  tell_waiting(now);
  if (asked != nullptr && target_silent(*asked, now)) {
    silent_[asked->name()] = now;
    for (auto& [request, read] : reads_) {
      const bool owed = read.options.node == NodeId{} && read.asked != nullptr;
      const bool overdue = owed && now - read.asked_at >= read_patience(read);
      if (overdue) read.unanswered = std::min(read.unanswered + 1, kLeftSilentMax);
    }
    if (appends_owed()) left_silent_ = std::min(left_silent_ + 1, kLeftSilentMax);
    asked->fail("no answer within the time-out");
  }
  const std::weak_ptr<bool> alive = alive_;
  turn();
  if (!alive.expired() && idle()) timer_.reset();  // The next operation begins to tick again.
}

/// What is missed is sent again when what was sent again before must have come, or comes no more:
/// on a shared connection how much has left is known only roughly.
void ClientCore::look_at_resend(Time now) {
  if (!resend_later_) return;
  if (*resend_later_ < first_) resend_later_ = resend_last_;  // It has come.
  if (*resend_later_ < first_) return resend_later_.reset();
  const Connection* leader = target();
  const std::uint64_t left = leader == nullptr ? 0 : leader->left_bytes();
  if (left < resent_end_ && std::exchange(resend_left_, left) != left) {
    resend_at_ = now + options_.attempt_timeout;
  }
  if (now < resend_at_) return;
  resent_end_ = 0;
  resend_from(*std::exchange(resend_later_, std::nullopt));
}

/// A large upload over a slow line is progress, though nothing is answered. What only lies in the
/// queue for the moment is none: it leaves, whether anybody reads it or not.
void ClientCore::look_at_upload(Connection* asked, Time now) {
  const std::uint64_t left = asked == nullptr ? 0 : asked->left_bytes();
  const bool uploads = target_queued_ >= kUploadBytesMin && left != target_left_;
  if (!appends_owed() || uploads) appends_since_ = now;
  if (tail_.request == 0) tail_since_ = now;
  target_queued_ = asked == nullptr ? 0 : asked->queued_bytes();
  target_left_ = left;
}

/// So is a large answer that comes over a slow line: reads and tails wait for it.
void ClientCore::look_at_download(Connection* asked, Time now) {
  const std::size_t receiving = asked == nullptr ? 0 : asked->receiving_bytes();
  if (std::exchange(target_receiving_, receiving) == receiving || receiving == 0) return;
  tail_since_ = now;
  for (auto& [request, read] : reads_) {
    if (read.options.node == NodeId{} && read.asked != nullptr) read.asked_at = now;
  }
}

/// Each operation has a wait of its own: what else the node says does not answer it. But a node
/// that says in the midst of it that it leads may only have much to write: it is given longer.
bool ClientCore::target_silent(Connection& target, Time now) {
  if (tail_.request != 0 && now - tail_since_ >= kTailSilenceMax) return true;
  const double waited = longest_wait(now);
  if (waited >= allowance_) return true;
  if (waited < 0.5) {
    allowance_ = 1;
    asks_whether_it_leads_ = false;
  } else if (waited >= allowance_ / 2 && allowance_ < kAllowanceMax && !asks_whether_it_leads_) {
    asks_whether_it_leads_ = target.send(net::StatusAsk{0});
  }
  return false;
}

/// Of all operations that the target owes, in what each is given.
double ClientCore::longest_wait(Time now) const {
  const auto in = [](Duration waited, Duration given) {
    return static_cast<double>(waited.count()) / static_cast<double>(given.count());
  };
  double most = appends_owed() ? in(now - appends_since_, patience(appends_gap_)) : 0;
  for (const auto& [request, read] : reads_) {
    if (read.options.node != NodeId{} || read.asked == nullptr) continue;
    most = std::max(most, in(now - read.asked_at, read_patience(read)));
  }
  return most;
}

Duration ClientCore::read_patience(const PendingRead& read) const {
  return Duration(options_.attempt_timeout) * (1 << read.unanswered);
}

/// So long a node is waited for that usually takes that long. If several did not answer, more is
/// slow than one of them.
Duration ClientCore::patience(Duration usual) const {
  const Duration timeout = options_.attempt_timeout;
  const Duration patience = std::max(timeout, kPatience * usual) * (1 << left_silent_);
  return std::min(patience, kPatienceTimeouts * timeout);
}

void ClientCore::on_append_progress() {
  const Time now = loop_.now();
  appends_gap_ = std::max(now - appends_since_, appends_gap_ - appends_gap_ / 16);
  // A node that stood still once is not waited for for ever the next time.
  appends_gap_ = std::min<Duration>(appends_gap_, kGapTimeouts * options_.attempt_timeout);
  appends_since_ = now;
  left_silent_ = 0;
}

/// Something is to be tried again soon.
void ClientCore::tick_soon() {
  if (!timer_ || tick_at_ <= loop_.now() + kTickSoon) return;
  tick_at_ = loop_.now() + kTickSoon;
  timer_ = loop_.after(kTickSoon, [this] { tick(); });
}

/// Nobody waits, and nothing is awaited.
bool ClientCore::idle() const {
  const bool shaking_hands =
      std::any_of(connections_.begin(), connections_.end(),
                  [](const auto& connection) { return connection.second->shaking_hands(); });
  return !shaking_hands && !needs_target() && !target_owes() && reads_.empty() &&
         statuses_.empty() && completed_.empty();
}

bool ClientCore::needs_target() const {
  if (!appends_.empty() || tail_.waiting || tail_.request != 0) return true;
  return std::any_of(reads_.begin(), reads_.end(),
                     [](const auto& read) { return read.second.options.node == NodeId{}; });
}

bool ClientCore::target_owes() const {
  if (appends_owed() || tail_.request != 0) return true;
  return std::any_of(reads_.begin(), reads_.end(), [](const auto& read) {
    return read.second.options.node == NodeId{} && read.second.asked != nullptr;
  });
}

// --- Connections and the leader --------------------------------------------------------

ClientCore::Connection& ClientCore::connection(const Address& address) {
  auto& found = connections_[address];
  if (!found) found = std::make_unique<Connection>(*this, address);
  return *found;
}

ClientCore::Connection* ClientCore::target() {
  if (addresses_.empty()) return nullptr;
  const std::size_t index = target_index_ % addresses_.size();
  if (std::exchange(target_known_, index) != index) target_ = &connection(addresses_[index]);
  if (target_->down()) {
    if (loop_.now() >= target_again_at_) {
      target_->dial();
    } else {
      tick_soon();
    }
  }
  return target_;
}

void ClientCore::learn(const std::string& address) {
  const auto parsed = parse_address(address);
  if (!parsed || std::find(addresses_.begin(), addresses_.end(), *parsed) != addresses_.end())
    return;
  addresses_.push_back(*parsed);
}

void ClientCore::on_ready(Connection& ready) {
  if (!options_.cluster_name.empty() && ready.cluster_name() != options_.cluster_name) {
    return on_wrong_cluster(ready, "it belongs to the cluster '" + ready.cluster_name() +
                                       "', not to '" + options_.cluster_name + "'");
  }
  // Sessions and LSNs of one cluster mean nothing in another.
  if (ready.cluster_id() != 0 && cluster_id_ != 0 && ready.cluster_id() != cluster_id_) {
    return on_wrong_cluster(
        ready, "it belongs to the cluster " + to_hex(ready.cluster_id()) +
                   ", another one than this client has spoken to, " + to_hex(cluster_id_) +
                   ": that was made anew, or the addresses are of several clusters");
  }
  if (ready.cluster_id() != 0) cluster_id_ = ready.cluster_id();
  ever_connected_ = true;
  resent_end_ = 0;  // It counts from the beginning.
  silent_.erase(ready.name());
  appends_since_ = tail_since_ = loop_.now();
  ready.send(net::StatusAsk{0});  // Tells the members and their addresses.
  wake();
}

/// Nothing is to get into a cluster that is not meant, nor to be told of one. One node that is not
/// meant is passed over, as long as others serve.
void ClientCore::on_wrong_cluster(Connection& wrong, const std::string& why) {
  const bool served = std::ranges::any_of(connections_, [&](const auto& known) {
    const Connection& other = *known.second;
    return &other != &wrong && other.ready() && other.cluster_id() != 0 &&
           other.cluster_id() == cluster_id_ &&
           (options_.cluster_name.empty() || other.cluster_name() == options_.cluster_name);
  });
  const bool checks = options_.check_addresses && !addresses_checked_;
  const std::string detail = wrong.name() + ": " + why;
  wrong.fail(why);
  if (served && !checks) return wake();
  addresses_checked_ = false;  // What comes next is not to get into the other one.
  checked_since_ = {};
  abort_operations(Errc::refused, detail);
  wake();
}

/// All that were given have said which cluster is theirs, or do not answer now.
bool ClientCore::addresses_are_checked() {
  constexpr Duration kCheckWithin = std::chrono::milliseconds(300);
  if (addresses_checked_ || !options_.check_addresses) return true;
  const Time now = loop_.now();
  if (checked_since_ == Time{}) {
    checked_since_ = now;
    for (const Address& address : options_.addresses) {
      if (connection(address).down()) connection(address).dial();
    }
  }
  const bool waits = std::ranges::any_of(options_.addresses, [this](const Address& address) {
    return connection(address).shaking_hands();
  });
  if (waits && now - checked_since_ < kCheckWithin) {
    tick_soon();
    return false;
  }
  addresses_checked_ = true;
  return true;
}

/// Who waits for long wants to know for what.
void ClientCore::tell_waiting(Time now) {
  constexpr Duration kTellAfter = std::chrono::seconds(2);
  constexpr Duration kTellEvery = std::chrono::seconds(10);
  // Appends are one thing, reads and tails another: what comes for these does not serve those.
  if (appends_.empty()) appends_served_at_ = now;
  if (!tail_.waiting && tail_.request == 0 && reads_.empty()) served_at_ = now;
  const Time since = std::min(appends_served_at_, served_at_);
  if (!options_.on_waiting || now - since < kTellAfter) return;
  if (waiting_told_at_ != Time{} && now - waiting_told_at_ < kTellEvery) return;
  waiting_told_at_ = now;
  const bool asked = last_failure_.empty() && needs_target() && target_ != nullptr;
  const std::string why = asked ? target_->name() + " has not answered yet" : last_failure_;
  if (!why.empty()) call_later([tell = options_.on_waiting, why] { tell(why); });
}

void ClientCore::on_lost(Connection& lost, const std::string& reason) {
  last_failure_ = lost.name() + ": " + reason;
  for (auto& [request, read] : reads_) {
    if (read.asked == &lost) {
      read.asked = nullptr;
      read.again_at = loop_.now() + kBackoffMin;
    }
  }
  for (auto& [request, status] : statuses_) {
    const std::string address = lost.name();
    if (!status.nodes.contains(address)) continue;
    status.answered[address] = true;
    status.nodes[address].detail = reason;
  }
  if (!addresses_.empty() && &connection(addresses_[target_index_ % addresses_.size()]) == &lost) {
    leave_target({}, {});
  }
  wake();
}

bool ClientCore::is_silent(const Address& address) const {
  const auto found = silent_.find(to_string(address));
  return found != silent_.end() && loop_.now() - found->second < 4 * options_.attempt_timeout;
}

void ClientCore::leave_target(const std::string& leader, const std::string& reason) {
  if (!reason.empty()) last_failure_ = reason;
  resend_later_.reset();
  resent_until_ = std::max(resent_until_, next_send_);
  resent_end_ = 0;
  opening_nonce_ = 0;
  next_send_ = first_;
  tail_.request = 0;
  appends_since_ = tail_since_ = loop_.now();
  for (auto& [request, read] : reads_) {
    if (read.options.node == NodeId{}) read.asked = nullptr;
  }
  allowance_ = 1;
  asks_whether_it_leads_ = false;
  target_leads_ = false;
  leader_hint_ = leader;
  hint_from_ = nullptr;
  const auto hinted = parse_address(leader);
  if (hinted) learn(leader);
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
  appends_again_at_ = std::max(appends_again_at_, target_again_at_);
  for (auto& [request, read] : reads_) read.again_at = std::max(read.again_at, target_again_at_);
}

/// A handler that is told something may destroy the client.
void ClientCore::on_message(Connection& from, net::Message& message) {
  const bool turn_comes = std::exchange(woken_, true);
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    on_results(from, *results);
  } else if (const auto* result = std::get_if<net::ReadAnswer>(&message)) {
    on_read_result(from, *result);
  } else if (const auto* entries = std::get_if<net::TailEntries>(&message)) {
    on_tail_entries(*entries);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    on_session_opened(from, *opened);
  } else if (const auto* end = std::get_if<net::TailEnd>(&message)) {
    on_tail_end(from, *end);
  } else if (const auto* answer = std::get_if<net::StatusAnswer>(&message)) {
    on_status(from, *answer);
  } else if (std::holds_alternative<net::KeepAlive>(message) && &from == target()) {
    tail_since_ = served_at_ = loop_.now();
  }
  // Not in a turn of its own: among a thousand clients, another one would come between.
  if (!turn_comes) turn();
}

}  // namespace stele::log
