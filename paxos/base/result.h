// Making results that are errors (<stele/error.h>), and passing them on.
#pragma once

#include <stele/error.h>

#include <optional>
#include <string>
#include <utility>

#include "paxos/base/outcome.h"

namespace stele {

/// The error that says the same to a caller; nothing if the outcome is none (ok), or one that the
/// client library turns into another (unknown, resend, skipped, forgotten).
[[nodiscard]] std::optional<Errc> error_of(Outcome outcome);

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

/// Passes the error of a result on, as another type of result.
template <class T>
[[nodiscard]] tl::unexpected<Error> forward(const Result<T>& failed) {
  return tl::unexpected<Error>(failed.error());
}

}  // namespace stele
