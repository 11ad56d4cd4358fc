#include "log/client/pending_reads.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "log/client/nodes.h"
#include "log/client/patience.h"
#include "log/format/batch.h"

namespace stele::log {
namespace {

/// What is asked for at least, over the slowest line.
constexpr std::size_t kReadBytesMin = 4 << 10;

}  // namespace

bool add_entries(const std::vector<Slice>& slices, Lsn lsn, std::uint32_t count, ReadResult& out) {
  const std::size_t had = out.entries.size();
  const std::size_t buffers_had = out.buffers.size();
  bool nothing_else = true;
  for (const Slice& slice : slices) {
    EntryCursor cursor(slice.bytes);
    if (out.entries.empty()) {
      out.entries.reserve(std::min<std::size_t>(count, slice.bytes.size() / kEntryHeaderBytes));
    }
    Entry entry;
    while (out.entries.size() - had < count && cursor.next(entry.payload)) {
      entry.lsn = lsn + (out.entries.size() - had);
      out.entries.push_back(entry);
    }
    nothing_else = nothing_else && cursor.rest().empty();
    if (!slice.bytes.empty()) out.buffers.push_back(slice.owner);
  }
  if (nothing_else && out.entries.size() - had == count) return true;
  out.entries.resize(had);
  out.buffers.resize(buffers_had);
  return false;
}

std::string trimmed_below(Lsn first) {
  return "entries below " + std::to_string(first.value) + " are trimmed";
}

void PendingReads::read(const ReadOptions& options, ReadDone done) {
  if (!net::is_counter(options.lsn_begin.value) || !net::is_counter(options.lsn_end.value)) {
    ReadResult result;
    result.detail = kLsnsMax;
    client_.completions.add(std::move(done), Errc::invalid_argument, std::move(result));
    return client_.turns.wake();
  }
  Pending pending;
  pending.options = options;
  pending.done = std::move(done);
  pending.deadline = client_.loop.now() + bounded(options.timeout);
  reads_.emplace(client_.turns.next_request(), std::move(pending));
  client_.turns.wake();
}

void PendingReads::read_retention(Duration timeout, RetentionDone done) {
  Pending pending;
  pending.retention_done = std::move(done);
  pending.deadline = client_.loop.now() + timeout;
  reads_.emplace(client_.turns.next_request(), std::move(pending));
  client_.turns.wake();
}

NodeLink* PendingReads::link_for(const Pending& read) {
  return read.is_for_target() ? client_.nodes.target() : client_.nodes.link_of(read.options.node);
}

/// An answer that took too long may be on a slow line: less comes sooner.
std::uint32_t PendingReads::bytes_max_of(const Pending& read) {
  const std::size_t less = read.options.bytes_max >> (2 * read.unanswered);
  return static_cast<std::uint32_t>(
      std::min(read.options.bytes_max, std::max(less, kReadBytesMin)));
}

void PendingReads::send() {
  if (reads_.empty()) return;
  const Time now = client_.loop.now();
  for (auto& [request, read] : reads_) {
    if (read.asked != nullptr) continue;
    NodeLink* to = now < read.again_at ? nullptr : link_for(read);
    if (to == nullptr) {
      client_.turns.tick_soon();
      continue;
    }
    if (!read.is_for_target() && to->may_dial()) to->dial();
    if (!to->ready()) continue;
    const net::Read message{request,
                            read.options.lsn_begin,
                            read.options.lsn_end,
                            bytes_max_of(read),
                            read.is_for_target(),
                            read.retention_done != nullptr};
    if (!to->send(message)) continue;
    read.asked = to;
    read.asked_at = now;
  }
}

void PendingReads::on_answer(NodeLink& from, const net::ReadAnswer& answer) {
  const auto found = reads_.find(answer.request);
  if (found == reads_.end() || found->second.asked != &from) return;
  Pending& read = found->second;
  ReadResult told;
  told.lsn_next = answer.lsn_begin + answer.count;
  told.lsn_end = answer.lsn_end;
  told.first_lsn = answer.first_lsn;
  told.detail = answer.detail;
  switch (answer.outcome) {
    case Outcome::ok: {
      if (answer.retention.has_value() != (read.retention_done != nullptr)) {
        from.fail("it has answered another question");
        return;
      }
      RetentionReport report = answer.retention.value_or(RetentionReport{});
      report.first_lsn = answer.first_lsn;
      report.lsn_end = answer.lsn_end;
      if (!add_entries(answer.entries, answer.lsn_begin, answer.count, told)) {
        from.fail("it sent entries that cannot be read");
        return;
      }
      client_.nodes.on_served();
      client_.nodes.forget_failure();
      client_.patience.on_read_served(client_.loop.now());
      end(answer.request, std::nullopt, std::move(told), std::move(report));
      return;
    }
    case Outcome::trimmed:
      told.detail = trimmed_below(answer.first_lsn);
      end(answer.request, Errc::trimmed, std::move(told));
      return;
    case Outcome::corrupt: end(answer.request, Errc::corrupt, std::move(told)); return;
    case Outcome::not_leader: {
      const std::string why =
          from.name() + ": " + (answer.detail.empty() ? "does not lead" : answer.detail);
      client_.nodes.on_failure(why);
      if (read.is_for_target()) client_.turns.leave_target(answer.leader, why);
      break;
    }
    case Outcome::elsewhere:
      client_.nodes.on_failure(from.name() +
                               " does not have these entries yet, nor does a node that it reaches");
      break;
    case Outcome::shutting_down: client_.nodes.on_failure(from.name() + " is shutting down"); break;
    default: client_.nodes.on_failure(from.name() + " has too many reads of this client"); break;
  }
  read.answered = true;
  read.asked = nullptr;
  read.again_at =
      std::max(read.again_at, client_.loop.now() + std::chrono::milliseconds(answer.retry_ms));
}

void PendingReads::end(std::uint64_t request, std::optional<Errc> error, ReadResult result,
                       RetentionReport report) {
  auto read = reads_.extract(request);
  if (read.empty()) return;
  tell(read.mapped(), error, std::move(result), std::move(report));
  client_.turns.wake();
}

void PendingReads::tell(Pending& read, std::optional<Errc> error, ReadResult result,
                        RetentionReport report) {
  if (!read.retention_done) {
    return client_.completions.add(std::move(read.done), error, std::move(result));
  }
  report.detail = result.detail;
  client_.completions.add(
      [done = std::move(read.retention_done), error, report = std::move(report)]() mutable {
        done(error, std::move(report));
      });
}

void PendingReads::end_all(Errc error, const std::string& detail) {
  for (auto& [request, read] : std::exchange(reads_, {})) {
    ReadResult result;
    result.detail = detail;
    tell(read, error, std::move(result));
  }
}

void PendingReads::expire(Time now) {
  std::vector<std::uint64_t> late;
  for (const auto& [request, read] : reads_) {
    if (now >= read.deadline || client_.nodes.is_no_member(read.options.node))
      late.push_back(request);
  }
  for (std::uint64_t request : late) {
    const Pending& read = reads_[request];
    ReadResult result;
    result.detail = client_.nodes.is_no_member(read.options.node)
                        ? "the cluster has no node " + std::to_string(read.options.node.value)
                        : client_.nodes.last_failure();
    if (result.detail.empty()) result.detail = "no answer in time";
    const bool reached = read.asked != nullptr || read.answered ||
                         (client_.nodes.ever_connected() && read.is_for_target());
    end(request, reached ? Errc::timed_out : Errc::unreachable, std::move(result));
  }
}

void PendingReads::on_lost(const NodeLink& link) {
  for (auto& [request, read] : reads_) {
    if (read.asked != &link) continue;
    read.asked = nullptr;
    read.again_at = client_.loop.now() + kBackoffMin;
  }
}

void PendingReads::on_target_left() {
  for (auto& [request, read] : reads_) {
    if (read.is_for_target()) read.asked = nullptr;
  }
}

void PendingReads::wait_until(Time time) {
  for (auto& [request, read] : reads_) read.again_at = std::max(read.again_at, time);
}

// --- What the target owes --------------------------------------------------------------

bool PendingReads::need_target() const {
  return std::ranges::any_of(reads_, [](const auto& read) { return read.second.is_for_target(); });
}

bool PendingReads::target_owes() const {
  return std::ranges::any_of(reads_, [](const auto& read) {
    return read.second.is_for_target() && read.second.asked != nullptr;
  });
}

Duration PendingReads::patience(const Pending& read) const {
  return Duration(client_.options.attempt_timeout) * (1 << read.unanswered);
}

double PendingReads::longest_wait(Time now) const {
  double most = 0;
  for (const auto& [request, read] : reads_) {
    if (!read.is_for_target() || read.asked == nullptr) continue;
    most = std::max(most, static_cast<double>((now - read.asked_at).count()) /
                              static_cast<double>(patience(read).count()));
  }
  return most;
}

void PendingReads::on_download(Time now) {
  for (auto& [request, read] : reads_) {
    if (read.is_for_target() && read.asked != nullptr) read.asked_at = now;
  }
}

void PendingReads::on_target_silent(Time now) {
  for (auto& [request, read] : reads_) {
    const bool owed = read.is_for_target() && read.asked != nullptr;
    const bool overdue = owed && now - read.asked_at >= patience(read);
    if (overdue) read.unanswered = std::min(read.unanswered + 1, Patience::kLeftSilentMax);
  }
}

}  // namespace stele::log
