#include "log/replica/remote/catching_up.h"

namespace stele::log {

bool CatchingUp::deliver(Time now, NodeId from, const paxos::Body& body) {
  if (const auto* asked = std::get_if<paxos::FetchSnapshot>(&body)) {
    supplier_.on_fetch_snapshot(now, from, *asked);
  } else if (const auto* run = std::get_if<paxos::FetchRun>(&body)) {
    supplier_.on_fetch_run(from, *run);
  } else if (const auto* part = std::get_if<paxos::SnapshotPart>(&body)) {
    snapshot_.on_part(now, from, *part);
  } else if (const auto* slots = std::get_if<paxos::RunSlots>(&body)) {
    remote_.on_run_slots(now, from, *slots);
  } else if (const auto* fetched = std::get_if<paxos::Fetched>(&body);
             fetched != nullptr && fetched->copies) {
    remote_.on_fetched(now, from, *fetched);
  } else {
    return false;
  }
  return true;
}

void CatchingUp::want_snapshot(Time now, Slot chosen_end) {
  wanted_at_ = chosen_end;
  snapshot_.want(now, chosen_end);
}

void CatchingUp::tick(Time now, const StateNumbers& numbers, bool paused,
                      std::optional<NodeId> leader) {
  // Somebody has served the slot after all: what has come of the snapshot stays for another time.
  if (snapshot_.under_way() && numbers.chosen_end > wanted_at_) snapshot_.stop();
  remote_.tick(now, leader);
  snapshot_.tick(now);
  copier_.tick(now, numbers, paused);
}

}  // namespace stele::log
