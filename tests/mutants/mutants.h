// Which mistake is made in this run. Only in stele-sim-mutants; never part of the product.
#pragma once

namespace stele::mutants {

/// The number of the mutant that is chosen; 0: none.
extern int chosen;

inline bool on(int mutant) { return mutant == chosen; }

}  // namespace stele::mutants
