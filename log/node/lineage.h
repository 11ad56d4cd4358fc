// Whether a node's directory still holds everything that the node has told as durable (ADR 16).
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "log/format/record.h"
#include "net/wire/message.h"
#include "paxos/base/result.h"

namespace stele::log {

/// Compares what nodes say at their start with what was heard of them before. A copy of a directory
/// that is put back lacks a start, or a commit, that others have heard of: votes are forgotten, and
/// the node must take no part. A crash loses nothing that was told as durable, and is never taken
/// for it. Pure.
class Lineage {
 public:
  /// The next start of a directory whose last commit is `commits_found`; `id` is random.
  Lineage(NodeId self, History history, std::uint64_t id, std::uint64_t commits_found);

  /// Judges a node's hello. ok: true if it is of a start that is not known to be kept: nothing that
  /// the node says may count until history() is durable, and on_kept() is told. Errors, as
  /// sentences: foreign_directory (it has gone back), refused.
  Result<bool> admit(const net::Hello& hello);
  /// What was heard of that start is durable.
  void on_kept(NodeId node, std::uint64_t start_id);
  /// A node, in that start, has told that commit as durable.
  void told(NodeId node, std::uint64_t start_id, std::uint64_t commits);
  /// What another node has heard of all. True if somebody must not be listened to any more: check()
  /// tells; or if gone_back() has become true.
  bool merge(NodeId from, const std::vector<Sighting>& sightings);

  /// Somebody who refuses this node has heard that of it. No trust is needed: what it says is
  /// compared with what the directory holds.
  void hear_of_self(const Sighting& told);
  /// What was heard of a node, for it to hear when it is refused.
  [[nodiscard]] std::optional<Sighting> seen(NodeId node) const;

  /// Errors: two directories have spoken as that node, or a later start of it.
  [[nodiscard]] Result<void> check(NodeId node, std::uint64_t start_id) const;
  /// Why this node's own directory is not the newest one, as a sentence; empty if it may be.
  [[nodiscard]] const std::string& gone_back() const { return gone_back_; }

  [[nodiscard]] const History& history() const { return history_; }
  /// Whether history() has changed since this was asked last.
  [[nodiscard]] bool take_changed() { return std::exchange(changed_, false); }
  void set_diverged(Slot at) {
    history_.diverged_at = at;
    changed_ = true;
  }
  void set_disputed(const StatePoint& point) {
    history_.disputed = point;
    changed_ = true;
  }
  /// Before birth another directory may take a node's place.
  void forget(NodeId node);
  /// For a report: this node, which has made `commits` durable, and the others as far as what was
  /// heard of them is durable.
  [[nodiscard]] std::vector<Sighting> sightings(std::uint64_t commits) const;

 private:
  Sighting* find(NodeId node);
  bool merge_self(NodeId from, const Sighting& told);
  bool merge_other(const Sighting& told);

  NodeId self_;
  History history_;
  std::set<NodeId> unkept_;  // Nodes whose last start is not durable here yet.
  std::string gone_back_;
  bool changed_ = true;
};

}  // namespace stele::log
