#include "log/client/subscription.h"

#include <utility>

#include "log/client/nodes.h"
#include "log/client/patience.h"
#include "log/client/pending_reads.h"
#include "log/format/batch.h"

namespace stele::log {

void Subscription::tail(Lsn lsn_begin, ReadDone done) {
  const auto refuse = [this](ReadDone refused, Errc error, const char* why) {
    ReadResult result;
    result.detail = why;
    client_.completions.add(std::move(refused), error, std::move(result));
    client_.turns.wake();
  };
  if (!net::is_counter(lsn_begin.value))
    return refuse(std::move(done), Errc::invalid_argument, kLsnsMax);
  if (tail_.waiting) {
    refuse(std::exchange(tail_.waiting, nullptr), Errc::stopped,
           "another tail of this client has begun");
  }
  const bool goes_on = lsn_begin != Lsn{} && lsn_begin == tail_.told;
  if (!goes_on) {
    tail_ = {};
    tail_.next = tail_.told = lsn_begin;
  }
  tail_.waiting = std::move(done);
  deliver();
  client_.turns.wake();
}

void Subscription::subscribe(NodeLink& leader) {
  if (tail_.request != 0 || !tail_.waiting) return;
  if (client_.loop.now() < client_.nodes.target_again_at()) return client_.turns.tick_soon();
  const std::uint64_t request = client_.turns.next_request();
  if (!leader.send(net::Tail{request, tail_.next, kCreditBytes})) return;
  tail_.request = request;
  tail_.credit_used = 0;
}

void Subscription::on_entries(const net::TailEntries& entries) {
  if (entries.request != tail_.request || tail_.request == 0) return;
  client_.nodes.on_served();
  client_.patience.on_tail(client_.loop.now());
  if (tail_.next == Lsn{}) tail_.next = tail_.told = entries.lsn_begin;
  const bool joins = entries.lsn_begin == tail_.next;
  if (!joins || !add_entries(entries.entries, entries.lsn_begin, entries.count, tail_.buffered)) {
    // None twice, none missing: whatever does not join is not taken.
    client_.turns.leave_target({}, "a tail that does not join");
    return;
  }
  tail_.next = tail_.next + entries.count;
  deliver();
}

void Subscription::deliver() {
  if (!tail_.waiting || tail_.buffered.entries.empty()) return;
  ReadResult result = std::exchange(tail_.buffered, {});
  std::size_t bytes = 0;
  for (const Entry& entry : result.entries) bytes += entry.payload.size() + kEntryHeaderBytes;
  tail_.told = result.lsn_next = result.lsn_end = tail_.next;
  tail_.credit_used += static_cast<std::uint32_t>(bytes);
  send_credit();
  client_.completions.add(std::exchange(tail_.waiting, nullptr), std::nullopt, std::move(result));
  client_.turns.wake();
}

void Subscription::send_credit() {
  if (tail_.request == 0 || tail_.credit_used < kCreditBytes / 2) return;
  NodeLink* leader = client_.nodes.target();
  if (leader == nullptr || !leader->ready()) return;
  if (leader->send(net::TailCredit{tail_.request, tail_.credit_used})) tail_.credit_used = 0;
}

void Subscription::on_end(NodeLink& from, const net::TailEnd& end) {
  if (end.request != tail_.request || tail_.request == 0) return;
  tail_.request = 0;
  const bool trimmed = end.outcome == Outcome::trimmed;
  if ((trimmed || end.outcome == Outcome::corrupt) && tail_.waiting) {
    ReadResult result;
    result.first_lsn = end.first_lsn;
    result.detail = trimmed ? trimmed_below(end.first_lsn) : end.detail;
    client_.completions.add(std::exchange(tail_.waiting, nullptr),
                            trimmed ? Errc::trimmed : Errc::corrupt, std::move(result));
  } else if (!trimmed && client_.nodes.is_target(from)) {
    client_.turns.leave_target(end.leader, from.name() + " ended the tail");
  }
  client_.turns.wake();
}

void Subscription::end(Errc error, const std::string& detail) {
  Tail ended = std::exchange(tail_, {});
  if (!ended.waiting) return;
  ReadResult result;
  result.detail = detail;
  client_.completions.add(std::move(ended.waiting), error, std::move(result));
}

}  // namespace stele::log
