// Why something could not be done: one code, one sentence, one type of result.
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>

namespace stele {

/// Those up to 63 are outcomes of an operation on the log, as docs/outcomes.md has them. The
/// numbers stay what they are; none is ever used again.
enum class Errc {
  not_leader = 1,        ///< This node does not lead; the client library goes on to the leader.
  overloaded = 2,        ///< A queue is full, the cluster's or the client's own.
  too_large = 3,         ///< The entry is larger than the cluster takes.
  no_space = 4,          ///< Too few disks have room.
  condition_failed = 5,  ///< The entry would not get the LSN that was asked for.
  trimmed = 6,           ///< The entries are no longer kept.
  session_expired = 7,   ///< The cluster has forgotten the session, or what became of an append.
  shutting_down = 8,     ///< The node, or this client, is closing.
  corrupt = 13,          ///< A record cannot be read.
  out_of_range = 14,     ///< An LSN after the end of the log.
  held = 15,             ///< A hold keeps entries that were to be trimmed.
  not_found = 16,        ///< There is nothing of that name.
  too_many = 17,         ///< There are as many as may be.
  elsewhere = 18,  ///< The node does not have these entries yet; the client library asks again.
  // What a client finds out by itself.
  timed_out = 64,         ///< Not acknowledged until the deadline.
  stopped = 65,           ///< An append before it has failed (ClientOptions::stop_at_failure); of a
                          ///< tail: another one of the client has begun.
  unreachable = 66,       ///< No node could be reached.
  refused = 67,           ///< It is another cluster.
  invalid_argument = 68,  ///< What was asked for makes no sense, or is out of bounds.
  // What goes wrong while a node runs.
  malformed = 69,          ///< Bytes that are no message or no record.
  foreign_directory = 70,  ///< The directory belongs to another node, cluster or program.
  newer_format = 71,       ///< It was written by a version that this one does not understand.
  in_use = 72,             ///< Another process has it.
  io = 73,                 ///< The disk, or the system, has failed.
};

/// The outcome word, as printed by the tools: `not_leader`, `timed_out`, …; of a number that is
/// none of these, `unknown`. Any thread.
[[nodiscard]] std::string_view to_string(Errc code);

/// The category of Stele's error codes, for users of the standard library and of Asio; the values
/// are those of Errc. Any thread.
[[nodiscard]] const std::error_category& error_category();
/// The code of this category for `code`. Any thread.
[[nodiscard]] std::error_code make_error_code(Errc code);

/// Why something could not be done; a value.
struct Error {
  Errc code;           ///< For programs.
  std::string detail;  ///< A sentence for people: what happened, and what to do.
};

/// What was asked for, or why there is none.
template <class T>
using Result = tl::expected<T, Error>;

}  // namespace stele

template <>
struct std::is_error_code_enum<stele::Errc> : std::true_type {};
