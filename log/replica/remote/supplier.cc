#include "log/replica/remote/supplier.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "net/wire/digest.h"

namespace stele::log {
namespace {

/// Bytes as they travel; a noop if there are none.
paxos::Value value_of(std::vector<std::byte> bytes) {
  if (bytes.empty()) return {};
  const auto owner = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  const std::uint64_t digest = net::value_digest(std::span<const std::byte>(*owner));
  return {paxos::ValueKind::batch, {Slice{owner, *owner}}, digest};
}

}  // namespace

bool Supplier::begin(const Question& question) {
  const NodeId node = std::get<0>(question);
  const auto of_node = std::ranges::count_if(
      answering_, [node](const Question& other) { return std::get<0>(other) == node; });
  if (static_cast<std::size_t>(of_node) >= kQuestionsMax) return false;
  return answering_.insert(question).second;
}

std::set<Slot> Supplier::fetched(Time now) const {
  std::set<Slot> slots;
  for (const auto& [node, asked] : fetched_) {
    if (now - asked.at < kStaysFor) slots.insert(asked.slot);
  }
  return slots;
}

void Supplier::on_fetch_snapshot(Time now, NodeId from, const paxos::FetchSnapshot& asked) {
  paxos::SnapshotPart part{asked.slot, asked.digest, asked.part, {}};
  if (asked.slot == Slot{} && offered_) part = {offered_->slot, offered_->digest, 0, {}};
  if (part.slot == Slot{}) return send_({from, {epoch_, part}});
  const Question question{from, part.digest, part.part};
  if (!begin(question)) return;
  const auto& kept = store_.snapshots().kept;
  if (std::ranges::find(kept, part.slot, &SnapshotInfo::slot) != kept.end()) {
    fetched_[from] = {part.slot, now};
  }
  store_.read_snapshot(part.slot, part.digest, part.part,
                       [this, from, part, question](std::vector<std::byte> bytes) mutable {
                         answering_.erase(question);
                         part.bytes = value_of(std::move(bytes));
                         send_({from, {epoch_, std::move(part)}});
                       });
}

void Supplier::on_fetch_run(NodeId from, const paxos::FetchRun& asked) {
  const Slot begin = begin_of_run(asked.run);
  // One that is not here is told at once, so that another node is asked.
  if (asked.run > run_of(store_.readable().chosen_end)) {
    return send_({from, {epoch_, paxos::RunSlots{asked.run, asked.slot_end, {}}}});
  }
  const bool sound = asked.slot_end > begin && asked.slot_end <= begin_of_run(asked.run + 1);
  const Question question{from, 0, asked.run};
  if (!sound || !this->begin(question)) return;
  store_.read_run(asked.run, asked.slot_end, [this, from, asked, question](const RunRead& read) {
    answering_.erase(question);
    paxos::RunSlots answer{asked.run, asked.slot_end, {}};
    if (read.known) answer.bytes = value_of(encode_run_list(read.slots));
    send_({from, {epoch_, std::move(answer)}});
  });
}

}  // namespace stele::log
