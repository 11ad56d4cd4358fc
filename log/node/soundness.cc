#include "log/node/soundness.h"

#include <utility>

namespace stele::log {

Soundness::Soundness(NodeId self, std::size_t nodes, Lineage lineage, Store& store, net::Loop& loop,
                     Events& events)
    : loop_(loop),
      events_(events),
      store_(store),
      lineage_(std::move(lineage)),
      comparison_(self, nodes) {}

Result<bool> Soundness::admit(const net::Hello& hello, bool born) {
  // Before birth another directory may take a node's place; what was heard becomes durable with the
  // birth.
  if (!born) lineage_.forget(hello.node);
  auto admitted = lineage_.admit(hello);
  if (admitted && !born) admitted = false;
  return admitted;
}

// --- Durable knowledge -------------------------------------------------------------------

void Soundness::keep(std::function<void()> durable) {
  static_cast<void>(lineage_.take_changed());
  store_.write_history(lineage_.history(), std::move(durable));
}

void Soundness::keep_all_heard(std::function<void()> durable) {
  keep([this, heard = lineage_.history().heard, durable = std::move(durable)] {
    for (const Sighting& seen : heard) lineage_.on_kept(seen.node, seen.recent[0].id);
    durable();
  });
}

void Soundness::keep_heard(NodeId node, std::uint64_t start_id, std::function<void()> durable) {
  keep([this, node, start_id, durable = std::move(durable)] {
    lineage_.on_kept(node, start_id);
    durable();
  });
}

void Soundness::keep_changes() {
  if (lineage_.take_changed()) keep(nullptr);
}

// --- Reports -------------------------------------------------------------------------------

net::Report Soundness::report(const StateTrail* trail) const {
  net::Report report;
  report.sightings = lineage_.sightings(store_.commits());
  if (trail != nullptr) report.points = comparison_.points(*trail);
  return report;
}

bool Soundness::merge(NodeId from, const std::vector<Sighting>& sightings) {
  return lineage_.merge(from, sightings);
}

void Soundness::compare(NodeId from, const std::vector<StatePoint>& points,
                        const StateTrail& trail) {
  for (const StatePoint& point : points) comparison_.reported(from, point, trail, loop_.now());
}

bool Soundness::hear_of_self(const net::Report& report) {
  for (const Sighting& seen : report.sightings) lineage_.hear_of_self(seen);
  if (lineage_.gone_back().empty() || !halted_.empty()) return false;
  keep(nullptr);
  return true;
}

// --- The judgement ---------------------------------------------------------------------------

void Soundness::remember_dispute() {
  const StatePoint& disputed = lineage_.history().disputed;
  if (disputed.chosen_end != Slot{}) comparison_.remember(disputed, loop_.now());
}

Soundness::Judgement Soundness::judge(const StateTrail& trail) {
  comparison_.compare_waiting(trail, loop_.now());
  using Verdict = StateComparison::Verdict;
  const Verdict verdict = comparison_.verdict(loop_.now());
  keep_verdict(verdict);
  const std::string why = reason(verdict);
  const bool news = tell_dispute();
  tell_outvoted();
  // Others may lack what makes them the majority that says so.
  const bool serves = verdict == Verdict::unsure && comparison_.leads() &&
                      lineage_.history().diverged_at == Slot{} && lineage_.gone_back().empty();
  if (std::exchange(halted_, why) != why) tell_halted();
  using Takes = Replica::Takes;
  return {why.empty() ? Takes::part : serves ? Takes::questions : Takes::no_part, news};
}

/// A restart must not make it sure.
void Soundness::keep_verdict(StateComparison::Verdict verdict) {
  using Verdict = StateComparison::Verdict;
  if (verdict == Verdict::diverged) {
    if (lineage_.history().diverged_at != Slot{}) return;
    lineage_.set_diverged(comparison_.disputed()->chosen_end);
    return keep([] {});
  }
  const StatePoint disputed = verdict == Verdict::unsure ? *comparison_.disputed() : StatePoint{};
  if (lineage_.history().disputed == disputed) return;
  lineage_.set_disputed(disputed);
  keep([] {});
}

std::string Soundness::reason(StateComparison::Verdict verdict) const {
  if (!lineage_.gone_back().empty()) return lineage_.gone_back();
  if (const Slot at = lineage_.history().diverged_at; at != Slot{}) {
    return "diverged: the state after slot " + std::to_string(at.value - 1) +
           " differs from a majority's; this node takes no part any more";
  }
  if (verdict != StateComparison::Verdict::unsure) return {};
  return "diverged: " + comparison_.sentence() + ", and no majority says which is right";
}

/// True if there is a new dispute.
bool Soundness::tell_dispute() {
  const auto disputed = comparison_.disputed();
  if (disputed == disputed_) return false;
  disputed_ = disputed;
  if (!disputed) return false;
  events_.event(EventLevel::error, "states_differ", {{"reason", comparison_.sentence()}});
  return true;
}

void Soundness::tell_outvoted() {
  if (comparison_.outvoted() == outvoted_) return;
  outvoted_ = comparison_.outvoted();
  std::string nodes;
  for (NodeId node : outvoted_) nodes += (nodes.empty() ? "" : ", ") + std::to_string(node.value);
  if (nodes.empty()) return;
  events_.event(EventLevel::error, "states_differ",
                {{"reason", "the state of node " + nodes +
                                " differs from a majority's: it takes no part any more"}});
}

void Soundness::tell_halted() {
  if (halted_.empty()) {
    events_.event(EventLevel::warning, "goes_on", {{"reason", "a majority has the same state"}});
  } else {
    events_.event(EventLevel::error, role(), {{"reason", halted_}});
  }
}

std::string_view Soundness::role() const {
  return lineage_.gone_back().empty() ? "diverged" : "gone_back";
}

}  // namespace stele::log
