// All the randomness of a simulation: the same bits on every machine.
#pragma once

#include <cstdint>

#include "paxos/base/ids.h"

namespace stele::sim {

/// SplitMix64. A value: a copy goes its own way from there.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// In [0, bound); 0 if the bound is.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : bits() % bound; }
  /// In [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<Duration::rep>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  /// True in `percent` of 100 cases.
  bool chance(std::uint64_t percent) { return below(100) < percent; }
  bool chance_ppm(std::uint64_t ppm) { return ppm != 0 && below(1'000'000) < ppm; }

  /// Another stream, which what is drawn from this one does not change.
  [[nodiscard]] Random fork(std::uint64_t stream) const {
    Random mixed(state_ ^ (stream * 0xd1342543de82ef95ULL));
    return Random(mixed.bits());
  }

 private:
  std::uint64_t state_;
};

}  // namespace stele::sim
