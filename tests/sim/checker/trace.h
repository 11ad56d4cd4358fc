// What happened, in order: a hash of it always, and a line of text for each event if asked for.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "paxos/base/ids.h"

namespace stele::sim {

/// Two runs with the same hash went the same way.
class Trace {
 public:
  explicit Trace(std::ostream* lines = nullptr) : lines_(lines) {}

  /// `describe` makes the line, and is called only if lines are wanted.
  template <class Describe>
  void event(Time now, std::uint64_t kind, std::uint64_t a, std::uint64_t b, Describe describe) {
    mix(static_cast<std::uint64_t>(now.count()));
    mix(kind);
    mix(a);
    mix(b);
    if (lines_ != nullptr) line(now, describe());
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] bool wanted() const { return lines_ != nullptr; }

 private:
  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9fb21c651e98df25ULL;
    hash_ ^= hash_ >> 32;
  }
  void line(Time now, const std::string& text);

  std::ostream* lines_;
  std::uint64_t hash_ = 0x243f6a8885a308d3ULL;
};

}  // namespace stele::sim
