// The descriptors of a program.
#pragma once

#include <cstdint>

namespace stele::apps {

/// Call first: standard input, output or error that the caller has closed stay so. Otherwise the
/// next thing that is opened takes their place, and is read or written for them.
void keep_standard_descriptors();
/// Raises the bound to what the system allows: each client of a node takes one. Returns the bound.
std::uint64_t raise_descriptors();
/// A node needs so many for its files, the other nodes and connections that are refused.
inline constexpr std::uint64_t kDescriptorsKept = 160;

}  // namespace stele::apps
