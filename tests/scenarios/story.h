// Stories of the protocol as text files; README.md beside this file has their steps.
#pragma once

#include <string>

namespace stele::sim {

/// Runs a story over the real actors, in virtual time; returns what did not come as told, with the
/// line's number; empty if all did.
[[nodiscard]] std::string run_story(const std::string& text);

}  // namespace stele::sim
