#include "paxos/flow.h"

#include <algorithm>
#include <utility>

namespace stele::paxos {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
Duration from_seconds(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(count));
}

/// The bound changes by so much in a round at most.
constexpr double kShrinkMost = 0.6;
constexpr double kGrowMost = 1.5;

}  // namespace

Flow::Flow(std::size_t bytes_max) : limit_(bytes_max), bytes_(std::min(kBytesAtFirst, bytes_max)) {}

void Flow::begin(Time now) {
  *this = Flow(limit_);
  now_ = base_at_ = round_began_ = now;
}

void Flow::on_proposed(Time now, Slot slot, std::size_t in_flight_bytes, bool alone) {
  now_ = now;
  next_ = slot + 1;
  alone_ = alone ? slot : Slot{};
  if (alone && round_slots_ == 0) round_began_ = now;  // Until now nothing was to be done.
  round_peak_ = std::max(round_peak_, in_flight_bytes);
}

void Flow::on_chosen(Time now, Slot slot, std::size_t bytes, Time proposed_at) {
  now_ = now;
  const Duration took = now - proposed_at;
  // Until now: what comes behind it shares its commit.
  if (slot == std::exchange(alone_, Slot{})) {
    // What its own bytes took on the way is no fixed cost.
    const bool rate_known = bytes_per_second_ > 0;
    const double own = rate_known ? static_cast<double>(bytes) / bytes_per_second_ : 0;
    if (rate_known || bytes <= kSmallBytes)
      add_base(std::max(Duration(0), took - from_seconds(own)));
    base_at_ = now;
  }
  round_sum_ += took;
  ++round_slots_;
  round_bytes_ += bytes;
  if (slot >= round_end_) end_round(now);
}

void Flow::end_round(Time now) {
  const Duration took = round_sum_ / static_cast<Duration::rep>(round_slots_);
  const double factor =
      std::clamp(seconds(target()) / std::max(seconds(took), 1e-9), kShrinkMost, kGrowMost);
  double next = static_cast<double>(bytes_);
  if (held_back_ && factor > 1) next *= factor;
  if (factor < 1) next = std::min(next, static_cast<double>(round_peak_) * factor);
  bytes_ = std::clamp(static_cast<std::size_t>(next), std::min(kBytesMin, limit_), limit_);

  if (held_back_ && now > round_began_) {
    const double rate = static_cast<double>(round_bytes_) / seconds(now - round_began_);
    bytes_per_second_ = bytes_per_second_ > 0 ? (bytes_per_second_ + rate) / 2 : rate;
  }
  round_end_ = next_;
  round_began_ = now;
  round_sum_ = {};
  round_slots_ = round_bytes_ = round_peak_ = 0;
  held_back_ = false;
}

void Flow::add_base(Duration base) { bases_[bases_seen_++ % bases_.size()] = base; }

/// The least of the last ones: the others may have waited for something else.
Duration Flow::base() const {
  Duration least = Duration::max();
  for (const auto& base : bases_) {
    if (base) least = std::min(least, *base);
  }
  return bases_seen_ == 0 ? Duration(0) : least;
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
