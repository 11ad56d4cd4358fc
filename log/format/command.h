// What clients ask of the log, as it stands in slots. docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "paxos/base/ids.h"
#include "paxos/base/result.h"

namespace stele::log {

/// The format of what is in the log, and how it is applied: each batch names the one that it was
/// written for, and is applied so on every node, for ever. 3 is the first that is supported; those
/// before were never released.
inline constexpr std::uint16_t kLogFormat = 3;
inline constexpr std::uint16_t kLogFormatFirst = 3;

/// The numbers stand in slots: none is ever changed or used again. Those after the first two are
/// kinds of sections of the state (log/state/section.h); 200 and 201 are those of tests.
enum class CommandKind : std::uint8_t {
  append = 1,
  skip = 2,          ///< Consumes sequences without an entry: the client gave up on them.
  open_session = 3,  ///< session: a nonce; count: the window; acked: the time to live in µs.
  close_session = 4,
  trim = 5,    ///< Bodies of this and the next ones: log/format/retention.h.
  retain = 6,  ///< A leader's own; of no session.
  set_retention = 7,
  set_hold = 8,
  release_hold = 9,
  snapshot = 10,  ///< A leader's own; of no session. Body: log/format/snapshot.h.
};

/// Whether a command makes room, or is needed for it: it may travel in a value of
/// paxos::ValueKind::upkeep, which is taken on a full disk, too.
[[nodiscard]] constexpr bool is_upkeep(CommandKind kind) {
  return kind >= CommandKind::skip && kind <= CommandKind::snapshot;
}

/// One command, as a client wrote it. It goes from the client's frame to the disk as it is.
struct Command {
  CommandKind kind = CommandKind::append;
  SessionId session;
  Sequence sequence;        ///< The first one that it consumes.
  std::uint32_t count = 0;  ///< Sequences that this command consumes; for an append, entries.
  Sequence acked;           ///< The client knows the outcome of all sequences up to this one.
  Lsn condition;            ///< If not {}: append only if the first entry gets this LSN.
  std::span<const std::byte> body;  ///< The entries of an append; else what its section says.
  std::size_t largest_bytes = 0;    ///< Of the largest entry; found while reading, not stored.

  static constexpr std::size_t kHeaderBytes = 48;
  static constexpr std::uint32_t kCountMax = 65536;
};

/// Before each entry's bytes: its length (u32), flags (u16), and room (u16) for a stream.
inline constexpr std::size_t kEntryHeaderBytes = 8;

/// The header of a command; its body follows.
void put_command_header(const Command& command, std::size_t body_bytes,
                        std::vector<std::byte>& target);
/// One entry with its header.
void put_entry(std::span<const std::byte> payload, std::vector<std::byte>& target);

/// Reads exactly one command, whose entries are whole if it is an append. What kinds there are, and
/// what each may say, is for LogState::check_command. Errors: malformed; newer_format if it has
/// flags.
[[nodiscard]] Result<Command> parse_command(std::span<const std::byte> bytes);
/// Reads the command at the front of `bytes`, and moves past it. Errors: as above.
[[nodiscard]] Result<Command> parse_next_command(std::span<const std::byte>& bytes);

/// The session of a command that was written by put_command_header(); looks at nothing else.
[[nodiscard]] SessionId command_session(std::span<const std::byte> bytes);

/// Walks over entries that were validated before.
class EntryCursor {
 public:
  explicit EntryCursor(std::span<const std::byte> entries) : rest_(entries) {}
  /// False at the end.
  [[nodiscard]] bool next(std::span<const std::byte>& payload);
  /// Moves over `count` entries; returns how many bytes they take, headers included.
  std::size_t skip(std::uint32_t count);
  [[nodiscard]] std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace stele::log
