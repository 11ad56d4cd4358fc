// The client's reads, its tail, and status.

#include <algorithm>
#include <utility>

#include "log/client/client_core.h"
#include "log/client/node_link.h"
#include "log/format/batch.h"

namespace stele::log {
namespace {

/// What is asked for at least, over the slowest line.
constexpr std::size_t kReadBytesMin = 4 << 10;

/// Adds the entries of a frame, from `lsn` on; false, and nothing added, if it holds something else
/// than `count` entries.
bool add_entries(const std::vector<Slice>& slices, Lsn lsn, std::uint32_t count, ReadResult& out) {
  const std::size_t had = out.entries.size();
  const std::size_t buffers_had = out.buffers.size();
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
    if (!slice.bytes.empty()) out.buffers.push_back(slice.owner);
  }
  if (out.entries.size() - had == count) return true;
  out.entries.resize(had);
  out.buffers.resize(buffers_had);
  return false;
}

}  // namespace

// --- Reads -----------------------------------------------------------------------------

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
    if (const auto address = parse_address(member->second)) return &connection(*address);
  }
  // Not known yet: every node that can be reached tells the members.
  for (const Address& address : std::vector<Address>(addresses_)) {
    Connection& any = connection(address);
    if (any.ready() && any.node() == read.options.node) return &any;
    if (any.may_dial()) any.dial();
  }
  return nullptr;
}

/// An answer that took too long may be on a slow line: less comes sooner.
std::uint32_t ClientCore::bytes_max_of(const PendingRead& read) {
  const std::size_t less = read.options.bytes_max >> (2 * read.unanswered);
  return static_cast<std::uint32_t>(
      std::min(read.options.bytes_max, std::max(less, kReadBytesMin)));
}

void ClientCore::send_reads() {
  if (reads_.empty()) return;
  const Time now = loop_.now();
  for (auto& [request, read] : reads_) {
    if (read.asked != nullptr) continue;
    Connection* to = now < read.again_at ? nullptr : connection_for(read);
    if (to == nullptr) {
      tick_soon();
      continue;
    }
    if (read.options.node != NodeId{} && to->may_dial()) to->dial();
    if (!to->ready()) continue;
    const net::Read message{request, read.options.lsn_begin, read.options.lsn_end,
                            bytes_max_of(read), read.options.node == NodeId{}};
    if (!to->send(message)) continue;
    read.asked = to;
    read.asked_at = now;
  }
}

void ClientCore::on_read_result(Connection& from, const net::ReadAnswer& result) {
  const auto found = reads_.find(result.request);
  if (found == reads_.end() || found->second.asked != &from) return;
  PendingRead& read = found->second;
  ReadResult told;
  told.lsn_next = result.lsn_begin + result.count;
  told.lsn_end = result.lsn_end;
  told.first_lsn = result.first_lsn;
  told.detail = result.detail;
  switch (result.outcome) {
    case Outcome::ok: {
      if (!add_entries(result.entries, result.lsn_begin, result.count, told)) {
        from.fail("it sent entries that cannot be read");
        return;
      }
      backoff_ = {};
      last_failure_.clear();
      served_at_ = loop_.now();
      end_read(result.request, std::nullopt, std::move(told));
      return;
    }
    case Outcome::trimmed:
      told.detail = "entries below " + std::to_string(result.first_lsn.value) + " are trimmed";
      end_read(result.request, Errc::trimmed, std::move(told));
      return;
    case Outcome::corrupt: end_read(result.request, Errc::corrupt, std::move(told)); return;
    case Outcome::not_leader:
      last_failure_ =
          from.name() + ": " + (result.detail.empty() ? "does not lead" : result.detail);
      if (read.options.node == NodeId{}) leave_target(result.leader, last_failure_);
      break;
    case Outcome::shutting_down: last_failure_ = from.name() + " is shutting down"; break;
    default: last_failure_ = from.name() + " has too many reads of this client"; break;
  }
  read.answered = true;
  read.asked = nullptr;
  read.again_at = std::max(read.again_at, loop_.now() + std::chrono::milliseconds(result.retry_ms));
}

void ClientCore::end_read(std::uint64_t request, std::optional<Errc> error, ReadResult result) {
  auto read = reads_.extract(request);
  if (read.empty()) return;
  call_later([done = std::move(read.mapped().done), error, result = std::move(result)]() mutable {
    done(error, std::move(result));
  });
  wake();
}

// --- Tails -----------------------------------------------------------------------------

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
  if (tail_.request != 0 || !tail_.waiting) return;
  if (loop_.now() < target_again_at_) return tick_soon();
  const std::uint64_t request = ++requests_;
  if (!leader.send(net::Tail{request, tail_.next, kTailCreditBytes})) return;
  tail_.request = request;
  tail_.credit_used = 0;
}

void ClientCore::on_tail_entries(const net::TailEntries& entries) {
  if (entries.request != tail_.request || tail_.request == 0) return;
  backoff_ = {};
  tail_since_ = served_at_ = loop_.now();
  if (tail_.next == Lsn{}) tail_.next = tail_.told = entries.lsn_begin;
  const bool joins = entries.lsn_begin == tail_.next;
  if (!joins || !add_entries(entries.entries, entries.lsn_begin, entries.count, tail_.buffered)) {
    // None twice, none missing: whatever does not join is not taken.
    leave_target({}, "a tail that does not join");
    return;
  }
  tail_.next = tail_.next + entries.count;
  deliver_tail();
}

void ClientCore::deliver_tail() {
  if (!tail_.waiting || tail_.buffered.entries.empty()) return;
  ReadResult result = std::exchange(tail_.buffered, {});
  std::size_t bytes = 0;
  for (const Entry& entry : result.entries) bytes += entry.payload.size() + kEntryHeaderBytes;
  tail_.told = result.lsn_next = result.lsn_end = tail_.next;
  tail_.credit_used += static_cast<std::uint32_t>(bytes);
  send_tail_credit();
  call_later([done = std::exchange(tail_.waiting, nullptr), result = std::move(result)]() mutable {
    done({}, std::move(result));
  });
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
  const bool trimmed = end.outcome == Outcome::trimmed;
  if ((trimmed || end.outcome == Outcome::corrupt) && tail_.waiting) {
    ReadResult result;
    result.first_lsn = end.first_lsn;
    result.detail = trimmed
                        ? "entries below " + std::to_string(end.first_lsn.value) + " are trimmed"
                        : end.detail;
    call_later([done = std::exchange(tail_.waiting, nullptr), trimmed,
                result = std::move(result)]() mutable {
      done(trimmed ? Errc::trimmed : Errc::corrupt, std::move(result));
    });
  } else if (&from == target()) {
    leave_target(end.leader, from.name() + " ended the tail");
  }
  wake();
}

// --- Status ----------------------------------------------------------------------------

void ClientCore::status(Duration timeout, StatusDone done) {
  closed_ = false;
  PendingStatus pending;
  pending.done = std::move(done);
  pending.deadline = loop_.now() + timeout;
  statuses_.emplace(++requests_, std::move(pending));
  wake();
}

void ClientCore::send_status() {
  if (statuses_.empty()) return;
  const Time now = loop_.now();
  std::vector<std::uint64_t> finished;
  for (auto& [request, status] : statuses_) {
    bool all = true;
    for (const Address& address : std::vector<Address>(addresses_)) {
      const std::string name = to_string(address);
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
    call_later([done = std::move(status.mapped().done), nodes = std::move(nodes)] { done(nodes); });
    wake();
  }
}

void ClientCore::on_status(Connection& from, const net::StatusAnswer& answer) {
  if (&from == target() && answer.report.role == "leader") target_leads_ = true;
  for (const MemberAddress& member : answer.report.members) {
    members_[member.node] = member.address;
    learn(member.address);
  }
  if (&from == target() && std::exchange(asks_whether_it_leads_, false)) {
    if (answer.report.role == "leader") {
      allowance_ = std::min(2 * allowance_, kAllowanceMax);
    } else {
      const auto leader = members_.find(answer.report.leader);
      leave_target(leader == members_.end() ? "" : leader->second, from.name() + " does not lead");
    }
  }
  const auto found = statuses_.find(answer.request);
  if (found != statuses_.end()) {
    const std::string name = from.name();
    NodeStatus& node = found->second.nodes[name];
    node.answer = answer.report;
    node.detail.clear();
    found->second.answered[name] = true;
  }
  wake();
}

}  // namespace stele::log
