// The value of a slot: a batch of clients' commands. docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "log/format/packer.h"
#include "paxos/base/ids.h"
#include "paxos/base/result.h"
#include "paxos/base/value.h"

namespace stele::log {

enum class CommandKind : std::uint8_t {
  append = 1,
  skip = 2,          ///< Consumes sequences without an entry: the client gave up on them.
  open_session = 3,  ///< session: a nonce; count: the window; acked: the time to live in µs.
  close_session = 4,
};

/// One command, as a client wrote it. It goes from the client's frame to the disk as it is.
struct Command {
  CommandKind kind = CommandKind::append;
  SessionId session;
  Sequence sequence;        ///< Of the first entry.
  std::uint32_t count = 0;  ///< Sequences that this command consumes; for an append, entries.
  Sequence acked;           ///< The client knows the outcome of all sequences up to this one.
  Lsn condition;            ///< If not {}: append only if the first entry gets this LSN.
  std::span<const std::byte> entries;
  std::size_t largest_bytes = 0;  ///< Of the largest entry; found while reading, not stored.

  static constexpr std::size_t kHeaderBytes = 48;
  static constexpr std::uint32_t kCountMax = 65536;
};

/// Before each entry's bytes: its length (u32), flags (u16), and room (u16) for a stream.
inline constexpr std::size_t kEntryHeaderBytes = 8;

/// The header of a command; its entries follow.
void put_command_header(const Command& command, std::size_t entries_bytes,
                        std::vector<std::byte>& target);
/// One entry with its header.
void put_entry(std::span<const std::byte> payload, std::vector<std::byte>& target);

/// Reads exactly one command. Errors: malformed.
[[nodiscard]] Result<Command> parse_command(std::span<const std::byte> bytes);
/// Reads the command at the front of `bytes`, and moves past it. Errors: malformed.
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

/// The format of what is in the log, and how it is applied: each batch names the one that it was
/// written for, and is applied so on every node, for ever. 1: the first. 2: a full table of
/// sessions lets go of idle ones, and what it remembers of them all is bounded.
inline constexpr std::uint16_t kLogFormat = 2;

/// What stands before the commands of a batch.
struct BatchHeader {
  std::uint64_t elapsed_us = 0;  ///< Log time: the leader's monotonic time since its slot before.
  std::uint64_t stamp_us = 0;    ///< The leader's wall clock, since 1970.
  std::uint16_t format = kLogFormat;

  static constexpr std::size_t kBytes = 32;
};

/// A batch read back: views into the value.
struct Batch {
  BatchHeader header;
  std::vector<Command> commands;
};

/// Errors: malformed; newer_format if this program does not know what it says, which must not be
/// taken for nothing.
[[nodiscard]] Result<Batch> parse_batch(const paxos::Value& value);

/// Collects commands for the next batches. Small commands are copied together as they come, so that
/// they do not keep the buffer in which they arrived; large ones stay in it.
class BatchBuilder {
 public:
  /// `bytes` is one valid command of the given kind.
  void add(CommandKind kind, Slice bytes);
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  /// The next batch: as many commands as fit into `bytes_max`, but at least one if there is any; an
  /// open_session is the last of its batch. Without commands: a batch that only carries time.
  [[nodiscard]] paxos::Value take(const BatchHeader& header, std::size_t bytes_max);

  /// Gives back everything that waits.
  [[nodiscard]] std::vector<Slice> take_all();

  static constexpr std::size_t kCopyBytesMax = Packer::kPieceBytesMax;

 private:
  struct Waiting {
    CommandKind kind;
    Slice bytes;
  };
  std::deque<Waiting> waiting_;
  std::size_t bytes_ = 0;
  Packer small_;
};

}  // namespace stele::log
