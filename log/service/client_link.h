// One client's connection to a node: what it asks, and its share of the results.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <stele/events.h>
#include "log/service/answer_budget.h"
#include "log/service/reads.h"
#include "log/service/serving.h"
#include "log/service/tails.h"
#include "net/link/link.h"

namespace stele::log {

class ClientLink;

/// Takes what links do not answer by themselves. Called in turns of the loop.
class ClientLinkListener {
 public:
  virtual ~ClientLinkListener() = default;
  virtual void on_append(ClientLink& link, const Slice& commands) = 0;
  virtual void on_open(ClientLink& link, const net::OpenSession& open) = 0;
  /// It has results that are to be told at the end of the turn.
  virtual void on_results(ClientLink& link) = 0;
  /// It has tails, from now on.
  virtual void on_tails(ClientLink& link) = 0;
  /// It has ended. It lives until the end of the turn.
  virtual void on_gone(ClientLink& link) = 0;
};

/// What links share; all of it outlives them.
struct ClientLinkSurroundings {
  net::Loop& loop;
  Events& events;
  const Serving& serving;
  AnswerBudget& budget;
  ClientLinkListener& listener;
};

/// Loop thread only.
class ClientLink final : net::LinkHandler, AnswerSink {
 public:
  /// `guest`: the node has as many clients as it takes; this one may ask for its status, and is
  /// refused if it says anything else, or nothing for a while.
  ClientLink(const ClientLinkSurroundings& surroundings, std::uint64_t id,
             std::unique_ptr<net::Link> link, bool guest);

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] bool guest() const { return guest_; }
  /// Told together at the end of the turn.
  void add_result(const CommandResult& result);
  void flush_results();
  /// Tells what there is if that is a message's worth; false if the client is gone for it.
  [[nodiscard]] bool takes_results();

  /// An answer that cannot be queued would be lost: then the connection ends, and the client asks
  /// again.
  void send(const net::Message& message) override;
  void refuse(const std::string& reason);
  /// Closes the connection without a word: the client comes again.
  void end();

  void tick(Time now);
  void count_bytes() { share_.count(link_->queued_bytes()); }
  /// Whether it may need room among the answers.
  [[nodiscard]] bool waits() const { return reads_.waits() || !tails_.empty(); }
  /// There may be room for what waits.
  void go_on();
  /// Something has been applied.
  void pump_tails() { tails_.pump(); }
  [[nodiscard]] bool has_tails() const { return !tails_.empty(); }
  void end_tails(Outcome outcome) { tails_.end(outcome); }

 private:
  void on_message(net::Message message) override;
  void on_closed(const std::string& reason) override;
  // As of AnswerSink.
  [[nodiscard]] std::size_t queued_bytes() const override { return link_->queued_bytes(); }
  [[nodiscard]] bool gone() const override { return gone_; }
  void on_tails() override;
  void go();

  ClientLinkSurroundings around_;
  std::uint64_t id_;
  bool guest_;
  Time came_at_;
  std::unique_ptr<net::Link> link_;
  AnswerShare share_;
  ClientReads reads_;
  ClientTails tails_;
  std::vector<CommandResult> results_;
  Time kept_alive_at_{};
  bool gone_ = false;  // Refused, or closed; it only waits to be destroyed.
};

}  // namespace stele::log
