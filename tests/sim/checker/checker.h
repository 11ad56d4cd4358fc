// The protocol's invariants (docs/verification.md), judged from what nodes write and send. Shares
// no code with the protocol: it counts votes itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "paxos/configuration.h"
#include "tests/sim/checker/coverage.h"
#include "tests/sim/checker/leaderships.h"
#include "tests/sim/checker/message_count.h"
#include "tests/sim/checker/model_log.h"
#include "tests/sim/checker/violation.h"
#include "tests/sim/disk/disk.h"

namespace stele::sim {

/// Is told of every transaction that became durable and of every message that left a role, in the
/// order in which they happened. Throws a Violation at the first thing that must not be.
class Checker {
 public:
  /// `window` and `in_flight_bytes_max`: so many slots, and bytes, a leader may have in flight.
  Checker(paxos::Configuration configuration, std::uint64_t window, std::size_t in_flight_bytes_max,
          Coverage& coverage);

  /// As of ModelLog.
  void set_sessions(std::size_t most, std::uint64_t idle_us) { log_.set_sessions(most, idle_us); }
  /// As of log::Upkeep.
  void set_keep_for_members(std::uint64_t bytes) { keep_for_members_bytes_ = bytes; }
  /// A node's directory is new, or wiped: nothing it did before binds it.
  void on_new_disk(NodeId node, const Disk& disk) {
    const bool wiped = nodes_.contains(node);
    nodes_[node] = {};
    nodes_[node].disk = &disk;
    nodes_[node].wiped = wiped;
  }
  /// An older copy of its directory was put back: what it did with the newer one still binds it.
  void on_rolled_back(NodeId node) {
    NodeView& view = nodes_.at(node);
    view.numbers = view.disk->synced.numbers;
    view.gone_back = true;
  }
  /// Its state is another one from here on, and is compared no more.
  void on_differs(NodeId node) { nodes_.at(node).differs = true; }
  void on_durable(NodeId node, const Txn& txn);
  /// A node has taken a snapshot.
  void on_snapshot(NodeId node, const Snapshot& snapshot);
  void on_send(NodeId from, const paxos::Send& send);
  /// A message has reached another node.
  void on_receive(NodeId from, NodeId to, const paxos::Message& message) {
    leaderships_.on_receive(from, to, message);
  }

  /// The log as the votes have chosen it, as far as it has no holes.
  [[nodiscard]] const ModelLog& log() const { return log_; }
  /// All that a node has on its disk agrees with what was chosen.
  void check_disk(NodeId node) const;
  /// Two nodes that have applied the same slots have the same state.
  void check_equal(NodeId a, NodeId b) const;
  /// How often a ballot has been won so far.
  [[nodiscard]] std::uint64_t elections() const { return elections_; }
  /// Nobody can gather q2 answers in a lower ballot any more: so many have promised this one.
  [[nodiscard]] Ballot ballot_passed() const;
  /// The highest ballot for which a q1 quorum has sent promises to this node.
  [[nodiscard]] Ballot last_ballot_won(NodeId node) const {
    return leaderships_.last_ballot_won(node, configuration_.q1());
  }

 private:
  struct Vote {
    paxos::Value value;
    NodeSet voters;
  };
  struct SlotView {
    std::map<Ballot, Vote> votes;  // Durable ones.
    std::map<Ballot, paxos::Value> proposed;
    std::optional<paxos::Value> chosen;
    Ballot chosen_in;
  };
  /// What a node has told in promises of one ballot.
  struct Promises {
    struct Piece {
      Slot begin;
      Slot end;  // Told: [max(begin, chosen_end), end).
      Slot chosen_end;
      std::map<Slot, Ballot> accepted;
    };
    std::vector<Piece> pieces;
  };
  struct NodeView {
    const Disk* disk = nullptr;
    std::map<Ballot, Promises> promises;
    std::map<Slot, Ballot> votes_left;  // The highest ballot of an Accepted that left.
    log::StateNumbers numbers;
    Ballot promised;  // The highest that became durable.
    bool differs = false;
    bool gone_back = false;  // It lacks what it has told that it has.
    bool wiped = false;      // It has promised or voted in a directory that is lost.
  };
  void on_promise(NodeId from, const paxos::Promise& promise);
  void on_accept(NodeId from, NodeId to, const paxos::Accept& accept);
  void check_phase_one(const paxos::Accept& accept, const Leadership& leadership) const;
  void check_bytes_in_flight(const paxos::Accept& accept, const SlotView& view) const;
  void on_accepted(NodeId from, const paxos::Accepted& accepted);
  void on_chosen(NodeId from, const paxos::Chosen& chosen);
  void on_fetched(const paxos::Fetched& fetched);
  void on_vote(NodeId node, const paxos::SlotRecord& record);
  void on_state(NodeId node, const log::StateWrite& state);
  void on_trim(NodeId node, const log::TrimWrite& trim);
  void check_lacking(NodeId node, NodeId other, Slot slot_end) const;
  void on_install(NodeId node, const log::InstallWrite& install);
  void on_copy(NodeId node, const log::CopyWrite& copy) const;
  /// Of each quorum one node has all kept slots below as chosen ones.
  [[nodiscard]] bool known_in_each_quorum(Slot slot) const;
  void check_runs(NodeId node, const Image& image) const;
  void choose(Slot slot, SlotView& view, Ballot ballot, const paxos::Value& value);
  SlotView& at(Slot slot) {
    if (slots_.size() < slot.value) slots_.resize(slot.value);
    return slots_[slot.value - 1];
  }
  [[nodiscard]] const SlotView* find(Slot slot) const {
    return slot.value == 0 || slot.value > slots_.size() ? nullptr : &slots_[slot.value - 1];
  }
  [[nodiscard]] bool all_chosen(Slot begin, Slot end) const {
    for (Slot slot = begin; slot < end; ++slot) {
      const SlotView* view = find(slot);
      if (view == nullptr || !view->chosen) return false;
    }
    return true;
  }

  paxos::Configuration configuration_;
  std::uint64_t window_;
  std::size_t in_flight_bytes_max_;
  Coverage& coverage_;
  std::vector<SlotView> slots_;  // From slot 1 on.
  std::map<NodeId, NodeView> nodes_;
  Leaderships leaderships_;
  MessageCount count_;
  std::map<Slot, log::StateNumbers> states_;  // By chosen_end, as the first node told it.
  std::uint64_t keep_for_members_bytes_ = UINT64_MAX;
  std::map<Slot, std::uint64_t> snapshots_;  // Their digests, as the first node has it.
  ModelLog log_;
  std::uint64_t elections_ = 0;
};

}  // namespace stele::sim
