#include "log/service/tails.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace stele::log {
namespace {

/// Bytes of a tail in one message.
constexpr std::size_t kTailBytesMax = 256 << 10;

}  // namespace

void ClientTails::on_tail(const net::Tail& tail) {
  const Replica* replica = serving_.replica();
  const bool leads = serving_.serves() && replica->proposer().leads() && replica->caught_up();
  if (serving_.shutting_down() || !leads) {
    const Outcome outcome = serving_.shutting_down() ? Outcome::shutting_down : Outcome::not_leader;
    return sink_.send(
        net::TailEnd{tail.request, outcome, {}, {}, serving_.view().leader_address()});
  }
  const StateNumbers& numbers = serving_.state().numbers();
  const Lsn next = tail.lsn_begin == Lsn{} ? numbers.next_lsn : tail.lsn_begin;
  if (next < numbers.first_lsn) {
    return sink_.send(net::TailEnd{tail.request, Outcome::trimmed, numbers.first_lsn, {}, {}});
  }
  if (tails_.size() >= kTailsMax) {  // The oldest one ends: the client has left it, most likely.
    sink_.send(net::TailEnd{tails_.begin()->first, Outcome::overloaded, {}, {}, {}});
    tails_.erase(tails_.begin());
    if (sink_.gone()) return;
  }
  Tail& state = tails_[tail.request];
  state = {next, tail.credit_bytes, false};
  sink_.on_tails();
  sink_.send(net::TailEntries{tail.request, next, 0, {}});
  pump(tail.request, state);
}

void ClientTails::on_credit(const net::TailCredit& credit) {
  const auto found = tails_.find(credit.request);
  if (found == tails_.end()) return;
  found->second.credit += credit.credit_bytes;
  pump(credit.request, found->second);
}

void ClientTails::pump() {
  std::vector<std::uint64_t> requests;
  for (const auto& [request, tail] : tails_) requests.push_back(request);
  for (const std::uint64_t request : requests) {
    const auto found = tails_.find(request);
    if (found != tails_.end()) pump(request, found->second);
  }
}

void ClientTails::end(Outcome outcome) {
  for (const auto& [request, tail] : std::exchange(tails_, {})) {
    sink_.send(net::TailEnd{request, outcome, {}, {}, serving_.view().leader_address()});
  }
}

/// What it would read next is trimmed: it ends, and says so.
bool ClientTails::end_trimmed(std::uint64_t request, const Tail& tail) {
  const Lsn first = serving_.state().numbers().first_lsn;
  if (tail.next >= first) return false;
  sink_.send(net::TailEnd{request, Outcome::trimmed, first, {}, {}});
  tails_.erase(request);
  return true;
}

void ClientTails::pump(std::uint64_t request, Tail& tail) {
  if (tail.reading || !serving_.serves() || end_trimmed(request, tail) || tail.credit <= 0) return;
  const Lsn end = serving_.state().numbers().next_lsn;
  if (tail.next >= end) return;
  share_.count(sink_.queued_bytes());
  const std::size_t room = std::min(share_.room(), kTailBytesMax);
  if (room == 0) return;
  tail.reading = true;
  const auto bytes_max = std::min(static_cast<std::size_t>(tail.credit), room);
  share_.begin_read(bytes_max);
  share_.count(sink_.queued_bytes());
  serving_.replica()->read(
      tail.next, end, bytes_max,
      [this, request, bytes_max, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
        if (!alive.lock()) return;
        share_.end_read(bytes_max);
        on_read(request, std::move(found));
      });
}

void ClientTails::on_read(std::uint64_t request, EntriesRead read) {
  if (sink_.gone()) return;
  share_.count(sink_.queued_bytes());
  share_.on_answer();
  const auto found = tails_.find(request);
  if (found == tails_.end()) return;
  Tail& tail = found->second;
  tail.reading = false;
  if (!serving_.serves()) {  // It has found meanwhile that it may be wrong.
    tails_.erase(found);
    return sink_.send(net::TailEnd{request, Outcome::not_leader, {}, {}, {}});
  }
  if (end_trimmed(request, tail)) return;
  if (read.elsewhere) {
    tails_.erase(found);
    return sink_.send(net::TailEnd{request, Outcome::elsewhere, {}, {}, {}});
  }
  if (read.count == 0) {
    if (!read.fault) return;  // The next applied slot pumps again.
    sink_.send(net::TailEnd{request, Outcome::corrupt, {}, *read.fault, {}});
    tails_.erase(request);
    return;
  }
  tail.next = read.lsn_end();
  tail.credit -= static_cast<std::int64_t>(read.bytes);
  sink_.send(net::TailEntries{request, read.lsn_begin, read.count, std::move(read.entries)});
  // In a turn of its own: a long backlog must not hold up the loop.
  loop_.post([this, request, alive = std::weak_ptr<bool>(alive_)] {
    if (!alive.lock()) return;
    const auto again = tails_.find(request);
    if (again != tails_.end()) pump(request, again->second);
  });
}

}  // namespace stele::log
