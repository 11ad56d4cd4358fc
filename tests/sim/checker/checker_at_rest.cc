// What nodes have on their disks, and give up, as the checker judges it.

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "log/format/run_list.h"
#include "log/format/snapshot.h"
#include "net/wire/digest.h"
#include "paxos/base/bytes.h"
#include "tests/sim/checker/checker.h"

namespace stele::sim {
namespace {

std::string node_name(NodeId node) { return "n" + std::to_string(node.value); }
std::string slot_name(Slot slot) { return "slot " + std::to_string(slot.value); }

[[noreturn]] void violated(int invariant, const std::string& what) {
  throw Violation(std::to_string(invariant), what);
}

}  // namespace

/// Invariant 14: what is kept stays, on every node that has it. Judged by what the node had applied
/// durably before: slots go only if all their entries are trimmed.
void Checker::on_trim(NodeId node, const log::TrimWrite& trim) {
  const NodeView& view = nodes_.at(node);
  const auto wrong = [&](const std::string& what) {
    violated(14, node_name(node) + " gives up the slots below " +
                     std::to_string(trim.slot_end.value) + what);
  };
  if (trim.slot_end > view.numbers.chosen_end) wrong(", which it has not applied durably");
  if (trim.slot_end.value % log::kRunSlots != 0) wrong(", which is no run's begin");
  if (log_.after(trim.slot_end).next_lsn != trim.lsn_end) wrong(", and other entries than theirs");
  if (trim.lsn_end > view.numbers.first_lsn) wrong(", and entries in them are kept");
  for (const auto& [id, other] : nodes_) {
    if (id == node || other.wiped || other.differs || other.gone_back) continue;
    if (other.numbers.chosen_end < trim.slot_end) check_lacking(node, id, trim.slot_end);
  }
  // On a full disk there may be no room for one.
  const auto& taken = view.disk->snapshots;
  const bool newer = !taken.empty() && taken.rbegin()->first >= trim.slot_end;
  if (!newer && view.disk->free_bytes == UINT64_MAX) wrong(", and no snapshot is above them");
  coverage_.count(Path::slots_given_up);
}

/// A node that lacks slots which another one gives up is given a snapshot.
void Checker::check_lacking(NodeId node, NodeId other, Slot slot_end) const {
  const Disk& disk = *nodes_.at(node).disk;
  if (disk.free_bytes != UINT64_MAX) return;
  const auto wrong = [&](const std::string& what) {
    violated(14, node_name(node) + " gives up the slots below " + std::to_string(slot_end.value) +
                     ", which " + node_name(other) + " lacks, " + what);
  };
  bool offered = false;
  for (const auto& [slot, snapshot] : disk.snapshots) {
    offered = offered || (slot >= slot_end && known_in_each_quorum(slot));
  }
  if (!offered) wrong("and there is no snapshot for it");
  std::uint64_t trimmed = slot_end.value / log::kRunSlots;
  const auto is_trimmed = [&](std::uint64_t run) {
    return Slot{run * log::kRunSlots} <= log_.slot_end() &&
           log_.after({run * log::kRunSlots}).next_lsn <= log_.last().first_lsn;
  };
  while (is_trimmed(trimmed + 1)) ++trimmed;
  const std::uint64_t held =
      log_.after({trimmed * log::kRunSlots}).log_bytes - log_.after(slot_end).log_bytes;
  if (held < keep_for_members_bytes_) wrong("though there are few");
}

bool Checker::known_in_each_quorum(Slot slot) const {
  std::size_t have = 0;
  for (const auto& [id, view] : nodes_) {
    const log::Holding& holding = view.disk->synced.holding;
    const bool whole = holding.slots_begin <= holding.first_slot ||
                       holding.entries_begin <= view.numbers.first_lsn;
    // Of one that is spoilt it is not known what it had told.
    const bool had = view.wiped || view.differs || view.gone_back;
    have += had || (whole && view.numbers.chosen_end >= slot) ? 1U : 0U;
  }
  return have + std::max(configuration_.q1(), configuration_.q2()) >
         configuration_.members().size();
}

/// Invariant 13: no promise and no vote is lost, and no number goes back.
void Checker::on_install(NodeId node, const log::InstallWrite& install) {
  NodeView& view = nodes_.at(node);
  const log::StateNumbers& numbers = install.numbers;
  const auto wrong = [&](const std::string& what) {
    violated(13,
             node_name(node) + " installs a snapshot at " + slot_name(numbers.chosen_end) + what);
  };
  if (numbers.chosen_end <= view.numbers.chosen_end) wrong(", and has applied as much");
  if (!snapshots_.contains(numbers.chosen_end)) wrong(", which nobody has taken");
  const auto state = states_.find(numbers.chosen_end);
  if (state == states_.end() || state->second != numbers) wrong(", and has another state then");
  if (!known_in_each_quorum(numbers.chosen_end)) wrong(", below which too few know the slots");
  const Image& image = view.disk->synced;
  if (image.promised < view.promised) wrong(", and lowers its promise");
  for (const auto& [slot, ballot] : view.votes_left) {
    if (slot < image.holding.first_slot) continue;
    if (!image.slots.contains(slot)) wrong(", and loses its vote at " + slot_name(slot));
  }
  if (image.holding.slots_begin != numbers.chosen_end) wrong(", and believes its votes below");
  view.numbers = numbers;
}

/// Invariant 13: what is copied is what was chosen.
void Checker::on_copy(NodeId node, const log::CopyWrite& copy) const {
  for (const paxos::SlotRecord& record : copy.records) {
    const SlotView* view = find(record.slot);
    if (view != nullptr && view->chosen && same(*view->chosen, record.value)) continue;
    violated(13, node_name(node) + " copies what was not chosen at " + slot_name(record.slot));
  }
}

/// Two nodes that take one at the same slot take the same.
void Checker::on_snapshot(NodeId node, const Snapshot& snapshot) {
  const NodeView& view = nodes_.at(node);
  if (view.wiped || view.differs || view.gone_back) return;
  const Slot slot = snapshot.info.slot;
  coverage_.count(Path::snapshots_taken);
  std::span<const std::byte> piece = snapshot.pieces.front();
  const auto row = log::take_row(piece);
  const auto numbers = row ? log::numbers_of(*row) : Result<log::StateNumbers>(forward(row));
  const auto state = states_.find(slot);
  if (!numbers || state == states_.end() || *numbers != state->second) {
    violated(13, "the snapshot of " + node_name(node) + " at " + slot_name(slot) +
                     " is not of the state there");
  }
  if (numbers->snapshot_slot != slot) {
    violated(13, node_name(node) + " has taken a snapshot at " + slot_name(slot) +
                     ", where none was asked for");
  }
  const auto [first, fresh] = snapshots_.try_emplace(slot, snapshot.info.digest);
  if (first->second == snapshot.info.digest) return;
  violated(13, "the snapshot of " + node_name(node) + " at " + slot_name(slot) +
                   " is another one than that of others");
}

void Checker::check_disk(NodeId node) const {
  const Image& image = nodes_.at(node).disk->synced;
  const Slot first = std::max(image.holding.first_slot, image.holding.slots_begin);
  for (const auto& [slot, record] : image.slots) {
    if (slot >= image.numbers.chosen_end) break;
    if (slot < first) continue;  // It is not known what they are.
    const SlotView* view = find(slot);
    const bool chosen = view != nullptr && view->chosen && same(*view->chosen, record.value);
    if (!chosen)
      violated(6,
               node_name(node) + " holds another value than the chosen one at " + slot_name(slot));
  }
  for (Slot slot = first; slot < image.numbers.chosen_end; ++slot) {
    if (image.slots.contains(slot)) continue;
    violated(14, node_name(node) + " has lost " + slot_name(slot) + ", which it keeps");
  }
  if (!image.slots.empty() && image.slots.begin()->first < image.holding.first_slot) {
    violated(14, node_name(node) + " keeps slots that it has given up");
  }
  check_runs(node, image);
  // Whole runs go: what is kept may begin before the trim point.
  std::uint64_t next_lsn = log_.after(first).next_lsn.value;
  const bool copied = image.holding.slots_begin <= image.holding.first_slot;
  if (!copied && image.holding.entries_begin.value != next_lsn) {
    violated(13, node_name(node) + " does not know which entries it lacks");
  }
  if (copied && next_lsn > image.numbers.first_lsn.value) {
    violated(14, node_name(node) + " has lost entries from LSN " +
                     std::to_string(image.numbers.first_lsn.value) + " on");
  }
  for (const auto& [lsn, row] : image.index) {
    if (row.slot < first) continue;
    if (lsn.value != next_lsn) {
      violated(11, node_name(node) + " has no index for LSN " + std::to_string(next_lsn));
    }
    next_lsn += row.count;
  }
  if (image.numbers.chosen_end == log_.slot_end()) {
    for (const auto& [at, bytes] : image.rows) {
      if (at.first != log::Table::sessions) continue;
      const SessionId session{log::number_of(at.second)};
      if (log_.closed(session)) {
        violated(9, node_name(node) + " keeps the session " + std::to_string(session.value) +
                        ", which is closed");
      }
    }
  }
  if (next_lsn != image.numbers.next_lsn.value) {
    violated(11, node_name(node) + " indexes entries up to LSN " + std::to_string(next_lsn - 1) +
                     " of " + std::to_string(image.numbers.next_lsn.value - 1));
  }
}

/// The digest of a run as docs/storage-format.md has it; nothing if not all of its slots are there.
[[nodiscard]] static std::optional<std::uint64_t> run_digest(const Image& image,
                                                             std::uint64_t number) {
  std::map<Slot, const log::IndexRow*> rows;
  for (const auto& [lsn, row] : image.index) rows.emplace(row.slot, &row);
  std::uint64_t run = 0;
  const Slot end{(number + 1) * log::kRunSlots};
  for (Slot slot{std::max<std::uint64_t>(number * log::kRunSlots, 1)}; slot < end; ++slot) {
    const auto record = image.slots.find(slot);
    if (record == image.slots.end()) return std::nullopt;
    const paxos::Value& value = record->second.value;
    std::vector<std::byte> bytes;
    log::ByteWriter writer(bytes);
    writer.put(std::uint64_t{static_cast<std::uint8_t>(value.kind())});
    writer.put(std::uint64_t{value.size()});
    writer.put(value.digest());
    if (const auto row = rows.find(slot); row != rows.end()) {
      writer.put(row->second->first_lsn.value);
      writer.put(slot.value);
      writer.put(row->second->count);
      for (const auto& [command, entries] : row->second->skipped) {
        writer.put(command);
        writer.put(entries);
      }
    }
    const std::uint64_t digest = net::digest(bytes, slot.value);
    run = net::digest(std::as_bytes(std::span(&digest, 1)), run);
  }
  return run;
}

/// The runs, and their digests, are those of what was chosen.
void Checker::check_runs(NodeId node, const Image& image) const {
  std::uint64_t number = std::max<std::uint64_t>(log::run_of(image.holding.first_slot), 1);
  for (const auto& [key, row] : image.runs) {
    const ModelLog::Numbers& model = log_.after({key * log::kRunSlots});
    // Between what it had and the runs of a snapshot there may be a gap.
    if (key > number && image.holding.generation > 1) number = key;
    if (key != number++) violated(13, node_name(node) + " lacks the row of a run");
    if (row.next_lsn != model.next_lsn || row.log_time_us != model.log_time_us) {
      violated(13, node_name(node) + " notes of run " + std::to_string(key) +
                       " what it did not begin with");
    }
    const bool known = log::begin_of_run(key - 1) >= image.holding.slots_begin;
    const auto digest = known ? run_digest(image, key - 1) : std::nullopt;
    if (digest && *digest != row.digest) {
      violated(13, node_name(node) + " has another digest of run " + std::to_string(key - 1));
    }
  }
  if (number != std::max<std::uint64_t>(log::run_of(image.numbers.chosen_end) + 1,
                                        log::run_of(image.holding.first_slot))) {
    violated(13, node_name(node) + " lacks the rows of the last runs");
  }
}

void Checker::check_equal(NodeId a, NodeId b) const {
  const Image& x = nodes_.at(a).disk->synced;
  const Image& y = nodes_.at(b).disk->synced;
  if (x.numbers.chosen_end != y.numbers.chosen_end) return;
  const std::string both = node_name(a) + " and " + node_name(b);
  if (x.numbers != y.numbers) violated(8, both + " have different states");
  if (x.rows != y.rows) violated(8, both + " have different rows of their sections");
  if (x.holding != y.holding) return;
  if (x.index != y.index) violated(8, both + " have different indexes");
  if (x.runs != y.runs) violated(13, both + " have different digests of their runs");
}

}  // namespace stele::sim
