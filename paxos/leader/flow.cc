#include "paxos/leader/flow.h"

#include <algorithm>
#include <utility>

namespace stele::paxos {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
Duration from_seconds(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

/// The bound becomes so many times itself in a round, at least.
constexpr double kShrinkMost = 0.6;
/// The bound becomes so many times itself in a round, at most.
constexpr double kGrowMost = 1.5;
/// At most so many times itself until slots have once taken as long as they may.
constexpr double kGrowAtFirst = 3;
/// A rate that was seen once is believed less with every round that does not reach it.
constexpr double kRateKept = 0.98;
/// Slots that take so many times as long as one that is alone wait for each other.
constexpr int kFull = 2;
/// So much of what a slot took may be due to its own bytes, whatever the rate says.
constexpr double kOwnMost = 0.9;

}  // namespace

Flow::Flow(std::size_t bytes_max) : limit_(bytes_max), bytes_(std::min(kBytesAtFirst, bytes_max)) {}

void Flow::begin(Time now) {
  *this = Flow(limit_);
  now_ = alone_at_ = round_began_ = now;
}

void Flow::on_proposed(Time now, Slot slot, bool alone) {
  now_ = now;
  next_ = slot + 1;
  alone_ = alone ? slot : Slot{};
  if (alone && round_slots_ == 0) round_began_ = now;  // Until now nothing was to be done.
}

void Flow::on_chosen(Time now, Slot slot, const Proposed& proposed) {
  now_ = now;
  const Duration took = now - proposed.at;
  // It was alone up to here: what comes after it shares its commit.
  if (slot == std::exchange(alone_, Slot{})) {
    alones_[alones_seen_++ % alones_.size()] = {took, proposed.bytes};
    alone_at_ = now;
  }
  round_sum_ += took;
  ++round_slots_;
  round_bytes_ += proposed.bytes;
  round_in_flight_ += proposed.in_flight_bytes;
  if (slot >= round_end_) end_round(now);
}

void Flow::end_round(Time now) {
  const Duration took = round_sum_ / static_cast<Duration::rep>(round_slots_);
  const double wanted = seconds(target()) / std::max(seconds(took), 1e-9);
  if (wanted <= 1) at_first_ = false;
  // So much would take as long as it may, since this has taken so long.
  const double right =
      wanted * static_cast<double>(round_in_flight_) / static_cast<double>(round_slots_);
  const auto bytes = static_cast<double>(bytes_);
  double next = bytes;
  if (held_back_ && wanted > 1) {
    next = std::clamp(right, bytes, bytes * (at_first_ ? kGrowAtFirst : kGrowMost));
  }
  if (wanted < 1) next = std::clamp(right, bytes * kShrinkMost, bytes);
  bytes_ = std::clamp(static_cast<std::size_t>(next), std::min(kBytesMin, limit_), limit_);

  // A bound that is too low must not look like a slow line or disk.
  const bool several = round_in_flight_ >= kFull * round_bytes_;
  if (held_back_ && several && now > round_began_ && took >= kFull * base()) {
    const double rate = static_cast<double>(round_bytes_) / seconds(now - round_began_);
    bytes_per_second_ = std::max(rate, kRateKept * bytes_per_second_);
  }
  round_end_ = next_;
  round_began_ = now;
  round_sum_ = {};
  round_slots_ = round_bytes_ = round_in_flight_ = 0;
  held_back_ = false;
}

/// What a slot takes for little: the least of the last ones that were alone, since the others may
/// have waited for something else. What a slot's own bytes took on the way is no fixed cost. As
/// long as the rate is not known, that may be almost all of a large one.
Duration Flow::base() const {
  Duration least = Duration::max();
  for (const auto& alone : alones_) {
    if (!alone) continue;
    const double most = kOwnMost * seconds(alone->took);
    const double unknown = alone->bytes <= kSmallBytes ? 0 : most;
    const double own = bytes_per_second_ > 0
                           ? std::min(static_cast<double>(alone->bytes) / bytes_per_second_, most)
                           : unknown;
    least = std::min(least, alone->took - from_seconds(own));
  }
  return alones_seen_ == 0 ? Duration(0) : least;
}

void Flow::on_round_trip(Duration round_trip) {
  // Slowly back up, should the way have become longer.
  round_trip_ = round_trip_ ? std::min(*round_trip_ + *round_trip_ / 64, round_trip) : round_trip;
}

Duration Flow::target() const {
  const Duration way = std::min(round_trip_.value_or(Duration(0)), base());
  return std::min(kQueueTime + way + kPerFixedCost * (base() - way), kTargetMax);
}

std::size_t Flow::batch_bytes() const {
  const std::size_t most = measures() ? kSmallBytes : limit_;
  return std::min(std::max(bytes_ / 4, kBatchBytesMin), most);
}

}  // namespace stele::paxos
