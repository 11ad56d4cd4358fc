// What other nodes have of slots that are kept, and that this one does not have.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include <stele/events.h>
#include "log/format/run_list.h"
#include "paxos/message.h"

namespace stele::log {

/// A run of slots, or its beginning, as all nodes have it: what others say was compared with the
/// run's digest.
struct KnownRun {
  std::uint64_t run = 0;
  std::vector<SlotSummary> slots;  ///< All of them, ascending.

  [[nodiscard]] Slot begin() const { return begin_of_run(run); }
  [[nodiscard]] Slot end() const { return begin() + slots.size(); }
  [[nodiscard]] const SlotSummary& at(Slot slot) const { return slots.at(slot - begin()); }
};

/// Asks one node after the other until one has answered with what it must be. Loop thread only.
class RemoteSlots {
 public:
  using Known = std::shared_ptr<const KnownRun>;
  /// Null: nobody has it, or too much is asked for.
  using OnRun = std::function<void(Known)>;
  /// Empty: as above.
  using OnValues = std::function<void(std::vector<paxos::SlotRecord>)>;
  struct Options {
    std::vector<NodeId> others;
    Epoch epoch;
    Duration timeout;  ///< For one node's answer.
  };
  RemoteSlots(Options options, Events& events, std::function<void(paxos::Send)> send)
      : options_(std::move(options)), events_(events), send_(std::move(send)) {}

  /// The slots of a run below `slot_end`, whose digest is `digest`.
  void run(Time now, std::uint64_t run, Slot slot_end, std::uint64_t digest, OnRun done);
  /// Chosen values, dense from `begin` on, which is a slot of the run: as many as one answer holds.
  void values(Time now, Known known, Slot begin, OnValues done);

  void on_run_slots(Time now, NodeId from, const paxos::RunSlots& answer);
  void on_fetched(Time now, NodeId from, const paxos::Fetched& answer);
  /// Now and then. `leader`: as far as is known, for it has enough to do.
  void tick(Time now, std::optional<NodeId> leader);

  /// So much is asked for at a time.
  static constexpr std::size_t kQuestionsMax = 16;
  [[nodiscard]] std::size_t room() const { return kQuestionsMax - questions_.size(); }
  /// All nodes are asked so often.
  static constexpr std::size_t kRounds = 2;

 private:
  struct Question {
    std::uint64_t run = 0;
    Slot slot_end;
    std::uint64_t digest = 0;
    OnRun on_run;
    Known known;  // With on_values.
    Slot begin;   // With on_values.
    OnValues on_values;
    std::size_t asked = 0;         // How many nodes, one of them several times.
    std::vector<NodeId> in_round;  // Who was asked since all have been.
    NodeId to;
    Time asked_at{};
  };
  using At = std::list<Question>::iterator;

  void add(Time now, Question question);
  /// Asks the next node, or ends it.
  void ask(Time now, At at);
  void fail(At at);
  [[nodiscard]] NodeId next_node(const Question& question) const;
  template <class Matches>
  [[nodiscard]] At youngest(Matches matches);
  void tell_of_others(NodeId node, std::uint64_t run);

  Options options_;
  Events& events_;
  std::function<void(paxos::Send)> send_;
  std::list<Question> questions_;
  std::optional<NodeId> helped_;  // Who has answered last, and is asked first.
  std::optional<NodeId> leader_;
};

}  // namespace stele::log
