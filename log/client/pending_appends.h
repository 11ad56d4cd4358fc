// A client's appends, and its other commands, in the order of their sequences, until each outcome
// is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "log/client/client_parts.h"
#include "log/client/completions.h"
#include "log/format/command.h"
#include "paxos/base/outcome.h"
#include "paxos/base/value.h"

namespace stele::log {

/// What a session is to do next: an append, or another command.
struct Asked {
  std::span<const std::byte> payload;  ///< Of an entry; of other kinds the body of the command.
  Lsn condition{};                     ///< {}: none.
  CommandKind kind = CommandKind::append;
};

struct PendingAppend {
  CommandKind kind = CommandKind::append;
  Slice payload;
  Lsn condition;  ///< {}: none.
  Time deadline;
  std::unique_ptr<AppendDone> done;  ///< Null once told: the sequence is still to be consumed.
  std::uint32_t attempts = 0;        ///< Those that may have been proposed.
  Time resolve_by{};                 ///< Taken back: told as unknown then.
  bool skip = false;      ///< Given up: what is sent from now on only consumes the sequence.
  bool consumed = false;  ///< Its outcome is known.
};

/// Dense from first() on. With ClientOptions::stop_at_failure nothing after an append that has
/// failed is appended: those after it are told so, or taken back. Loop thread only.
class PendingAppends {
 public:
  /// Some of them, in their order.
  class Range {
   public:
    using Iterator = std::deque<PendingAppend>::const_iterator;
    Range(Iterator begin, Iterator end) : begin_(begin), end_(end) {}
    [[nodiscard]] Iterator begin() const { return begin_; }
    [[nodiscard]] Iterator end() const { return end_; }

   private:
    Iterator begin_;
    Iterator end_;
  };

  explicit PendingAppends(const ClientParts& client) : client_(client) {}

  // --- Which there are -----------------------------------------------------------------

  void push(PendingAppend append);
  /// Takes all of them out; what comes next has sequence 1.
  [[nodiscard]] std::deque<PendingAppend> take();
  /// Puts one back that was taken out.
  void put_back(PendingAppend append) { appends_.push_back(std::move(append)); }
  /// Drops those at the front whose outcome is known.
  void drop_consumed();
  /// Drops those that nobody waits for: without a session there are no sequences to consume.
  void drop_told();

  [[nodiscard]] bool empty() const { return appends_.empty(); }
  [[nodiscard]] std::size_t size() const { return appends_.size(); }
  /// Of the payloads of those that are not told.
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_bytes_; }
  [[nodiscard]] Sequence first() const { return first_; }
  [[nodiscard]] Sequence end() const { return first_ + appends_.size(); }
  [[nodiscard]] const PendingAppend& at(std::size_t index) const { return appends_[index]; }
  /// Those of [begin, end) that there are.
  [[nodiscard]] Range range(Sequence begin, Sequence end) const;

  // --- How they travel -----------------------------------------------------------------

  struct Bounds {
    std::size_t window;           ///< Appends on their way at most.
    std::size_t bytes_max;        ///< Of a command; a single larger entry passes.
    std::size_t entry_bytes_max;  ///< As the node takes them; 0: not known.
  };
  /// So many appends, from that one on, travel together.
  [[nodiscard]] std::size_t neighbours(std::size_t index, const Bounds& bounds) const;
  /// The command that they travel in.
  [[nodiscard]] Slice command(SessionId session, std::size_t index, std::size_t count) const;
  /// That command was sent: its appends may be proposed.
  void on_sent(std::size_t index, std::size_t count);
  /// An attempt of those of [begin, end) was surely not proposed: it counts no more.
  void on_not_proposed(Sequence begin, Sequence end);

  // --- What their callers are told -----------------------------------------------------

  /// Tells the caller of that one, if it waits. The append stays as a skip until its sequence is
  /// consumed. A failure stops those after it.
  void finish(Sequence sequence, std::optional<Errc> error, AppendResult result);
  /// The same of one that was taken out.
  void finish(PendingAppend& taken, std::optional<Errc> error, AppendResult result);
  /// Its sequence is consumed.
  void on_consumed(Sequence sequence) { mutable_at(sequence).consumed = true; }
  /// Tells those that were not answered in time.
  void expire(Time now);

  /// The append at that index has failed: those after it are not to get into the log.
  void stop_at(std::size_t index, bool late = false);
  /// Whether appends are refused: one has failed.
  [[nodiscard]] bool stopped() const { return stop_.on; }
  /// What callers of later appends are told.
  [[nodiscard]] const char* stop_detail() const { return stop_.detail; }
  /// take_back() is still to be called.
  [[nodiscard]] bool takes_back() const { return stop_.takes_back; }
  /// Those after the one that has failed: tells them, if they were never sent; marks the others as
  /// skips. Where those begin, or nothing if there is nothing to do. Not while anybody goes through
  /// the appends.
  std::optional<Sequence> take_back();
  /// Appends are taken again.
  void go_on() { stop_.on = false; }
  void forget_stop() { stop_ = {}; }

 private:
  struct Stop {
    bool on = false;
    Sequence begin{1};  // The append that has failed.
    const char* detail = "";
    bool takes_back = false;
  };

  void tell(PendingAppend& append, std::optional<Errc> error, AppendResult result);
  [[nodiscard]] PendingAppend& mutable_at(Sequence sequence);

  const ClientParts& client_;
  Sequence first_{1};
  std::deque<PendingAppend> appends_;
  std::size_t waiting_bytes_ = 0;
  Stop stop_;
};

}  // namespace stele::log
