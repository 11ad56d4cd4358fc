// The bound on what all clients together have not read yet, and each one's share of it (ADR 12).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Has the clients that wait for room. Called in turns of the loop.
class AnswerTurns {
 public:
  virtual ~AnswerTurns() = default;
  /// Each client counts anew what is queued for it.
  virtual void count_all() = 0;
  /// Each client that waits has its turn, beginning after the one of that id; the id of the first
  /// one that had it, or 0.
  virtual std::uint64_t answer_all(std::uint64_t after) = 0;
};

/// Loop thread only. Slow readers, however many, do not make memory grow: what is not sent yet is
/// bounded for all together. Nor do some of them take it all.
class AnswerBudget {
 public:
  /// The loop and the clients outlive it.
  AnswerBudget(net::Loop& loop, std::size_t bytes_max, AnswerTurns& clients)
      : loop_(loop), clients_(clients), bytes_max_(bytes_max) {}

  /// So many bytes an answer may have now, for a client that has counted so many; 0: it waits, and
  /// has its turn.
  [[nodiscard]] std::size_t room(std::size_t counted_bytes);
  /// A client counts so many now, and has counted `before`.
  void count(std::size_t before, std::size_t now);
  /// A read is done and may have left room for those that wait.
  void on_answer();

  /// An answer has at most so many bytes, or one larger entry.
  static constexpr std::size_t kReadBytesMax = 1 << 20;
  /// An answer may have so many bytes at least, however much others have queued.
  static constexpr std::size_t kScarceBytesMax = 64 << 10;

 private:
  void answer_waiting();

  net::Loop& loop_;
  AnswerTurns& clients_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;              // The sum of what every client has counted last.
  std::unique_ptr<net::Timer> again_;  // Set while some client waits for room.
  bool one_with_none_waits_ = false;   // A client waits for which nothing is queued.
  bool answering_ = false;             // Those that wait have their turn just now.
  std::uint64_t answered_first_ = 0;   // The client that was first in the last round.
};

/// One client's part of an AnswerBudget. Loop thread only.
class AnswerShare {
 public:
  AnswerShare(AnswerBudget& budget, std::size_t entry_bytes_max)
      : budget_(budget), entry_bytes_max_(entry_bytes_max) {}
  AnswerShare(const AnswerShare&) = delete;
  AnswerShare& operator=(const AnswerShare&) = delete;

  /// So many bytes are queued on the client's link.
  void count(std::size_t queued_bytes);
  [[nodiscard]] std::size_t room() { return budget_.room(counted_bytes_); }
  /// A read of `bytes_max` has begun: one entry comes in any case.
  void begin_read(std::size_t bytes_max) { reading_bytes_ += read_bytes(bytes_max); }
  /// A read of `bytes_max` has ended.
  void end_read(std::size_t bytes_max);
  void on_answer() { budget_.on_answer(); }
  /// Nothing counts for it any more.
  void close();

 private:
  [[nodiscard]] std::size_t read_bytes(std::size_t bytes_max) const;

  AnswerBudget& budget_;
  std::size_t entry_bytes_max_;
  std::size_t reading_bytes_ = 0;
  std::size_t counted_bytes_ = 0;  // Queued, and being read, as it was counted last.
  bool closed_ = false;
};

}  // namespace stele::log
