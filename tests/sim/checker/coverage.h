// Which faults and which paths of the protocol a simulation has reached, and how often.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stele::sim {

enum class Path : std::uint8_t {
  // The world's faults.
  kills,
  power_failures,
  kills_within_a_commit,
  power_failures_within_a_commit,
  lost_unsynced_transactions,
  kept_unsynced_transactions,
  stops,
  pauses,
  disk_stalls,
  slow_disks,
  failed_commits,
  commits_at_once,
  full_disks,
  overfull_disks,
  rotten_votes,
  rotten_chosen_records,
  rotten_promises,
  wiped_directories,
  rolled_back_directories,
  states_that_differ,
  sessions_let_go,
  sessions_refused,
  outcomes_forgotten,
  clock_rates,
  clock_jumps,
  wall_clock_jumps,
  cuts,
  one_way_cuts,
  splits,
  bridges,
  isolated_nodes,
  deaf_nodes,
  mute_nodes,
  all_killed,
  all_powered_off,
  clogs,
  waits_for_a_line,
  waits_for_a_slow_disk,
  messages_lost,
  messages_doubled,
  messages_reordered,
  connections_reset,
  connections_refused,
  connections_timed_out,
  connect_timeouts,
  link_queue_full,
  client_crashes,
  client_cuts,
  // The protocol's paths.
  births,
  pre_votes,
  pre_votes_denied,
  elections,
  elections_won,
  preemptions,
  leaders_stopped,
  nacks,
  reproposals,
  noop_fills,
  promises_with_votes,
  long_promises,
  promises_refused_for_rot,
  resent_accepts,
  votes_below_chosen_end,
  votes_refused_for_space,
  votes_far_ahead,
  repeated_chosen,
  catch_ups,
  fetches_unserved,
  votes_read_back,
  votes_not_readable_yet,
  ballots_without_who_is_ahead,
  hand_overs,
  hand_overs_for_a_slow_disk,
  slots_faulty,
  slots_repaired,
  peers_refused,
  nodes_gone_back,
  nodes_diverged,
  time_slots,
  flexible_quorums,
  // What clients meet.
  sessions_opened,
  sessions_expired,
  appends_acknowledged,
  appends_timed_out,
  duplicates_answered,
  voids_and_resends,
  skips,
  stops_at_failures,
  trims,
  trims_of_leaders,
  trims_past_holds,
  trims_held_back,
  slots_given_up,
  snapshots_taken,
  snapshots_needed,
  snapshots_installed,
  copies_complete,
  reads_trimmed,
  tails_trimmed,
  conditions_met,
  conditions_failed,
  refused_no_space,
  refused_overloaded,
  refused_shutting_down,
  told_unknown,
  told_not_leader,
  linearizable_reads,
  local_reads,
  reads_of_old_entries,
  tails_ended,
  tail_entries,
  // How runs end.
  healed_in_part,
  healed_as_a_star,
  last_ = healed_as_a_star,
};

inline constexpr std::size_t kPaths = static_cast<std::size_t>(Path::last_) + 1;

[[nodiscard]] std::string_view name_of(Path path);

class Coverage {
 public:
  void count(Path path, std::uint64_t times = 1) {
    counts_[static_cast<std::size_t>(path)] += times;
  }
  [[nodiscard]] std::uint64_t of(Path path) const {
    return counts_[static_cast<std::size_t>(path)];
  }
  void add(const Coverage& other) {
    for (std::size_t i = 0; i < kPaths; ++i) counts_[i] += other.counts_[i];
  }

 private:
  std::array<std::uint64_t, kPaths> counts_{};
};

}  // namespace stele::sim
