// How a run ends in which an invariant was violated.
#pragma once

#include <stdexcept>
#include <string>

namespace stele::sim {

/// `invariant` is a number of docs/verification.md, "check" (a node ended itself) or "users".
struct Violation : std::runtime_error {
  Violation(std::string which, const std::string& what)
      : std::runtime_error(what), invariant(std::move(which)) {}
  std::string invariant;
};

}  // namespace stele::sim
