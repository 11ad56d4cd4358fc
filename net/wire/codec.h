// Messages to frames and back. Beside it a file for each topic: paxos_codec.cc, node_codec.cc,
// client_codec.cc. The only place that knows Cap'n Proto.
#pragma once

#include "net/wire/frame.h"
#include "net/wire/message.h"
#include "paxos/base/result.h"

namespace stele::net {

/// Never fails: what the program itself builds is within the limits (checked).
[[nodiscard]] OutFrame encode(const Message& message);

/// Reads a message out of a whole frame; values stay in the frame's buffer. Everything is
/// validated: whether that side may say this, checksums, sizes, enums, order. What a message takes
/// in memory is bounded by the bytes in which it came. Errors: malformed, with what was wrong.
[[nodiscard]] Result<Message> decode(const InFrame& frame, Speaker speaker);

}  // namespace stele::net
