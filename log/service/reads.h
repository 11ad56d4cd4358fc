// The reads of one client.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include <stele/events.h>
#include "log/service/answer_budget.h"
#include "log/service/answer_sink.h"
#include "log/service/serving.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Reads are confirmed as they come, however many: one exchange of heartbeats is enough for all.
/// The answers, which may be large, are read a few at a time. Loop thread only.
class ClientReads {
 public:
  /// All of them outlive it.
  ClientReads(net::Loop& loop, Events& events, const Serving& serving, AnswerSink& sink,
              AnswerShare& share)
      : loop_(loop), events_(events), serving_(serving), sink_(sink), share_(share) {}

  void on_read(const net::Read& read);
  /// There may be room for what waits.
  void serve_waiting();
  [[nodiscard]] bool waits() const { return !waiting_.empty(); }

  /// Reads that are not confirmed, or wait for room; one more is refused as overloaded.
  static constexpr std::size_t kWaitingMax = 64;

 private:
  void serve(const net::Read& read, std::size_t bytes_max);
  /// The answer to a read that serve() began.
  void finish(std::size_t bytes_max, const net::ReadAnswer& answer);
  [[nodiscard]] net::ReadAnswer retention(const net::Read& read) const;
  [[nodiscard]] net::ReadAnswer refused(const net::Read& read, Outcome outcome) const;
  [[nodiscard]] net::ReadAnswer blank(const net::Read& read) const;

  net::Loop& loop_;
  Events& events_;
  const Serving& serving_;
  AnswerSink& sink_;
  AnswerShare& share_;
  std::size_t confirming_ = 0;     // Reads that are not confirmed yet.
  std::deque<net::Read> waiting_;  // Confirmed; there was no room for an answer yet.
  std::size_t under_way_ = 0;      // Reads that the replica was asked for.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::log
