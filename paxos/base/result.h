// Operating errors: one code, one sentence that says what to do, one result type.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace stele {

enum class Errc {
  // Outcomes of a client's operation; docs/outcomes.md says what each means to a caller.
  not_leader = 1,
  overloaded,
  too_large,
  no_space,
  condition_failed,
  trimmed,
  session_expired,
  shutting_down,
  timed_out,
  // Everything else that can go wrong while operating.
  invalid_argument,
  unreachable,
  malformed,
  refused,
  corrupt,
  foreign_directory,
  newer_format,
  in_use,
  io,
  // Of a client's operation again.
  stopped,
};

/// The outcome word, as printed by the tools: `not_leader`, `timed_out`, …
[[nodiscard]] std::string_view to_string(Errc code);

struct Error {
  Errc code;
  std::string detail;  // A sentence for people: what happened, and what to do.
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(Errc code, std::string detail) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace stele
