// The proposer on its loop: the appends that piled up become one batch.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "log/format/batch.h"
#include "log/replica/acceptor_actor.h"
#include "net/loop/actor.h"
#include "net/wire/message.h"
#include "paxos/leader/proposer.h"

namespace stele::log {

class ProposerActor final : public net::Actor<Letter> {
 public:
  struct Ports {
    std::function<void(paxos::Send)> send;
    std::function<void(Ballot)> began;  ///< Leads in this ballot.
    /// A command that was never proposed; before `stopped`.
    std::function<void(const Slice&, Outcome why)> dropped;
    /// Does not lead any more; what was proposed may yet be chosen.
    std::function<void(std::string_view why)> stopped;
    std::function<void(paxos::Proposer::SlowDisk)> slow_disk;  ///< Why it hands over.
    std::function<void(std::uint64_t read, Slot barrier)> read_ready;
    std::function<void(std::uint64_t read)> read_refused;
    std::function<paxos::Progress(NodeId)> progress;  ///< As of net::Transport.
    std::function<std::size_t()> backlog_bytes;       ///< As of Store.
  };
  struct Limits {
    std::size_t batch_bytes_max = 512 << 10;
    std::size_t waiting_bytes_max = 16 << 20;  ///< Commands not yet in a batch.
    std::size_t backlog_bytes_max = 16 << 20;  ///< While the own disk lags so much, they wait.
    Duration time_slot_every = std::chrono::seconds(30);
  };

  ProposerActor(net::Loop& loop, paxos::Proposer proposer, Limits limits, Ports ports);

  /// Takes a valid command for one of the next batches. ok, or: not_leader, overloaded.
  Outcome submit(CommandKind kind, Slice command);
  /// Asks for a linearizable read; answered through the ports.
  void read(std::uint64_t id);
  void on_peer_gone(NodeId node) { proposer_.on_peer_gone(loop().now(), node); }
  void hand_over();
  /// The own disk is low: nothing that waits is proposed, and others may lead.
  void set_space_low(bool low) {
    space_low_ = low;
    proposer_.set_space_low(low);
  }

  void on_heard(Ballot ballot);
  void on_connected(NodeId node);
  void on_chosen_end(Slot chosen_end);
  void on_fetch_failed();
  void tick();

  [[nodiscard]] const paxos::Proposer& role() const { return proposer_; }
  [[nodiscard]] std::size_t waiting_bytes() const { return waiting_.bytes(); }

  static constexpr std::size_t kLettersMax = 65536;

 private:
  void handle(Letter& letter) override;
  void flush() override;
  void propose_waiting();
  std::size_t propose_batch();
  void drop_waiting(Outcome why);

  paxos::Proposer proposer_;
  Limits limits_;
  Ports ports_;
  paxos::Proposer::Effects effects_;
  BatchBuilder waiting_;
  bool space_low_ = false;
  Time proposed_at_{};  // The last slot of this leadership, by which log time advances.
};

}  // namespace stele::log
