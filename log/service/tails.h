// The tails of one client: entries that are pushed to it as they are applied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "log/service/answer_budget.h"
#include "log/service/answer_sink.h"
#include "log/service/serving.h"
#include "net/loop/loop.h"

namespace stele::log {

/// Each tail sends no more than the client has given it credit for. Loop thread only.
class ClientTails {
 public:
  /// All of them outlive it.
  ClientTails(net::Loop& loop, const Serving& serving, AnswerSink& sink, AnswerShare& share)
      : loop_(loop), serving_(serving), sink_(sink), share_(share) {}

  void on_tail(const net::Tail& tail);
  void on_credit(const net::TailCredit& credit);
  /// There may be something new, or room for it.
  void pump();
  void end(Outcome outcome);
  [[nodiscard]] bool empty() const { return tails_.empty(); }

  /// One more ends the oldest one.
  static constexpr std::size_t kTailsMax = 64;

 private:
  /// A tail of the client.
  struct Tail {
    Lsn next;
    std::int64_t credit = 0;
    bool reading = false;
  };

  void pump(std::uint64_t request, Tail& tail);
  bool end_trimmed(std::uint64_t request, const Tail& tail);
  void on_read(std::uint64_t request, EntriesRead read);

  net::Loop& loop_;
  const Serving& serving_;
  AnswerSink& sink_;
  AnswerShare& share_;
  std::map<std::uint64_t, Tail> tails_;  // By the client's number of the request.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::log
