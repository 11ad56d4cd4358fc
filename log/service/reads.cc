#include "log/service/reads.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// Reads wait while this much is queued for a client.
constexpr std::size_t kQueuedBytesMax = 4 << 20;
/// Reads of one client that are served at a time; each brings up to 1 MiB, or one larger entry.
constexpr std::size_t kUnderWayMax = 4;

}  // namespace

void ClientReads::on_read(const net::Read& read) {
  if (confirming_ + waiting_.size() >= kWaitingMax) {
    return sink_.send(refused(read, Outcome::overloaded));
  }
  if (serving_.shutting_down()) return sink_.send(refused(read, Outcome::shutting_down));
  if (!serving_.serves()) return sink_.send(refused(read, Outcome::not_leader));
  if (!read.linearizable) {
    waiting_.push_back(read);
    return serve_waiting();
  }
  ++confirming_;
  serving_.replica()->read_barrier(
      [this, read, alive = std::weak_ptr<bool>(alive_)](bool confirmed) {
        if (!alive.lock()) return;
        STELE_CHECK(confirming_ > 0);
        --confirming_;
        if (!confirmed) return sink_.send(refused(read, Outcome::not_leader));
        waiting_.push_back(read);
        serve_waiting();
      });
}

void ClientReads::serve_waiting() {
  while (!waiting_.empty() && under_way_ < kUnderWayMax && sink_.queued_bytes() < kQueuedBytesMax) {
    share_.count(sink_.queued_bytes());
    const std::size_t room = share_.room();
    if (room == 0) return;
    const net::Read read = waiting_.front();
    waiting_.pop_front();
    const std::size_t bytes_max = std::clamp<std::size_t>(read.bytes_max, 1, room);
    ++under_way_;
    share_.begin_read(bytes_max);
    share_.count(sink_.queued_bytes());
    serve(read, bytes_max);
  }
}

void ClientReads::serve(const net::Read& read, std::size_t bytes_max) {
  if (!serving_.serves()) return finish(bytes_max, refused(read, Outcome::not_leader));
  if (read.retention) return finish(bytes_max, retention(read));
  const StateNumbers& numbers = serving_.state().numbers();
  const Lsn applied_end = numbers.next_lsn;
  const Lsn end = read.lsn_end == Lsn{} ? applied_end : std::min(read.lsn_end, applied_end);
  if (read.lsn_begin < numbers.first_lsn) return finish(bytes_max, refused(read, Outcome::trimmed));
  serving_.replica()->read(
      read.lsn_begin, end, bytes_max,
      [this, read, bytes_max, applied_end, alive = std::weak_ptr<bool>(alive_)](EntriesRead found) {
        if (!alive.lock()) return;
        // It has found meanwhile that it may be wrong.
        if (!serving_.serves()) return finish(bytes_max, refused(read, Outcome::not_leader));
        // Entries that were trimmed meanwhile are told as trimmed, whatever was found of them.
        if (read.lsn_begin < serving_.state().numbers().first_lsn) {
          return finish(bytes_max, refused(read, Outcome::trimmed));
        }
        if (found.elsewhere) return finish(bytes_max, refused(read, Outcome::elsewhere));
        net::ReadAnswer answer = blank(read);
        answer.count = found.count;
        answer.lsn_end = applied_end;
        answer.entries = std::move(found.entries);
        if (found.count == 0 && found.fault) {
          events_.event(EventLevel::error, "read_failed", {{"reason", *found.fault}});
          answer.outcome = Outcome::corrupt;
          answer.detail = *found.fault;
        }
        finish(bytes_max, answer);
      });
}

void ClientReads::finish(std::size_t bytes_max, const net::ReadAnswer& answer) {
  STELE_CHECK(under_way_ > 0);
  --under_way_;
  share_.end_read(bytes_max);
  sink_.send(answer);
  if (sink_.gone()) return;
  share_.count(sink_.queued_bytes());
  share_.on_answer();
  loop_.post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.lock()) serve_waiting();
  });
}

net::ReadAnswer ClientReads::retention(const net::Read& read) const {
  const Retention& kept = serving_.state().retention();
  const StateNumbers& numbers = serving_.state().numbers();
  const auto milliseconds = [](std::uint64_t us) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(us));
  };
  net::ReadAnswer answer = blank(read);
  answer.lsn_end = numbers.next_lsn;
  RetentionReport& report = answer.retention.emplace();
  report.retention = {kept.policy().bytes, milliseconds(kept.policy().age_us)};
  report.retained_bytes = serving_.replica()->retained_bytes();
  for (const auto& [name, hold] : kept.holds()) {
    const std::uint64_t left = hold.deadline_us - std::min(hold.deadline_us, numbers.log_time_us);
    report.holds.push_back({name, hold.lsn, milliseconds(left)});
  }
  return answer;
}

net::ReadAnswer ClientReads::refused(const net::Read& read, Outcome outcome) const {
  net::ReadAnswer answer = blank(read);
  answer.outcome = outcome;
  answer.leader = serving_.view().leader_address();
  answer.retry_ms = kRetryMs;
  if (!serving_.serves()) answer.detail = serving_.view().status().fault;
  return answer;
}

net::ReadAnswer ClientReads::blank(const net::Read& read) const {
  net::ReadAnswer answer;
  answer.request = read.request;
  answer.lsn_begin = read.lsn_begin;
  if (serving_.replica() != nullptr) answer.first_lsn = serving_.state().numbers().first_lsn;
  return answer;
}

}  // namespace stele::log
