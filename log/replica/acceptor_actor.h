// The acceptor on its loop: one commit for all that waits, and nothing leaves before it.
#pragma once

#include <map>

#include "log/replica/role_listener.h"
#include "log/replica/unapplied_votes.h"
#include "log/store/store.h"
#include "net/loop/actor.h"
#include "paxos/acceptor.h"

namespace stele::log {

/// What the acceptor tells, and asks of, the replica that it is a part of. Outlives it.
class AcceptorListener : public virtual RoleListener {
 public:
  /// The write of that vote is in the store's queue.
  virtual void on_voted(const paxos::SlotRecord& record) = 0;
  /// Somebody has spoken in that ballot, and it is at least what was promised.
  virtual void on_heard(Ballot ballot) = 0;
  /// The vote at `slot` cannot be read back.
  virtual void on_faulty_slot(Slot slot) = 0;
  /// Much that was voted for waits to be applied: nothing further ahead is voted for. Or no more.
  virtual void on_far_ahead(bool far) = 0;
};

/// What piled up is one transaction; answers leave when it is durable. Loop thread only.
class AcceptorActor final : public net::Actor<Letter> {
 public:
  /// `self`: what this node's own proposer proposes is never dropped for want of applying.
  AcceptorActor(NodeId self, net::Loop& loop, Store& store, paxos::Acceptor acceptor, Epoch epoch,
                std::size_t piece_bytes_max, std::uint64_t unapplied_bytes_max,
                AcceptorListener& listener);

  void on_chosen_end(Slot chosen_end);
  /// The record of that slot cannot be read.
  void on_faulty(Slot slot) { acceptor_.on_faulty(slot); }
  void set_space(bool low, bool full) { acceptor_.set_space(low, full); }
  void set_space_kept(const paxos::Acceptor::SpaceKept& kept) { acceptor_.set_space_kept(kept); }
  [[nodiscard]] const UnappliedVotes& unapplied() const { return unapplied_; }
  [[nodiscard]] const paxos::Acceptor& role() const { return acceptor_; }

  static constexpr std::size_t kLettersMax = 65536;
  /// Above this much waiting for the disk, accepts are dropped: proposers send again.
  static constexpr std::size_t kBacklogBytesMax = 24 << 20;
  /// What is voted for and not applied is counted in so many stretches.
  static constexpr std::uint64_t kStretches = 1024;

 private:
  void handle(Letter& letter) override;
  [[nodiscard]] bool has_room_for(NodeId from, const paxos::Accept& accept);
  void flush() override;
  /// What a node was last told, or will be: its question may come again meanwhile.
  struct Answer {
    Ballot ballot;
    Slot slot_begin;
    bool reading = true;
    std::uint64_t sent_end = 0;  // Where it ends, in bytes sent to that node.
  };

  void answer_prepare(const paxos::Acceptor::PromiseRead& read);

  NodeId self_;
  Store& store_;
  paxos::Acceptor acceptor_;
  Epoch epoch_;
  std::size_t piece_bytes_max_;
  std::uint64_t unapplied_bytes_max_;
  AcceptorListener& listener_;
  paxos::Acceptor::Effects effects_;
  UnappliedVotes unapplied_;
  bool far_ahead_ = false;      // Votes were dropped because too much is not applied.
  std::size_t turn_bytes_ = 0;  // Of the values in effects_.
  std::map<NodeId, Answer> answers_;
};

}  // namespace stele::log
