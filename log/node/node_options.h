// Whether a node can run with its options, and what they mean for memory and disk.
#pragma once

#include <stele/node.h>

#include <functional>
#include <string>
#include <string_view>

namespace stele::log {

/// How an option is called where it was given: `disk_reserve_bytes` in a program,
/// `--disk-reserve-bytes` on a command line.
using OptionName = std::function<std::string(std::string_view)>;

/// Fills in what is not said. Errors: invalid_argument, naming the option.
[[nodiscard]] Result<NodeOptions> complete(
    NodeOptions options,
    const OptionName& name = [](std::string_view option) { return std::string(option); });

}  // namespace stele::log
