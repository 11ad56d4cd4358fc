// Everything that a simulation run is made of, drawn from one seed: printed, read back, shrunk.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "paxos/base/result.h"

namespace stele::sim {

/// Times of a plan.
[[nodiscard]] inline std::chrono::milliseconds ms(std::uint64_t count) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(count));
}
[[nodiscard]] inline std::chrono::microseconds us(std::uint64_t count) {
  return std::chrono::microseconds(static_cast<std::int64_t>(count));
}

/// Something that befalls the world at a certain time.
struct Fault {
  enum class Kind : std::uint8_t {
    kill,          ///< The process of `a`; restarted `ms` later.
    power,         ///< The power of `a` fails; back `ms` later.
    kill_all,      ///< All processes are killed at once; restarted within `ms`.
    power_all,     ///< The power of all nodes fails at once; back within `ms`.
    stop,          ///< `a` is asked to stop; restarted `ms` later.
    pause,         ///< The process of `a` stands still for `ms`.
    stall,         ///< The disk of `a` does nothing for `ms`.
    eio,           ///< The next commit of `a` fails.
    space,         ///< `amount` bytes are left on the disk of `a`, for `ms`.
    rot_vote,      ///< A bit flips in a vote of `a`.
    rot_chosen,    ///< A bit flips in a chosen record of `a`.
    rot_promise,   ///< A bit flips in the promise of `a`.
    wipe,          ///< The directory of `a` is lost.
    rate,          ///< The clock of `a` runs at `amount` thousandths from now on.
    jump,          ///< The monotonic clock of `a` jumps ahead by `ms`.
    wall,          ///< The wall clock of `a` jumps by `ms`, ahead or (amount 1) back.
    cut,           ///< No bytes between `a` and `b` for `ms`.
    cut_one_way,   ///< No bytes from `a` to `b` for `ms`.
    split,         ///< The nodes in `amount` and the others hear nothing of each other for `ms`.
    bridge,        ///< As `split`, but `a` hears both sides, and both hear it.
    deaf,          ///< `a` hears nobody but client `b` for `ms`, and its clock runs at `amount`.
    mute,          ///< No node hears `a` for `ms`, and its answers take `amount` ms longer.
    isolate,       ///< `a` hears nobody and nobody hears it, clients included.
    clog,          ///< What goes from `a` to `b` takes up to `amount` ms longer, for `ms`.
    reset,         ///< Connections between `a` and `b` break.
    client_crash,  ///< Client `a` is gone; another one takes its place `ms` later.
    client_cut,    ///< Client `a` is cut off from node `b` for `ms`; with `amount` 1 it only hears
                   ///< nothing, with 2 it is only not heard.
    copy,          ///< The directory of `a` is copied aside.
    roll_back,     ///< That copy is put back: `a` forgets what it has promised and voted since.
    differ,        ///< The state of `a` is not that of the others from now on.
    slow_disk,     ///< Commits of `a` take `amount` times as long for `ms`.
  };
  static constexpr std::uint64_t kLeader = 0;  ///< As a node: the leader of that time.

  std::uint64_t at_ms = 0;
  Kind kind = Kind::kill;
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t ms = 0;
  std::uint64_t amount = 0;
};

[[nodiscard]] std::string_view name_of(Fault::Kind kind);

struct Plan {
  std::uint64_t seed = 1;
  std::uint64_t real_files = 0;  ///< 1: nodes have the real store, over files.
  // The cluster.
  std::uint64_t nodes = 3;
  std::uint64_t q1 = 0;
  std::uint64_t q2 = 0;
  std::uint64_t heartbeat_ms = 50;
  std::uint64_t election_timeout_ms = 400;
  std::uint64_t window = 16;
  std::uint64_t batch_bytes_max = 512 << 10;
  std::uint64_t waiting_bytes_max = 16 << 20;
  std::uint64_t piece_bytes_max = 1 << 20;
  std::uint64_t reserve_bytes = 1 << 20;
  std::uint64_t time_slot_every_ms = 30000;
  // The world.
  std::uint64_t turn_us_max = 50;
  std::uint64_t latency_us_min = 50;
  std::uint64_t latency_us_max = 500;
  std::uint64_t drop_ppm = 0;
  std::uint64_t duplicate_ppm = 0;
  std::uint64_t reorder_ppm = 0;
  std::uint64_t queue_bytes_max = 16 << 20;
  std::uint64_t commit_us_min = 100;
  std::uint64_t commit_us_max = 1000;
  std::uint64_t commits_at_once = 1;  ///< The next one may begin before the last one is durable.
  /// What every host's line, and every disk, lets through in a second; 0: everything. They keep
  /// that rate: once there is a leader, it stays.
  std::uint64_t line_bytes_per_s = 0;
  std::uint64_t disk_bytes_per_s = 0;
  // The clients.
  std::uint64_t clients = 2;
  std::uint64_t operations = 100;  ///< Of each client, spread over the safety phase.
  std::uint64_t in_flight = 4;
  std::uint64_t client_window = 64;
  std::uint64_t sessions_max = 0;     ///< Room in the table of sessions; 0: the usual one.
  std::uint64_t session_idle_ms = 0;  ///< A full table lets a session go that is idle for so long.
  std::uint64_t payload_bytes_max = 100;
  std::uint64_t deadline_ms_max = 5000;
  std::uint64_t session_ttl_ms = 60000;
  std::uint64_t attempt_timeout_ms = 700;
  std::uint64_t sharers = 0;  ///< So many more sessions of each client share its connections.
  std::uint64_t stops = 0;    ///< 1: clients append nothing after an append that failed.
  std::uint64_t readers = 0;  ///< So many of the clients only read.
  std::uint64_t read_percent = 10;
  std::uint64_t tail_percent = 5;
  std::uint64_t condition_percent = 5;
  std::uint64_t close_percent = 0;
  std::uint64_t snapshot_every_bytes = 256 << 20;  ///< Of slots; less if a trim waits for one.
  std::uint64_t keep_for_members_bytes = 1 << 30;  ///< Of trimmed slots that other members lack.
  std::uint64_t unapplied_bytes_max = 1 << 30;     ///< Of votes; then nothing after them.
  std::uint64_t keep_percent = 0;  ///< So many operations trim, or change what is kept.
  // The course.
  std::uint64_t horizon_ms = 5000;
  std::uint64_t cursed_percent = 0;  ///< So many leaders are struck soon after they began.
  std::uint64_t healed = 0;      ///< The set of nodes that are healed at the horizon; bit id - 1.
  std::uint64_t slow_disks = 0;  ///< 1: one disk becomes slow, and its node must not lead.
  std::uint64_t centre = 0;      ///< If not 0: of the healed nodes only this one hears them all.
  std::vector<Fault> faults;
};

/// Lines or disks are slow, and nothing goes wrong.
[[nodiscard]] inline bool is_slow(const Plan& plan) {
  return plan.line_bytes_per_s != 0 || plan.disk_bytes_per_s != 0;
}

[[nodiscard]] Plan draw_plan(std::uint64_t seed);
/// The same run over real files; power failures take the place of what only the simulated store
/// has.
[[nodiscard]] Plan over_real_files(Plan plan);
/// As text: a line for every number that is not the default, and for every fault.
[[nodiscard]] std::string to_text(const Plan& plan);
/// Errors: malformed, naming the line.
[[nodiscard]] Result<Plan> parse_plan(std::string_view text);

}  // namespace stele::sim
