// The acceptor on its loop: one commit for all that waits, and nothing leaves before it.
#pragma once

#include <functional>
#include <map>

#include "log/store/store.h"
#include "net/loop/actor.h"
#include "paxos/acceptor.h"

namespace stele::log {

/// A message and who sent it.
struct Letter {
  NodeId from;
  paxos::Message message;
};

class AcceptorActor final : public net::Actor<Letter> {
 public:
  struct Ports {
    std::function<void(paxos::Send)> send;
    std::function<void(const paxos::Record&)> voted;  ///< Behind its write in the store's queue.
    std::function<void(Ballot)> heard;
    std::function<void(Slot)> faulty_slot;
    std::function<paxos::Progress(NodeId)> progress;  ///< As of net::Transport.
  };

  AcceptorActor(net::Loop& loop, Store& store, paxos::Acceptor acceptor, Epoch epoch,
                std::size_t piece_bytes_max, Ports ports);

  void on_chosen_end(Slot chosen_end) { acceptor_.on_chosen_end(chosen_end); }
  /// The record of that slot cannot be read.
  void on_faulty(Slot slot) { acceptor_.on_faulty(slot); }
  void set_space(bool low, bool full) { acceptor_.set_space(low, full); }
  void set_space_to_recover(std::uint64_t bytes) { acceptor_.set_space_to_recover(bytes); }
  [[nodiscard]] const paxos::Acceptor& role() const { return acceptor_; }

  static constexpr std::size_t kLettersMax = 65536;
  static constexpr std::size_t kBacklogBytesMax = 24 << 20;

 private:
  void handle(Letter& letter) override;
  void flush() override;
  /// What a node was last told, or will be: its question may come again meanwhile.
  struct Answer {
    Ballot ballot;
    Slot slot_begin;
    bool reading = true;
    std::uint64_t sent_end = 0;  // Where it ends among what was sent to that node.
  };

  void answer_prepare(const paxos::Acceptor::PromiseRead& read);

  Store& store_;
  paxos::Acceptor acceptor_;
  Epoch epoch_;
  std::size_t piece_bytes_max_;
  Ports ports_;
  paxos::Acceptor::Effects effects_;
  std::size_t turn_bytes_ = 0;  // Of the values in effects_.
  std::map<NodeId, Answer> answers_;
};

}  // namespace stele::log
