#include "log/service/client_link.h"

#include <algorithm>
#include <utility>

#include "net/wire/frame.h"

namespace stele::log {
namespace {

constexpr Duration kKeepAliveEvery = std::chrono::seconds(1);
constexpr Duration kGuestStays = std::chrono::seconds(5);
/// Results in one message.
constexpr std::size_t kResultsMax = 8192;
/// A command may hold many entries, but not more than one large one and some small ones.
constexpr std::size_t kSmallEntriesMax = 2 << 20;

}  // namespace

ClientLink::ClientLink(const ClientLinkSurroundings& surroundings, std::uint64_t id,
                       std::unique_ptr<net::Link> link, bool guest)
    : around_(surroundings),
      id_(id),
      guest_(guest),
      came_at_(around_.loop.now()),
      link_(std::move(link)),
      share_(around_.budget, around_.serving.options().entry_bytes_max),
      reads_(around_.loop, around_.events, around_.serving, *this, share_),
      tails_(around_.loop, around_.serving, *this, share_) {
  link_->expect(net::Speaker::client, around_.serving.options().entry_bytes_max + kSmallEntriesMax);
  link_->start(*this);
}

void ClientLink::on_message(net::Message message) {
  if (gone_) return;
  const bool asks_status = std::holds_alternative<net::StatusAsk>(message);
  if (guest_ && !asks_status && !std::holds_alternative<net::KeepAlive>(message)) {
    return refuse(around_.serving.full());
  }
  if (const auto* append = std::get_if<net::Append>(&message)) {
    around_.listener.on_append(*this, append->commands);
  } else if (const auto* read = std::get_if<net::Read>(&message)) {
    reads_.on_read(*read);
  } else if (const auto* open = std::get_if<net::OpenSession>(&message)) {
    around_.listener.on_open(*this, *open);
  } else if (const auto* tail = std::get_if<net::Tail>(&message)) {
    tails_.on_tail(*tail);
  } else if (const auto* credit = std::get_if<net::TailCredit>(&message)) {
    tails_.on_credit(*credit);
  } else if (const auto* ask = std::get_if<net::StatusAsk>(&message)) {
    send(net::StatusAnswer{ask->request, around_.serving.view().status()});
  } else if (!std::holds_alternative<net::KeepAlive>(message)) {
    refuse("a client does not send this kind of message");
  }
}

void ClientLink::on_closed(const std::string&) {
  if (!std::exchange(gone_, true)) go();
}

void ClientLink::on_tails() {
  kept_alive_at_ = around_.loop.now();
  around_.listener.on_tails(*this);
}

void ClientLink::add_result(const CommandResult& result) {
  around_.listener.on_results(*this);
  results_.push_back(result);
}

void ClientLink::flush_results() {
  const std::vector<CommandResult> results = std::exchange(results_, {});
  for (std::size_t at = 0; at < results.size() && !gone_; at += kResultsMax) {
    net::AppendResults message;
    const auto begin = results.begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t count = std::min(kResultsMax, results.size() - at);
    message.results.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    for (const CommandResult& result : message.results) {
      if (result.outcome == Outcome::not_leader || result.outcome == Outcome::unknown) {
        message.leader = around_.serving.view().leader_address();
      }
      if (result.outcome != Outcome::ok) message.retry_ms = kRetryMs;
    }
    send(message);
  }
}

bool ClientLink::takes_results() {
  if (results_.size() >= kResultsMax) flush_results();
  return !gone_;
}

void ClientLink::send(const net::Message& message) {
  if (!gone_ && !link_->send(message)) refuse("the client does not read its answers");
}

void ClientLink::refuse(const std::string& reason) {
  if (std::exchange(gone_, true)) return;
  if (!guest_) {
    around_.events.event(EventLevel::warning, "client_refused",
                         {{"client", link_->peer_name()}, {"reason", reason}});
  }
  // A client that does not read its answers does not hear why, either: it ends with this object.
  if (link_->queued_bytes() <= net::kHelloBytesMax) {
    link_->send(net::Refused{reason});
    link_->close_gently();
  }
  go();
}

void ClientLink::end() {
  if (std::exchange(gone_, true)) return;
  link_->close_gently();
  go();
}

void ClientLink::go() {
  share_.close();
  around_.listener.on_gone(*this);
}

void ClientLink::tick(Time now) {
  if (guest_ && now - came_at_ >= kGuestStays) return refuse(around_.serving.full());
  count_bytes();
  reads_.serve_waiting();
  if (tails_.empty() || now - kept_alive_at_ < kKeepAliveEvery) return;
  kept_alive_at_ = now;
  if (link_->queued_bytes() == 0) send(net::KeepAlive{});
}

void ClientLink::go_on() {
  reads_.serve_waiting();
  tails_.pump();
}

}  // namespace stele::log
