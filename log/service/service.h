// A node's side of its clients' connections: appends, sessions, reads, tails, status.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <stele/events.h>
#include "log/replica/replica.h"
#include "log/service/answer_budget.h"
#include "log/service/appends.h"
#include "log/service/client_link.h"
#include "log/service/serving.h"
#include "net/link/link.h"
#include "net/loop/loop.h"
#include "net/loop/rarely.h"

namespace stele::log {

/// Has the connections, and passes on what they ask and what becomes of it. Loop thread only.
class ClientService final : public ReplicaListener, ClientLinkListener, AnswerTurns {
 public:
  using Options = ServiceOptions;

  /// All of them outlive it.
  ClientService(Options options, net::Loop& loop, Events& events, const NodeView& view);
  ~ClientService() override;

  /// As of Serving.
  void attach(Replica* replica) { serving_.attach(replica); }
  /// Takes a connection whose handshake is done. False if there are too many already.
  bool add(std::unique_ptr<net::Link> link);
  /// The cluster has an id from here on. Ends the connections that came before: those clients come
  /// again, and hear it.
  void on_born();
  /// Refuses everything new with shutting_down; ends tails.
  void shut_down();
  /// Nothing is left to answer.
  [[nodiscard]] bool idle() const { return appends_.idle(); }

  void on_applied(const LogState::Applied& applied) override { appends_.on_applied(applied); }
  void on_turn_end() override;
  void on_dropped(const Slice& command, Outcome why) override { appends_.on_dropped(command, why); }
  void on_stopped() override;

 private:
  // As of ClientLinkListener.
  void on_append(ClientLink& link, const Slice& commands) override {
    appends_.on_append(link, commands);
  }
  void on_open(ClientLink& link, const net::OpenSession& open) override {
    appends_.on_open(link, open);
  }
  void on_results(ClientLink& link) override { answered_.insert(link.id()); }
  void on_tails(ClientLink& link) override { tailing_.insert(link.id()); }
  void on_gone(ClientLink& link) override;
  // As of AnswerTurns.
  void count_all() override;
  std::uint64_t answer_all(std::uint64_t after) override;

  void tick();
  void tell_full();
  template <class Act>
  void for_each_link(Act act);

  net::Loop& loop_;
  Events& events_;
  Serving serving_;
  AnswerBudget budget_;
  Appends appends_;

  std::map<std::uint64_t, std::unique_ptr<ClientLink>> links_;  // In the order of their coming.
  std::vector<std::unique_ptr<ClientLink>> gone_;               // Until the end of the turn.
  std::uint64_t links_seen_ = 0;
  std::size_t guests_ = 0;            // How many of links_ are beyond the bound.
  std::set<std::uint64_t> answered_;  // Links with results that are told at the end of the turn.
  std::set<std::uint64_t> tailing_;   // Links with tails.
  net::Rarely full_told_{std::chrono::minutes(1)};
  std::unique_ptr<net::Timer> timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stele::log
