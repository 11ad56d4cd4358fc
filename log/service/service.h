// A node's side of its clients' connections: appends, sessions, reads, tails, status.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "log/replica/replica.h"
#include "net/link/link.h"
#include "net/loop/loop.h"

namespace stele::log {

/// What clients are told of the node that serves them.
class NodeView {
 public:
  virtual ~NodeView() = default;
  /// "host:port", or empty if unknown.
  [[nodiscard]] virtual std::string leader_address() const = 0;
  [[nodiscard]] virtual NodeReport status() const = 0;
};

/// Loop thread only. Answers are told by (session, sequence), to the connection that spoke last for
/// the session: a client may resend over a new connection at any time.
class ClientService final : public ReplicaListener {
 public:
  struct Options {
    std::size_t entry_bytes_max = 1 << 20;
    std::size_t connections_max = 4096;
    /// Queued for all clients together, and being read for them; then reads and tails wait.
    std::size_t answer_bytes_max = 16 << 20;
  };

  /// The view outlives it.
  ClientService(Options options, net::Loop& loop, Events& events, const NodeView& view);
  ~ClientService() override;

  /// The replica to serve from; until then, and after nullptr, there is no leader here.
  void attach(Replica* replica) { replica_ = replica; }
  /// Takes a connection whose handshake is done. False if there are too many already.
  bool add(std::unique_ptr<net::Link> link);
  /// The cluster has an id from now on: who came before shall come again and hear it.
  void on_born();
  /// Refuses everything new with shutting_down; ends tails.
  void shut_down();
  /// Nothing is left to answer.
  [[nodiscard]] bool idle() const { return under_way_ == 0 && opening_.empty(); }

  void on_applied(const LogState::Applied& applied) override;
  void on_turn_end() override;
  void on_dropped(const Slice& command, Outcome why) override;
  void on_stopped() override;

  static constexpr std::size_t kReadBytesMax = 1 << 20;
  /// Of an answer at least, however much is queued for others.
  static constexpr std::size_t kScarceBytesMax = 64 << 10;
  static constexpr std::size_t kReadsWaitingMax = 64;
  static constexpr std::size_t kTailsMax = 64;
  static constexpr std::size_t kOpeningMax = 256;
  static constexpr std::uint32_t kRetryMs = 20;

 private:
  class Client;
  friend class Client;

  void on_open(Client& client, const net::OpenSession& open);
  [[nodiscard]] const LogState& state() const;
  void on_append(Client& client, const Slice& commands);
  bool on_command(Client& client, const Command& command, Slice bytes);
  void on_sessions_full();
  void tell_now_and_then(Time& told_at, std::string_view event,
                         std::initializer_list<EventField> fields);
  bool tell_applied_part(Client& client, const Command& command);
  Outcome refusal() const;
  [[nodiscard]] bool serves() const { return replica_ != nullptr && !replica_->halted(); }
  void tick();
  void drop(Client& client);
  [[nodiscard]] std::string full() const;
  [[nodiscard]] std::size_t answer_room(const Client& client);
  void on_answer();
  void answer_waiting();
  template <class Act>
  void for_each_client(Act act);

  Options options_;
  net::Loop& loop_;
  Events& events_;
  const NodeView& view_;
  Replica* replica_ = nullptr;
  bool shutting_down_ = false;
  Time sessions_full_told_at_{};
  Time clients_full_told_at_{};

  std::map<std::uint64_t, std::unique_ptr<Client>> clients_;  // In the order of their coming.
  std::uint64_t clients_seen_ = 0;
  std::size_t guests_ = 0;  // Of them, those beyond the bound; they only ask for the status.
  std::set<std::uint64_t> answered_;  // Have results that are told at the end of the turn.
  std::set<std::uint64_t> tailing_;   // Have tails.
  struct SessionClient {
    Client* owner = nullptr;  // Is told the results.
    Sequence submitted_end;   // In this leadership, if something is on its way.
  };
  using Sessions = std::unordered_map<SessionId, SessionClient>;

  void set_submitted_end(SessionClient& session, Sequence end);
  void drop_if_unused(Sessions::iterator session);

  Sessions sessions_;
  std::size_t under_way_ = 0;  // Sessions of which something is on its way.
  std::unordered_map<std::uint64_t, Client*> opening_;  // By nonce; null once the client is gone.
  std::unique_ptr<net::Timer> timer_;
  std::size_t answer_bytes_ = 0;               // As every client has counted its own last.
  std::unique_ptr<net::Timer> answers_again_;  // Somebody waits for room,
  bool waits_with_none_ = false;               // and one of them has nothing queued.
  bool answering_ = false;                     // Those who wait have their turn just now,
  std::uint64_t answered_last_ = 0;            // beginning after who was the first the last time.
};

}  // namespace stele::log
