// Operating errors: one code, one sentence that says what to do, one result type.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

#include "paxos/base/outcome.h"

namespace stele {

/// Why something could not be done. Those up to 63 are outcomes of a command or a question, by the
/// same numbers (docs/outcomes.md says what each means to a caller); none is ever used again.
enum class Errc {
  not_leader = static_cast<int>(Outcome::not_leader),
  overloaded = static_cast<int>(Outcome::overloaded),
  too_large = static_cast<int>(Outcome::too_large),
  no_space = static_cast<int>(Outcome::no_space),
  condition_failed = static_cast<int>(Outcome::condition_failed),
  trimmed = static_cast<int>(Outcome::trimmed),
  session_expired = static_cast<int>(Outcome::session_expired),
  shutting_down = static_cast<int>(Outcome::shutting_down),
  corrupt = static_cast<int>(Outcome::corrupt),
  // What a client finds out by itself.
  timed_out = 64,
  stopped = 65,
  unreachable = 66,
  refused = 67,
  invalid_argument = 68,
  // What goes wrong while operating.
  malformed = 69,
  foreign_directory = 70,
  newer_format = 71,
  in_use = 72,
  io = 73,
};

/// The outcome word, as printed by the tools: `not_leader`, `timed_out`, …
[[nodiscard]] std::string_view to_string(Errc code);

/// The error that says the same to a caller; nothing if the outcome is none (ok), or one that the
/// client library turns into another (unknown, resend, skipped, forgotten).
[[nodiscard]] std::optional<Errc> error_of(Outcome outcome);

struct Error {
  Errc code;
  std::string detail;  // A sentence for people: what happened, and what to do.
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

/// Passes the error of a result on, as another type of result.
template <class T>
[[nodiscard]] tl::unexpected<Error> forward(const Result<T>& failed) {
  return tl::unexpected<Error>(failed.error());
}

}  // namespace stele
