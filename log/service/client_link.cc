#include "log/service/client_link.h"

#include <algorithm>
#include <utility>

#include "net/wire/frame.h"

namespace stele::log {
namespace {

constexpr Duration kKeepAliveEvery = std::chrono::seconds(1);
constexpr Duration kGuestStays = std::chrono::seconds(5);
/// Reads wait while this much is queued for a client.
constexpr std::size_t kQueuedBytesMax = 4 << 20;
/// Of one client at a time; each answer has up to 1 MiB.
constexpr std::size_t kReadsUnderWayMax = 4;
/// Results in one message.
constexpr std::size_t kResultsMax = 8192;
/// Of a tail in one message.
constexpr std::size_t kTailBytesMax = 256 << 10;

}  // namespace

ClientService::Client::Client(ClientService& service, std::uint64_t id,
                              std::unique_ptr<net::Link> link, bool guest)
    : service_(service),
      id_(id),
      guest_(guest),
      came_at_(service.loop_.now()),
      link_(std::move(link)) {
  // A command may hold many entries, but not more than one large one and some small ones.
  link_->expect(net::Speaker::client, service.options_.entry_bytes_max + (2 << 20));
  link_->start(*this);
}

void ClientService::Client::on_message(net::Message message) {
  if (dropped_) return;
  const bool asks_status = std::holds_alternative<net::StatusAsk>(message);
  if (guest_ && !asks_status && !std::holds_alternative<net::KeepAlive>(message)) {
    return refuse(service_.full());
  }
  if (const auto* append = std::get_if<net::Append>(&message)) {
    service_.on_append(*this, append->commands);
  } else if (const auto* read = std::get_if<net::Read>(&message)) {
    on_read(*read);
  } else if (const auto* open = std::get_if<net::OpenSession>(&message)) {
    service_.on_open(*this, *open);
  } else if (const auto* tail = std::get_if<net::Tail>(&message)) {
    on_tail(*tail);
  } else if (const auto* credit = std::get_if<net::TailCredit>(&message)) {
    on_credit(*credit);
  } else if (const auto* ask = std::get_if<net::StatusAsk>(&message)) {
    send(net::StatusAnswer{ask->request, service_.view_.status()});
  } else if (!std::holds_alternative<net::KeepAlive>(message)) {
    refuse("a client does not send this kind of message");
  }
}

void ClientService::Client::add_result(const CommandResult& result) {
  service_.answered_.insert(id_);
  results_.push_back(result);
}

void ClientService::Client::flush_results() {
  const std::vector<CommandResult> results = std::exchange(results_, {});
  for (std::size_t at = 0; at < results.size() && !dropped_; at += kResultsMax) {
    net::AppendResults message;
    const auto begin = results.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(kResultsMax, results.size() - at);
    message.results.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    for (const CommandResult& result : message.results) {
      if (result.outcome == Outcome::not_leader || result.outcome == Outcome::unknown) {
        message.leader = service_.view_.leader_address();
      }
      if (result.outcome != Outcome::ok) message.retry_ms = kRetryMs;
    }
    send(message);
  }
}

bool ClientService::Client::takes_results() {
  if (results_.size() >= kResultsMax) flush_results();
  return !dropped_;
}

void ClientService::Client::send(const net::Message& message) {
  if (!dropped_ && !link_->send(message)) refuse("the client does not read its answers");
}

void ClientService::Client::refuse(const std::string& reason) {
  if (std::exchange(dropped_, true)) return;
  if (!guest_) {
    service_.events_.event(EventLevel::warning, "client_refused",
                           {{"client", link_->peer_name()}, {"reason", reason}});
  }
  // Who does not read its answers does not hear why, either: it ends with this object.
  if (link_->queued_bytes() <= net::kHelloBytesMax) {
    link_->send(net::Refused{reason});
    link_->close_gently();
  }
  service_.drop(*this);
}

void ClientService::Client::end() {
  if (std::exchange(dropped_, true)) return;
  link_->close_gently();
  service_.drop(*this);
}

void ClientService::Client::tick(Time now) {
  if (guest_ && now - came_at_ >= kGuestStays) return refuse(service_.full());
  count_bytes();
  serve_waiting_reads();
  if (tails_.empty() || now - kept_alive_at_ < kKeepAliveEvery) return;
  kept_alive_at_ = now;
  if (link_->queued_bytes() == 0) send(net::KeepAlive{});
}

void ClientService::Client::pump_tails() {
  std::vector<std::uint64_t> requests;
  for (const auto& [request, tail] : tails_) requests.push_back(request);
  for (const std::uint64_t request : requests) {
    const auto found = tails_.find(request);
    if (found != tails_.end()) pump(request, found->second);
  }
  if (tails_.empty()) service_.tailing_.erase(id_);
}

void ClientService::Client::count_bytes() {
  const std::size_t now = dropped_ ? 0 : link_->queued_bytes() + reading_bytes_;
  service_.answer_bytes_ += now - counted_bytes_;
  counted_bytes_ = now;
}

void ClientService::Client::go_on() {
  serve_waiting_reads();
  if (!tails_.empty()) pump_tails();
}

void ClientService::Client::end_tails(Outcome outcome) {
  for (const auto& [request, tail] : std::exchange(tails_, {})) {
    send(net::TailEnd{request, outcome, {}, {}, service_.view_.leader_address()});
  }
}

// --- Reads ---------------------------------------------------------------------------

// Confirmed as they come, however many: one round of heartbeats is enough for all. The answers,
// which may be large, are read a few at a time.
void ClientService::Client::on_read(const net::Read& read) {
  if (confirming_ + reads_.size() >= kReadsWaitingMax) {
    return send(refused(read, Outcome::overloaded));
  }
  if (service_.shutting_down_) return send(refused(read, Outcome::shutting_down));
  if (!service_.serves()) return send(refused(read, Outcome::not_leader));
  if (!read.linearizable) {
    reads_.push_back(read);
    return serve_waiting_reads();
  }
  ++confirming_;
  service_.replica_->read_barrier(
      [this, read, alive = std::weak_ptr<bool>(alive_)](bool confirmed) {
        if (!alive.lock()) return;
        --confirming_;
        if (!confirmed) return send(refused(read, Outcome::not_leader));
        reads_.push_back(read);
        serve_waiting_reads();
      });
}

void ClientService::Client::serve_waiting_reads() {
  while (!reads_.empty() && reading_ < kReadsUnderWayMax &&
         link_->queued_bytes() < kQueuedBytesMax) {
    count_bytes();
    const std::size_t room = service_.answer_room(*this);
    if (room == 0) return;
    const net::Read read = reads_.front();
    reads_.pop_front();
    const std::size_t bytes_max = std::clamp<std::size_t>(read.bytes_max, 1, room);
    ++reading_;
    reading_bytes_ += read_bytes(bytes_max);
    count_bytes();
    serve(read, bytes_max);
  }
}

std::size_t ClientService::Client::read_bytes(std::size_t bytes_max) const {
  return std::max(bytes_max, service_.options_.entry_bytes_max);
}

void ClientService::Client::finish_read(std::size_t bytes_max, const net::ReadAnswer& result) {
  --reading_;
  reading_bytes_ -= read_bytes(bytes_max);
  send(result);
  if (dropped_) return;
  count_bytes();
  service_.on_answer();
  service_.loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) serve_waiting_reads();
  });
}

void ClientService::Client::serve(const net::Read& read, std::size_t bytes_max) {
  if (!service_.serves()) {
    return finish_read(bytes_max, refused(read, Outcome::not_leader));
  }
  const StateNumbers& numbers = service_.replica_->state().numbers();
  const Lsn applied_end = numbers.next_lsn;
  const Lsn end = read.lsn_end == Lsn{} ? applied_end : std::min(read.lsn_end, applied_end);
  if (read.lsn_begin < numbers.first_lsn) {
    return finish_read(bytes_max, refused(read, Outcome::trimmed));
  }
  service_.replica_->read(
      read.lsn_begin, end, bytes_max,
      [this, read, bytes_max, applied_end, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
        if (!alive.lock()) return;
        if (!service_.serves()) {  // It has found meanwhile that it may be wrong.
          return finish_read(bytes_max, refused(read, Outcome::not_leader));
        }
        net::ReadAnswer result = blank(read);
        result.count = found.count;
        result.lsn_end = applied_end;
        result.entries = std::move(found.entries);
        if (found.count == 0 && found.fault) {
          service_.events_.event(EventLevel::error, "read_failed", {{"reason", *found.fault}});
          result.outcome = Outcome::corrupt;
          result.detail = *found.fault;
        }
        finish_read(bytes_max, result);
      });
}

net::ReadAnswer ClientService::Client::refused(const net::Read& read, Outcome outcome) const {
  net::ReadAnswer result = blank(read);
  result.outcome = outcome;
  result.leader = service_.view_.leader_address();
  result.retry_ms = kRetryMs;
  if (!service_.serves()) result.detail = service_.view_.status().fault;
  return result;
}

net::ReadAnswer ClientService::Client::blank(const net::Read& read) const {
  net::ReadAnswer result;
  result.request = read.request;
  result.lsn_begin = read.lsn_begin;
  if (service_.replica_ != nullptr) {
    result.first_lsn = service_.replica_->state().numbers().first_lsn;
  }
  return result;
}

// --- Tails ---------------------------------------------------------------------------

void ClientService::Client::on_tail(const net::Tail& tail) {
  const Replica* replica = service_.replica_;
  const bool leads = service_.serves() && replica->proposer().leads() && replica->caught_up();
  if (service_.shutting_down_ || !leads) {
    const Outcome outcome = service_.shutting_down_ ? Outcome::shutting_down : Outcome::not_leader;
    return send(net::TailEnd{tail.request, outcome, {}, {}, service_.view_.leader_address()});
  }
  const StateNumbers& numbers = replica->state().numbers();
  const Lsn next = tail.lsn_begin == Lsn{} ? numbers.next_lsn : tail.lsn_begin;
  if (next < numbers.first_lsn) {
    return send(net::TailEnd{tail.request, Outcome::trimmed, numbers.first_lsn, {}, {}});
  }
  if (tails_.size() >= kTailsMax) {  // The oldest one ends: the client has left it, most likely.
    send(net::TailEnd{tails_.begin()->first, Outcome::overloaded, {}, {}, {}});
    tails_.erase(tails_.begin());
  }
  TailState& state = tails_[tail.request];
  state = {next, tail.credit_bytes, false};
  service_.tailing_.insert(id_);
  kept_alive_at_ = service_.loop_.now();
  send(net::TailEntries{tail.request, next, 0, {}});
  pump(tail.request, state);
}

void ClientService::Client::on_credit(const net::TailCredit& credit) {
  const auto found = tails_.find(credit.request);
  if (found == tails_.end()) return;
  found->second.credit += credit.credit_bytes;
  pump(credit.request, found->second);
}

void ClientService::Client::pump(std::uint64_t request, TailState& tail) {
  Replica* replica = service_.replica_;
  if (tail.reading || tail.credit <= 0 || !service_.serves()) return;
  const Lsn end = replica->state().numbers().next_lsn;
  if (tail.next >= end) return;
  count_bytes();
  const std::size_t room = std::min(service_.answer_room(*this), kTailBytesMax);
  if (room == 0) return;
  tail.reading = true;
  const auto bytes_max = std::min(static_cast<std::size_t>(tail.credit), room);
  reading_bytes_ += read_bytes(bytes_max);
  count_bytes();
  replica->read(tail.next, end, bytes_max,
                [this, request, bytes_max, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
                  if (!alive.lock()) return;
                  reading_bytes_ -= read_bytes(bytes_max);
                  on_tail_read(request, std::move(found));
                });
}

void ClientService::Client::on_tail_read(std::uint64_t request, EntriesRead read) {
  if (dropped_) return;
  count_bytes();
  service_.on_answer();
  const auto found = tails_.find(request);
  if (found == tails_.end()) return;
  TailState& tail = found->second;
  tail.reading = false;
  if (!service_.serves()) {  // It has found meanwhile that it may be wrong.
    tails_.erase(found);
    return send(net::TailEnd{request, Outcome::not_leader, {}, {}, {}});
  }
  if (read.count == 0) {
    if (!read.fault) return;  // The next applied slot pumps again.
    send(net::TailEnd{request, Outcome::corrupt, {}, *read.fault, {}});
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

}  // namespace stele::log
