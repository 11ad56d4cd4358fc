#include "log/replica/remote/remote_slots.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace stele::log {
namespace {

/// Whether that is the value that the summary speaks of.
bool is_value_of(const SlotSummary& summary, const paxos::SlotRecord& record) {
  return record.slot == summary.row.slot &&
         static_cast<std::uint8_t>(record.value.kind()) == summary.kind &&
         record.value.size() == summary.bytes && record.value.digest() == summary.digest;
}

}  // namespace

void RemoteSlots::run(Time now, std::uint64_t run, Slot slot_end, std::uint64_t digest,
                      OnRun done) {
  Question question;
  question.run = run;
  question.slot_end = slot_end;
  question.digest = digest;
  question.on_run = std::move(done);
  add(now, std::move(question));
}

void RemoteSlots::values(Time now, Known known, Slot begin, OnValues done) {
  Question question;
  question.known = std::move(known);
  question.begin = begin;
  question.on_values = std::move(done);
  add(now, std::move(question));
}

void RemoteSlots::add(Time now, Question question) {
  questions_.push_back(std::move(question));
  const At at = std::prev(questions_.end());
  if (questions_.size() > kQuestionsMax) return fail(at);
  ask(now, at);
}

/// Who has helped last comes first, and the leader last; nobody twice in a round.
NodeId RemoteSlots::next_node(const Question& question) const {
  std::vector<NodeId> order = options_.others;
  std::stable_partition(order.begin(), order.end(),
                        [this](NodeId node) { return node != leader_; });
  std::stable_partition(order.begin(), order.end(),
                        [this](NodeId node) { return node == helped_; });
  const auto next = std::ranges::find_if(order, [&](NodeId node) {
    return std::ranges::find(question.in_round, node) == question.in_round.end();
  });
  return *next;
}

void RemoteSlots::ask(Time now, At at) {
  if (at->asked >= kRounds * options_.others.size()) return fail(at);
  if (at->in_round.size() == options_.others.size()) at->in_round.clear();
  const NodeId to = next_node(*at);
  at->in_round.push_back(to);
  ++at->asked;
  at->to = to;
  at->asked_at = now;
  paxos::Body body;
  if (at->on_run) {
    body = paxos::FetchRun{at->run, at->slot_end};
  } else {
    body = paxos::Fetch{at->begin, true};
  }
  send_({to, {options_.epoch, std::move(body)}});
}

void RemoteSlots::fail(At at) {
  const Question question = std::move(*at);
  questions_.erase(at);
  if (question.on_run) return question.on_run(nullptr);
  question.on_values({});
}

/// An older one may be of somebody who does not wait for it any more.
template <class Matches>
RemoteSlots::At RemoteSlots::youngest(Matches matches) {
  const auto found = std::find_if(questions_.rbegin(), questions_.rend(), matches);
  return found == questions_.rend() ? questions_.end() : std::prev(found.base());
}

void RemoteSlots::on_run_slots(Time now, NodeId from, const paxos::RunSlots& answer) {
  const auto at = youngest([&](const Question& question) {
    // From which node does not matter, but for one that does not have it.
    const bool counts = question.to == from || answer.bytes.size() != 0;
    return question.on_run && counts && question.run == answer.run &&
           question.slot_end == answer.slot_end;
  });
  if (at == questions_.end()) return;
  if (answer.bytes.size() == 0) return ask(now, at);
  std::vector<std::byte> bytes(answer.bytes.size());
  answer.bytes.copy_to(bytes.data());
  auto slots = parse_run_list(bytes, begin_of_run(answer.run), answer.slot_end);
  if (!slots || digest_of(*slots) != at->digest) {
    tell_of_others(from, answer.run);
    return ask(now, at);
  }
  helped_ = from;
  const OnRun done = std::move(at->on_run);
  questions_.erase(at);
  done(std::make_shared<const KnownRun>(KnownRun{answer.run, *std::move(slots)}));
}

void RemoteSlots::on_fetched(Time now, NodeId from, const paxos::Fetched& answer) {
  const auto at = youngest([&](const Question& question) {
    const bool counts = question.to == from || !answer.records.empty();
    return question.on_values && counts && question.begin == answer.slot_begin;
  });
  if (at == questions_.end()) return;
  std::vector<paxos::SlotRecord> records;
  for (const paxos::SlotRecord& record : answer.records) {
    if (record.slot >= at->known->end()) break;
    if (!is_value_of(at->known->at(record.slot), record)) {
      tell_of_others(from, at->known->run);
      return ask(now, at);
    }
    records.push_back(record);
  }
  if (records.empty()) return ask(now, at);
  helped_ = from;
  const OnValues done = std::move(at->on_values);
  questions_.erase(at);
  done(std::move(records));
}

void RemoteSlots::tick(Time now, std::optional<NodeId> leader) {
  leader_ = leader;
  for (auto at = questions_.begin(); at != questions_.end();) {
    const auto next = std::next(at);
    // Its answer may be on a slow line: the next round takes longer.
    const auto round = static_cast<int>((at->asked - 1) / options_.others.size());
    if (now - at->asked_at >= options_.timeout * (1 << (2 * round))) {
      if (helped_ == at->to) helped_.reset();
      ask(now, at);
    }
    at = next;
  }
}

/// Loud: what it serves is not what was chosen.
void RemoteSlots::tell_of_others(NodeId node, std::uint64_t run) {
  events_.event(EventLevel::error, "peer_serves_other_slots",
                {{"node", node.value}, {"slot", begin_of_run(run).value}});
}

}  // namespace stele::log
