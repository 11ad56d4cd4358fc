// A client's appends, in the order of their sequences, until each outcome is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <ranges>
#include <utility>

#include "log/client/completions.h"
#include "paxos/base/outcome.h"
#include "paxos/base/value.h"

namespace stele::log {

struct PendingAppend {
  Slice payload;
  Lsn condition;  ///< {}: none.
  Time deadline;
  std::unique_ptr<AppendDone> done;  ///< Null once told: the sequence is still to be consumed.
  std::uint32_t attempts = 0;        ///< Those that may have been proposed.
  Time resolve_by{};                 ///< Taken back: told as unknown then.
  bool skip = false;      ///< Given up: what is sent from now on only consumes the sequence.
  bool consumed = false;  ///< Its outcome is known.
};

/// Dense from first() on. Loop thread only.
class PendingAppends {
 public:
  using Range = std::ranges::subrange<std::deque<PendingAppend>::iterator>;

  void push(PendingAppend append) { appends_.push_back(std::move(append)); }
  /// Takes all of them out; what comes next has sequence 1.
  [[nodiscard]] std::deque<PendingAppend> take() {
    first_ = {1};
    return std::exchange(appends_, {});
  }
  /// Drops those at the front whose outcome is known.
  void drop_consumed() {
    while (!appends_.empty() && appends_.front().consumed) {
      appends_.pop_front();
      ++first_;
    }
  }
  /// Drops those that nobody waits for: without a session there are no sequences to consume.
  void drop_told() {
    std::erase_if(appends_, [](const PendingAppend& append) { return !append.done; });
  }

  [[nodiscard]] bool empty() const { return appends_.empty(); }
  [[nodiscard]] std::size_t size() const { return appends_.size(); }
  [[nodiscard]] Sequence first() const { return first_; }
  [[nodiscard]] Sequence end() const { return first_ + appends_.size(); }
  [[nodiscard]] PendingAppend& at(std::size_t index) { return appends_[index]; }
  [[nodiscard]] const PendingAppend& at(std::size_t index) const { return appends_[index]; }
  [[nodiscard]] std::size_t index_of(const PendingAppend& append) const;
  /// Those of [begin, end) that there are.
  [[nodiscard]] Range range(Sequence begin, Sequence end);
  struct Bounds {
    std::size_t window;           ///< Appends on their way at most.
    std::size_t bytes_max;        ///< Of a command; a single larger entry passes.
    std::size_t entry_bytes_max;  ///< As the node takes them; 0: not known.
  };
  /// So many appends, from that one on, travel together.
  [[nodiscard]] std::size_t neighbours(std::size_t index, const Bounds& bounds) const;
  /// The command that they travel in.
  [[nodiscard]] Slice command(SessionId session, std::size_t index, std::size_t count) const;

 private:
  Sequence first_{1};
  std::deque<PendingAppend> appends_;
};

}  // namespace stele::log
