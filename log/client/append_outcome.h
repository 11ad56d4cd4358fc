// What a caller is told of an append, by what the log has decided.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <stele/client_types.h>
#include "log/client/pending_appends.h"
#include "paxos/base/outcome.h"

namespace stele::log {

/// An outcome of an attempt that had no effect and never will have.
[[nodiscard]] bool is_refusal(Outcome outcome);

/// The log has decided it: an outcome of a chosen slot.
[[nodiscard]] bool is_decided(Outcome outcome);

struct Told {
  std::optional<Errc> error;
  AppendResult result;
};
/// Of a decided outcome. `sequence`: of the append,
/// within the result; `stop_detail`: why it was taken back, if it was.
[[nodiscard]] Told told_of(const PendingAppend& append, const CommandResult& result,
                           Sequence sequence, Time now, const char* stop_detail);

/// Why an entry of so many bytes is not taken.
[[nodiscard]] std::string over_limit(std::size_t bytes, std::size_t limit);

}  // namespace stele::log
