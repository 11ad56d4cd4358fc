// Stories of the protocol as text files; they run over the real actors, in virtual time.
#pragma once

#include <string>

namespace stele::sim {

/// Runs a story; returns what did not come as told, with line numbers; empty if all did.
///
///   nodes N                            n1 … nN, with empty disks
///   lead nX                            nX campaigns and wins among those it reaches
///   open nX SESSION                    opens a session through nX
///   append nX SESSION "…" ["…"]        submits the next entries of the session as one command
///   resend nX SESSION FIRST "…" ["…"]  the same, from sequence FIRST on, as after a lost answer
///   skip nX SESSION FIRST              consumes a sequence
///   deliver KIND|all [from=nX] [to=nX] delivers such messages, in their order (once; not what they
///   cause) drop KIND|all [from=nX] [to=nX]    loses them sync nX|all                        what
///   nX has written becomes durable, and its answers leave crash nX, restart nX               a
///   power failure: what was not synced is lost cut nX nY, heal                    no messages
///   between them, in either direction wait MS                            lets time pass, with
///   nothing synced or delivered settle                             syncs, delivers and lets two
///   seconds pass expect nX leads | nX follows nY | nX log "…" … | nX promised R.N expect SESSION
///   LSN… | SESSION OUTCOME   the last results told for the session, in order
[[nodiscard]] std::string run_story(const std::string& text);

}  // namespace stele::sim
