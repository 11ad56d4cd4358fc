#include "paxos/leader/slot_window.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"

namespace stele::paxos {

void SlotWindow::begin_at(Slot slot) {
  STELE_CHECK(slots_.empty());
  begin_ = next_ = counted_begin_ = slot;
}

const SlotWindow::InFlight& SlotWindow::push(Value value, Time now, bool recovers) {
  STELE_CHECK(begin_ + slots_.size() == next_);
  ++next_;
  slots_.push_back({std::move(value), {}, now, recovers});
  slots_.back().ahead_bytes = bytes();
  return slots_.back();
}

void SlotWindow::drop_chosen() {
  while (!slots_.empty() && slots_.front().chosen) {
    slots_.pop_front();
    ++begin_;
  }
}

void SlotWindow::drop_learned(Slot chosen_end) {
  STELE_CHECK(counted_begin_ <= begin_);
  while (!slots_.empty() && begin_ < chosen_end) {
    if (!slots_.front().chosen) counted_begin_ = begin_ + 1;
    slots_.pop_front();
    ++begin_;
  }
  drop_chosen();
  if (slots_.empty() && next_ < chosen_end) begin_at(chosen_end);
}

void SlotWindow::mark_recovering() {
  for (InFlight& in_flight : slots_) in_flight.recovers = true;
}

std::size_t SlotWindow::bytes() const {
  std::size_t bytes = 0;
  for (const InFlight& in_flight : slots_) bytes += in_flight.value.size();
  return bytes;
}

std::optional<Slot> SlotWindow::first_owed(NodeId node) const {
  Slot slot = begin_;
  for (const InFlight& in_flight : slots_) {
    if (is_owed(in_flight, node)) return slot;
    ++slot;
  }
  return std::nullopt;
}

std::string SlotWindow::check() const {
  if (begin_ + slots_.size() != next_) return "the slots in flight are not dense";
  if (counted_begin_ > begin_) return "slots that are in flight count as chosen";
  if (!slots_.empty() && slots_.front().chosen) return "the first slot in flight is chosen";
  return {};
}

}  // namespace stele::paxos
