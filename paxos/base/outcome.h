// What became of a client's command: in answers, and in what sessions remember.
#pragma once

#include <cstdint>

#include "paxos/base/ids.h"

namespace stele {

/// What became of an operation, as a node tells it; docs/outcomes.md. The numbers stand on the wire
/// and on the disk: none is ever changed or used again.
enum class Outcome : std::uint8_t {
  ok = 0,
  not_leader = 1,
  overloaded = 2,
  too_large = 3,
  no_space = 4,
  condition_failed = 5,
  trimmed = 6,
  session_expired = 7,
  shutting_down = 8,
  unknown = 9,        ///< It was proposed; it may yet be chosen.
  resend = 10,        ///< Void: an earlier sequence is missing. Send again from there, in order.
  skipped = 11,       ///< The sequence was consumed by a skip.
  forgotten = 12,     ///< Applied before; its LSN is no longer remembered.
  corrupt = 13,       ///< The node cannot read what was asked for; others may.
  out_of_range = 14,  ///< An LSN after the end of the log.
  held = 15,          ///< A hold keeps entries that were to be trimmed.
  not_found = 16,     ///< There is nothing of that name.
  too_many = 17,      ///< There are as many as may be.
  elsewhere = 18,     ///< The node does not have these entries yet, nor does one that it reaches.
};

inline constexpr Outcome kOutcomeLast = Outcome::elsewhere;

/// What became of consecutive sequences of a session, which all ended alike.
struct CommandResult {
  SessionId session;
  Sequence sequence;        ///< The first one.
  std::uint32_t count = 0;  ///< How many there are.
  Outcome outcome = Outcome::ok;
  Lsn lsn;               ///< Of the first entry; the others follow densely. {}: there is none.
  Sequence resend_from;  ///< With `resend`.

  bool operator==(const CommandResult&) const = default;
};

}  // namespace stele
