// The value of a slot: a batch of clients' commands. docs/storage-format.md has the layout.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "log/format/command.h"
#include "log/format/packer.h"
#include "paxos/base/result.h"
#include "paxos/base/value.h"

namespace stele::log {

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
/// taken for nothing. Kinds of commands are for LogState to know.
[[nodiscard]] Result<Batch> parse_batch(const paxos::Value& value);
/// The same; `check` judges each command before the next one is looked at, so that the first fault
/// counts.
[[nodiscard]] Result<Batch> parse_batch(const paxos::Value& value,
                                        const std::function<Result<void>(const Command&)>& check);

/// Collects commands for the next batches. Small commands are copied together as they come, so that
/// they do not keep the buffer in which they arrived; large ones stay in it.
class BatchBuilder {
 public:
  /// `bytes` is one valid command of the given kind.
  void add(CommandKind kind, Slice bytes);
  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

  /// The next batch: as many commands as fit into `bytes_max`, but at least one if there is any; an
  /// open_session is the last of its batch. Without commands: a batch that only carries time. If
  /// all commands are upkeep, and there is room for them in such a value, it is one.
  [[nodiscard]] paxos::Value take(const BatchHeader& header, std::size_t bytes_max);

  /// Gives back everything that waits.
  [[nodiscard]] std::vector<Slice> take_all();
  /// Gives back everything that waits and is no upkeep.
  [[nodiscard]] std::vector<Slice> take_all_but_upkeep();

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
