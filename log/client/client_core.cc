#include "log/client/client_core.h"

#include <algorithm>
#include <utility>

namespace stele::log {
namespace {

constexpr Duration kTickEvery = std::chrono::milliseconds(40);
/// While something is to be tried again.
constexpr Duration kTickSoon = std::chrono::milliseconds(10);

ClientOptions within_bounds(ClientOptions options) {
  constexpr std::chrono::milliseconds kLeast{1};
  constexpr std::chrono::milliseconds kMost = std::chrono::hours(1);
  options.window = std::clamp<std::uint32_t>(options.window, 1, 65536);
  options.session_ttl = std::clamp(options.session_ttl, kLeast, kMost);
  options.attempt_timeout = std::clamp(options.attempt_timeout, kLeast, kMost);
  return options;
}

}  // namespace

ClientCore::ClientCore(net::Loop& loop, net::Dialer& dialer, ClientOptions options)
    : loop_(loop),
      options_(within_bounds(std::move(options))),
      nodes_(loop, dialer, options_, *this, *this),
      patience_(options_.attempt_timeout),
      parts_{loop_, options_, *this, nodes_, patience_, completions_},
      appends_(parts_),
      reads_(parts_),
      subscription_(parts_),
      statuses_(parts_) {}

ClientCore::~ClientCore() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  end_operations(Errc::shutting_down, "the client was destroyed");
  statuses_.end_all();
  // What is appended while they are called ends with the client, untold.
  for (std::size_t left = completions_.size(); left != 0 && completions_.tell_next(); --left) {
  }
  nodes_.close_gently();  // Others may share the connections.
}

// --- Operations ------------------------------------------------------------------------

void ClientCore::append(const Asked& asked, Duration timeout, std::unique_ptr<AppendDone> done) {
  if (appends_.append(asked, timeout, std::move(done))) closed_ = false;
  wake();
}

void ClientCore::read(const ReadOptions& options, ReadDone done) {
  closed_ = false;
  reads_.read(options, std::move(done));
}

void ClientCore::retention(Duration timeout, RetentionDone done) {
  closed_ = false;
  reads_.read_retention(timeout, std::move(done));
}

void ClientCore::tail(Lsn lsn_begin, ReadDone done) {
  closed_ = false;
  subscription_.tail(lsn_begin, std::move(done));
}

void ClientCore::status(Duration timeout, StatusDone done) {
  closed_ = false;
  statuses_.status(timeout, std::move(done));
}

void ClientCore::close() {
  NodeLink* leader = appends_.has_session() ? nodes_.target() : nullptr;
  if (leader != nullptr && leader->ready()) appends_.close_session(*leader);
  closed_ = true;
  timer_.reset();
  end_operations(Errc::shutting_down, "the client was closed");
  statuses_.end_all();
  appends_.forget_stop();
  nodes_.close_gently();
  if (!completions_.empty()) wake();
}

void ClientCore::end_operations(Errc error, const std::string& detail) {
  appends_.end_all(error, detail);
  reads_.end_all(error, detail);
  subscription_.end(error, detail);
}

// --- Turns -----------------------------------------------------------------------------

/// Notices that the client is destroyed by what it calls. One within the other, if a caller runs
/// the loop. A caller may throw.
class ClientCore::Alive {
 public:
  explicit Alive(ClientCore& core) : core_(core), outer_(core.destroyed_) {
    core.destroyed_ = &destroyed_;
  }
  ~Alive() {
    if (!destroyed_) {
      core_.destroyed_ = outer_;
      core_.woken_ = false;
    } else if (outer_ != nullptr) {
      *outer_ = true;
    }
  }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;

  [[nodiscard]] bool destroyed() const { return destroyed_; }

 private:
  ClientCore& core_;
  bool* outer_;
  bool destroyed_ = false;
};

void ClientCore::wake() {
  if (!timer_ && !closed_) tick();
  if (std::exchange(woken_, true)) return;
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) turn();
  });
}

void ClientCore::turn() {
  // What is called appends again, most likely, which then leaves in this same turn.
  woken_ = true;
  appends_.take_back();
  if (!tell()) return;
  if (!completions_.empty()) wake();
  if (!closed_) send();
}

/// Tells what is to be told by now; false if the client is gone.
bool ClientCore::tell() {
  Alive alive(*this);
  const std::size_t half = completions_.size() / 2;
  for (std::size_t left = completions_.size(); left != 0 && completions_.tell_next(); --left) {
    if (alive.destroyed()) return false;  // The client has called the others.
    // What the first half has appended leaves now, so that the leader has something to do while the
    // others are told.
    if (left == half && appends_.has_message() && !closed_) appends_.send_early();
  }
  completions_.drop_told();
  return true;
}

void ClientCore::send() {
  subscription_.send_credit();
  if (needs_target()) {
    NodeLink* leader = nodes_.target();
    if (leader != nullptr && leader->ready() && nodes_.addresses_are_checked()) {
      appends_.send(*leader);
      subscription_.subscribe(*leader);
    }
  }
  if (nodes_.addresses_are_checked()) reads_.send();
  statuses_.send();
}

void ClientCore::tick() {
  const bool first = !timer_;
  const Time now = loop_.now();
  tick_at_ = now + kTickEvery;
  timer_ = loop_.after(kTickEvery, [this] { tick(); });
  if (first) return patience_.begin(now);
  appends_.expire(now);
  appends_.look_at_resend(now);
  reads_.expire(now);
  nodes_.fail_overdue(now);
  look_at_target(now);
  const std::weak_ptr<bool> alive = alive_;
  turn();
  if (!alive.expired() && idle()) timer_.reset();  // The next operation begins to tick again.
}

void ClientCore::tick_soon() {
  if (!timer_ || tick_at_ <= loop_.now() + kTickSoon) return;
  tick_at_ = loop_.now() + kTickSoon;
  timer_ = loop_.after(kTickSoon, [this] { tick(); });
}

/// Nobody waits, and nothing is awaited.
bool ClientCore::idle() const {
  return !nodes_.any_shaking_hands() && !needs_target() && !target_owes() && reads_.empty() &&
         statuses_.empty() && completions_.empty();
}

// --- The target ------------------------------------------------------------------------

bool ClientCore::needs_target() const {
  return !appends_.empty() || subscription_.waits() || subscription_.under_way() ||
         reads_.need_target();
}

bool ClientCore::target_owes() const {
  return appends_.owed() || subscription_.under_way() || reads_.target_owes();
}

Patience::Owed ClientCore::owed(Time now) const {
  return {appends_.owed(), subscription_.under_way(), reads_.longest_wait(now)};
}

void ClientCore::look_at_target(Time now) {
  NodeLink* asked = needs_target() || target_owes() ? nodes_.target() : nullptr;
  patience_.look_at_upload(asked, owed(now), now);
  if (patience_.look_at_download(asked, now)) reads_.on_download(now);
  tell_waiting(now);
  if (asked == nullptr || !patience_.is_silent(*asked, owed(now), now)) return;
  nodes_.on_silent(*asked);
  reads_.on_target_silent(now);
  patience_.on_silent(owed(now));
  asked->fail("no answer within the time-out");
}

/// A user that waits for long wants to know for what.
void ClientCore::tell_waiting(Time now) {
  const bool others_wait = subscription_.waits() || subscription_.under_way() || !reads_.empty();
  if (!options_.on_waiting) return;
  if (!patience_.is_to_be_told(!appends_.empty(), others_wait, now)) return;
  std::string why = nodes_.last_failure();
  const NodeLink* target = nodes_.last_target();
  if (why.empty() && needs_target() && target != nullptr)
    why = target->name() + " has not answered yet";
  if (!why.empty()) completions_.add([tell = options_.on_waiting, why] { tell(why); });
}

void ClientCore::leave_target(const std::string& leader, const std::string& reason) {
  if (!reason.empty()) nodes_.on_failure(reason);
  appends_.on_target_left();
  subscription_.on_target_left();
  reads_.on_target_left();
  patience_.on_target_left(loop_.now());
  nodes_.leave_target(leader);
  appends_.wait_until(nodes_.target_again_at());
  reads_.wait_until(nodes_.target_again_at());
}

// --- What comes over the links ---------------------------------------------------------

void ClientCore::on_ready(NodeLink& ready) {
  if (const auto why = nodes_.admit(ready)) return on_wrong_cluster(ready, *why);
  appends_.on_reconnected();
  patience_.restart(loop_.now());
  ready.send(net::StatusAsk{0});  // Tells the members and their addresses.
  wake();
}

/// Nothing is to get into a cluster that is not meant, nor to be told of one. One node that is not
/// meant is passed over, as long as others serve.
void ClientCore::on_wrong_cluster(NodeLink& wrong, const std::string& why) {
  const bool passed_over = nodes_.passes_over(wrong);
  const std::string detail = wrong.name() + ": " + why;
  wrong.fail(why);
  if (!passed_over) end_operations(Errc::refused, detail);
  wake();
}

void ClientCore::on_lost(NodeLink& lost, const std::string& reason) {
  nodes_.on_failure(lost.name() + ": " + reason);
  reads_.on_lost(lost);
  statuses_.on_lost(lost, reason);
  if (nodes_.is_taken_for_target(lost)) leave_target({}, {});
  wake();
}

/// A handler that is told something may destroy the client.
void ClientCore::on_message(NodeLink& from, net::Message& message) {
  const bool turn_comes = std::exchange(woken_, true);
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    appends_.on_results(from, *results);
  } else if (const auto* answer = std::get_if<net::ReadAnswer>(&message)) {
    reads_.on_answer(from, *answer);
  } else if (const auto* entries = std::get_if<net::TailEntries>(&message)) {
    subscription_.on_entries(*entries);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    appends_.on_session_opened(from, *opened);
  } else if (const auto* end = std::get_if<net::TailEnd>(&message)) {
    subscription_.on_end(from, *end);
  } else if (const auto* status = std::get_if<net::StatusAnswer>(&message)) {
    on_status(from, *status);
  } else if (std::holds_alternative<net::KeepAlive>(message) && nodes_.is_target(from)) {
    patience_.on_tail(loop_.now());
  }
  // Not in a turn of its own: among a thousand clients, another one would come between.
  if (!turn_comes) turn();
}

void ClientCore::on_status(NodeLink& from, const net::StatusAnswer& answer) {
  const NodeReport& report = answer.report;
  const bool leads = report.role == "leader";
  if (leads && nodes_.is_target(from)) nodes_.set_target_leads(true);
  for (const MemberAddress& member : report.members) nodes_.learn(member.node, member.address);
  if (nodes_.is_target(from) && patience_.take_question()) {
    if (leads) {
      patience_.on_says_that_it_leads();
    } else {
      const auto leader = nodes_.members().find(report.leader);
      leave_target(leader == nodes_.members().end() ? "" : leader->second,
                   from.name() + " does not lead");
    }
  }
  statuses_.on_answer(from, answer);
  wake();
}

}  // namespace stele::log
