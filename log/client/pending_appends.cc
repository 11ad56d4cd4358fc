#include "log/client/pending_appends.h"

#include <algorithm>
#include <vector>

#include "log/client/nodes.h"
#include "log/format/command.h"
#include "paxos/base/bytes.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// So many attempts' time-outs it may take to learn what became of what is taken back.
constexpr int kResolveTimeouts = 8;
constexpr const char* kStopped = "an append before it has failed";
constexpr const char* kStoppedLate = "an append before it was not answered in time";

}  // namespace

// --- Which there are -------------------------------------------------------------------

void PendingAppends::push(PendingAppend append) {
  waiting_bytes_ += append.payload.bytes.size();
  appends_.push_back(std::move(append));
}

std::deque<PendingAppend> PendingAppends::take() {
  first_ = stop_.begin = {1};
  return std::exchange(appends_, {});
}

void PendingAppends::drop_consumed() {
  while (!appends_.empty() && appends_.front().consumed) {
    appends_.pop_front();
    ++first_;
  }
}

void PendingAppends::drop_told() {
  std::uint64_t before_stop = 0;
  for (const PendingAppend& append : range(first_, stop_.begin)) {
    if (append.done) ++before_stop;
  }
  stop_.begin = first_ + before_stop;
  std::erase_if(appends_, [](const PendingAppend& append) { return !append.done; });
}

PendingAppend& PendingAppends::mutable_at(Sequence sequence) {
  STELE_CHECK(sequence >= first_ && sequence < end());
  return appends_[sequence - first_];
}

PendingAppends::Range PendingAppends::range(Sequence begin, Sequence end) const {
  begin = std::max(begin, first_);
  end = std::max(begin, std::min(end, this->end()));
  if (begin - first_ > appends_.size()) return {appends_.end(), appends_.end()};
  const auto at = [&](Sequence sequence) {
    return appends_.begin() + static_cast<std::ptrdiff_t>(sequence - first_);
  };
  return {at(begin), at(end)};
}

// --- How they travel -------------------------------------------------------------------

std::size_t PendingAppends::neighbours(std::size_t index, const Bounds& bounds) const {
  const PendingAppend& first = at(index);
  std::size_t count = 1;
  std::size_t bytes = first.payload.bytes.size() + kEntryHeaderBytes;
  const std::size_t most = std::min(size(), bounds.window);
  const auto alone = [](const PendingAppend& one) {
    return !one.skip && (one.condition != Lsn{} || one.kind != CommandKind::append);
  };
  while (index + count < most && !alone(first)) {
    const PendingAppend& next = at(index + count);
    const std::size_t size = next.payload.bytes.size();
    // One that is over the limit is told so when its own turn comes, not with its neighbours.
    const bool over = !next.skip && bounds.entry_bytes_max != 0 && size > bounds.entry_bytes_max;
    const std::size_t more = size + kEntryHeaderBytes;
    const bool fits = first.skip || (bytes + more <= bounds.bytes_max && !over);
    if (next.consumed || next.skip != first.skip || alone(next) || !fits) break;
    bytes += more;
    ++count;
  }
  return count;
}

Slice PendingAppends::command(SessionId session, std::size_t index, std::size_t count) const {
  STELE_CHECK(count > 0 && index + count <= size());
  const PendingAppend& first = at(index);
  const Command command{.kind = first.skip ? CommandKind::skip : first.kind,
                        .session = session,
                        .sequence = first_ + index,
                        .count = static_cast<std::uint32_t>(count),
                        .acked = {first_.value - 1},
                        .condition = first.condition,
                        .body = {}};
  const bool append = command.kind == CommandKind::append;
  const bool other = !append && !first.skip;
  std::size_t body_bytes = other ? first.payload.bytes.size() : 0;
  const std::size_t entries = append ? count : 0;
  for (std::size_t i = index; i < index + entries; ++i)
    body_bytes += kEntryHeaderBytes + at(i).payload.bytes.size();
  auto bytes = std::make_shared<std::vector<std::byte>>();
  bytes->reserve(Command::kHeaderBytes + body_bytes);
  put_command_header(command, body_bytes, *bytes);
  for (std::size_t i = index; i < index + entries; ++i) put_entry(at(i).payload.bytes, *bytes);
  if (other) ByteWriter(*bytes).put_bytes(first.payload.bytes);
  const std::span<const std::byte> view(*bytes);
  return {std::move(bytes), view};
}

void PendingAppends::on_sent(std::size_t index, std::size_t count) {
  STELE_CHECK(index + count <= size());
  for (std::size_t i = index; i < index + count; ++i) {
    if (!appends_[i].skip) ++appends_[i].attempts;
  }
}

void PendingAppends::on_not_proposed(Sequence begin, Sequence end) {
  end = std::min(end, this->end());
  for (Sequence at = std::max(begin, first_); at < end; ++at) {
    PendingAppend& append = mutable_at(at);
    if (!append.skip && append.attempts != 0) --append.attempts;
  }
}

// --- What their callers are told -------------------------------------------------------

void PendingAppends::tell(PendingAppend& append, std::optional<Errc> error, AppendResult result) {
  STELE_CHECK(append.done != nullptr && waiting_bytes_ >= append.payload.bytes.size());
  waiting_bytes_ -= append.payload.bytes.size();
  append.payload = {};
  append.condition = {};
  append.skip = true;
  if (error) {
    result.leader = client_.nodes.leader_hint();
    if (*error == Errc::overloaded) result.retry_after = std::chrono::seconds(1);
    if (*error == Errc::no_space) result.retry_after = std::chrono::milliseconds(200);
  }
  client_.completions.add(std::move(append.done), error, std::move(result));
  client_.turns.wake();
}

void PendingAppends::finish(Sequence sequence, std::optional<Errc> error, AppendResult result) {
  PendingAppend& append = mutable_at(sequence);
  if (!append.done) return;
  tell(append, error, std::move(result));
  if (error) stop_at(sequence - first_);
}

void PendingAppends::finish(PendingAppend& taken, std::optional<Errc> error, AppendResult result) {
  if (!taken.done) return;
  tell(taken, error, std::move(result));
  if (error) stop_at(size());
}

void PendingAppends::expire(Time now) {
  for (std::size_t i = 0; i < appends_.size(); ++i) {
    PendingAppend& append = appends_[i];
    const Time until = append.skip ? append.resolve_by : append.deadline;
    if (!append.done || now < until) continue;
    stop_at(i, true);
    // Taken back first: it may be told what became of it.
    if (client_.options.stop_at_failure && !append.skip && append.attempts != 0) continue;
    AppendResult told;
    told.may_be_appended = append.attempts != 0;
    told.detail = client_.nodes.last_failure();
    if (told.detail.empty()) told.detail = "no answer in time";
    tell(append, client_.nodes.ever_connected() ? Errc::timed_out : Errc::unreachable,
         std::move(told));
  }
}

void PendingAppends::stop_at(std::size_t index, bool late) {
  const Sequence begin = first_ + index;
  const bool known = stop_.on && begin >= stop_.begin;
  if (!client_.options.stop_at_failure || known) return;
  stop_ = {true, begin, late ? kStoppedLate : kStopped, true};
  client_.turns.wake();
}

std::optional<Sequence> PendingAppends::take_back() {
  if (!std::exchange(stop_.takes_back, false)) return std::nullopt;
  const Time resolve_by = client_.loop.now() + kResolveTimeouts * client_.options.attempt_timeout;
  const Sequence begin = std::max(stop_.begin, first_);
  for (Sequence at = begin; at < end(); ++at) {
    PendingAppend& append = mutable_at(at);
    if (!append.done) continue;
    if (append.attempts == 0) {
      AppendResult told;
      told.detail = stop_.detail;
      tell(append, Errc::stopped, std::move(told));
      continue;
    }
    if (!append.skip) append.resolve_by = resolve_by;
    append.skip = true;
  }
  return stop_.begin;
}

}  // namespace stele::log
