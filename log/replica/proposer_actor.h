// The proposer on its loop: the appends that piled up become one batch.
#pragma once

#include <map>
#include <unordered_map>

#include "log/format/batch.h"
#include "log/replica/role_listener.h"
#include "net/loop/actor.h"
#include "paxos/leader/proposer.h"

namespace stele::log {

/// What the proposer tells, and asks of, the replica that it is a part of. Outlives it.
class ProposerListener : public virtual RoleListener {
 public:
  /// This node leads in this ballot.
  virtual void on_began(Ballot ballot) = 0;
  /// A command that was never proposed. Before on_stopped() if this node stops leading.
  virtual void on_dropped(const Slice& command, Outcome why) = 0;
  /// This node does not lead any more; what was proposed may yet be chosen.
  virtual void on_stopped(std::string_view why) = 0;
  /// It hands over because its own disk is slow.
  virtual void on_slow_disk(paxos::Proposer::SlowDisk disk) = 0;
  /// That read may be served once the slots below `barrier` are applied.
  virtual void on_read_ready(std::uint64_t read, Slot barrier) = 0;
  virtual void on_read_refused(std::uint64_t read) = 0;
  /// As of Store.
  [[nodiscard]] virtual std::size_t backlog_bytes() const = 0;
  /// This node has voted for far more than it has applied.
  [[nodiscard]] virtual bool lags_far() const = 0;
};

/// Commands wait here until they are in a batch, within bounds. Loop thread only.
class ProposerActor final : public net::Actor<Letter> {
 public:
  /// Bounds on batches and on what waits; a value.
  struct Limits {
    std::size_t batch_bytes_max = 512 << 10;
    std::size_t waiting_bytes_max = 16 << 20;  ///< Commands not yet in a batch.
    std::size_t backlog_bytes_max = 16 << 20;  ///< While more waits for the disk, so do commands.
    /// An idle leader proposes a batch without commands so often: log time goes on.
    Duration time_slot_every = std::chrono::seconds(30);
  };

  ProposerActor(net::Loop& loop, paxos::Proposer proposer, Limits limits,
                ProposerListener& listener);

  /// Takes a valid command for one of the next batches. ok, or: not_leader, overloaded.
  Outcome submit(CommandKind kind, Slice command);
  /// Asks for a linearizable read; answered through the listener.
  void read(std::uint64_t id);
  void on_peer_gone(NodeId node) { proposer_.on_peer_gone(loop().now(), node); }
  void hand_over();
  /// The own disk is low: nothing that waits is proposed, and others may lead.
  void set_space_low(bool low) {
    space_low_ = low;
    proposer_.set_space_low(low);
  }

  void on_heard(Ballot ballot);
  /// As of Proposer.
  void set_lacks_slots(bool lacks);
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
  ProposerListener& listener_;
  paxos::Proposer::Effects effects_;
  BatchBuilder waiting_;
  bool space_low_ = false;
  Time proposed_at_{};  // The last slot of this leadership, by which log time advances.
};

}  // namespace stele::log
