#include "log/replica/upkeep.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "log/format/retention.h"
#include "log/format/snapshot.h"

namespace stele::log {

Upkeep::Upkeep(Store& store, Events& events, Options options, Propose propose)
    : store_(store),
      events_(events),
      options_(std::move(options)),
      propose_(std::move(propose)),
      trimmer_(store,
               [this](const RetainCommand& command) {
                 this->propose(CommandKind::retain, body_of(command));
               }),
      snapshot_pace_(options_.snapshots) {}

void Upkeep::tick(Time now, const LogState& state, const Situation& situation) {
  look_what_is_offered(situation);
  const bool leads = situation.leads;
  const bool space_low = situation.space_low;
  const StateNumbers& numbers = state.numbers();
  const Slot needed = this->needed(numbers.chosen_end);
  // A node that lacks what is gone gets a snapshot, so one must be there; but a full disk may have
  // no room for it.
  const Slot offered = offered_ ? offered_->slot : Slot{};
  const Slot snapshot = space_low ? std::max(needed, offered) : offered;
  const std::uint64_t kept_bytes = space_low ? 0 : options_.keep_for_members_bytes;
  trimmer_.tick(now, state, leads, {needed, kept_bytes, snapshot, offered});
  const auto newest = store_.snapshots().newest();
  const std::uint64_t last_bytes = newest ? newest->bytes : 0;
  if (leads && snapshot_pace_.due(now, numbers, last_bytes, trimmer_.waits_for_snapshot())) {
    propose(CommandKind::snapshot, body_of(SnapshotCommand{numbers.snapshot_slot}));
  }
  tell_of_snapshots();
}

void Upkeep::look_what_is_offered(const Situation& situation) {
  const bool whole = situation.whole;
  offered_.reset();
  for (const SnapshotInfo& one : store_.snapshots().kept) {
    std::size_t have = whole && store_.readable().chosen_end >= one.slot ? 1 : 0;
    for (const auto& [node, end] : durable_ends_) have += end >= one.slot ? 1U : 0U;
    if (one.slot <= store_.holding().snapshot || have >= options_.in_each_quorum) offered_ = one;
  }
  std::set<Slot> stay;
  if (offered_) stay.insert(offered_->slot);
  const auto& kept = store_.snapshots().kept;
  for (const Slot slot : situation.fetched) {
    if (std::ranges::find(kept, slot, &SnapshotInfo::slot) != kept.end()) stay.insert(slot);
  }
  if (stay == stay_) return;
  // If one is gone, what is kept will be told anew.
  if (store_.keep_snapshots(stay)) {
    stay_ = std::move(stay);
  } else {
    offered_.reset();
  }
}

/// A member that was not heard of may lack everything.
Slot Upkeep::needed(Slot chosen_end) const {
  Slot needed = chosen_end;
  for (const NodeId node : options_.others) {
    const auto told = durable_ends_.find(node);
    needed = std::min(needed, told == durable_ends_.end() ? Slot{} : told->second);
  }
  return needed;
}

void Upkeep::propose(CommandKind kind, const std::vector<std::byte>& body) {
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  Command header;
  header.kind = kind;
  header.count = 1;
  put_command_header(header, body.size(), *bytes);
  bytes->insert(bytes->end(), body.begin(), body.end());
  propose_(kind, {bytes, *bytes});
}

void Upkeep::tell_of_snapshots() {
  const SnapshotReport& report = store_.snapshots();
  const auto newest = report.newest();
  if (report.taken + report.given_up == snapshots_told_) return;
  snapshots_told_ = report.taken + report.given_up;
  if (!report.why_given_up.empty()) {
    events_.event(EventLevel::warning, "snapshot_given_up", {{"reason", report.why_given_up}});
  } else {
    events_.event(
        EventLevel::info, "snapshot_taken",
        {{"slot", newest ? newest->slot.value : 0}, {"bytes", newest ? newest->bytes : 0}});
  }
}

}  // namespace stele::log
