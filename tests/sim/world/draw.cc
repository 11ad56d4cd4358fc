// Draws plans from seeds.

#include <algorithm>
#include <array>
#include <utility>

#include "tests/sim/world/absence.h"
#include "tests/sim/world/plan.h"
#include "tests/sim/world/random.h"

namespace stele::sim {
namespace {

using Kind = Fault::Kind;

/// The others are drawn where they make sense.
constexpr std::size_t kDrawnKinds = 27;

/// Draws the parts of a plan, one after the other.
class Drawing {
 public:
  explicit Drawing(std::uint64_t seed) : random_(Random(seed).fork(1)) { plan_.seed = seed; }

  Plan draw() {
    cluster();
    world();
    clients();
    course();
    return plan_;
  }

 private:
  std::uint64_t pick(std::initializer_list<std::uint64_t> values) {
    return *(values.begin() + random_.below(values.size()));
  }

  void cluster() {
    plan_.nodes = pick({1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7});
    const std::uint64_t majority = plan_.nodes / 2 + 1;
    plan_.q1 = plan_.q2 = majority;
    if (plan_.nodes > 2 && random_.chance(25)) {
      plan_.q2 = random_.between(1, plan_.nodes);
      plan_.q1 = plan_.nodes + 1 - plan_.q2;
    }
    plan_.election_timeout_ms = pick({40, 60, 60, 100, 150, 400});
    plan_.heartbeat_ms = plan_.election_timeout_ms / pick({3, 4, 5});
    plan_.window = pick({1, 2, 4, 16, 16, 16, 64});
    plan_.batch_bytes_max = pick({1, 1, 200, 1000, 512 << 10});
    plan_.waiting_bytes_max = pick({300, 3000, 100000, 16 << 20});
    plan_.piece_bytes_max = pick({1, 300, 3000, 1 << 20});
    plan_.reserve_bytes = pick({20000, 100000, 1 << 20});
    plan_.time_slot_every_ms = pick({200, 1000, 30000});
  }

  void world() {
    plan_.turn_us_max = pick({0, 20, 200, 2000});
    plan_.latency_us_min = pick({10, 50, 500});
    plan_.latency_us_max = plan_.latency_us_min * pick({1, 2, 10, 40});
    if (random_.chance(60)) {
      plan_.drop_ppm = pick({0, 1000, 50000, 200000});
      plan_.duplicate_ppm = pick({0, 1000, 50000});
      plan_.reorder_ppm = pick({0, 1000, 50000, 200000});
    }
    plan_.queue_bytes_max = pick({3000, 50000, 16 << 20, 16 << 20});
    plan_.commit_us_min = pick({10, 100, 1000});
    plan_.commit_us_max = plan_.commit_us_min * pick({1, 4, 20});
  }

  void clients() {
    plan_.clients = pick({1, 2, 3, 5, 8, 12});
    plan_.operations = pick({50, 100, 300, 1000});
    plan_.in_flight = pick({1, 3, 10, 40});
    plan_.client_window = pick({1, 4, 64, 4096});
    plan_.payload_bytes_max = pick({20, 100, 100, 1000, 5000});
    plan_.deadline_ms_max = pick({100, 1000, 5000, 20000, 3600000});
    plan_.session_ttl_ms = pick({300, 2000, 60000, 60000});
    plan_.attempt_timeout_ms = pick({100, 300, 700, 3000});
    plan_.readers = std::min(random_.below(3), plan_.clients - 1);
    plan_.read_percent = pick({0, 10, 30, 60});
    plan_.tail_percent = pick({0, 5, 10});
    plan_.condition_percent = pick({0, 0, 10});
    plan_.close_percent = pick({0, 0, 2});
    // From a stream of its own, so that the rest of a seed's plan does not depend on it.
    const std::uint64_t dice = random_.fork(2).below(4);
    plan_.sharers = dice < 2 ? 0 : 2 * dice - 3;
    plan_.stops = random_.fork(5).chance(25) ? 1 : 0;
    if (random_.fork(6).chance(15)) a_small_table_of_sessions();
    what_is_kept();
    if (Random few = random_.fork(14); few.chance(25)) plan_.unapplied_bytes_max = few.below(5000);
    Random several = random_.fork(8);
    if (several.chance(40)) plan_.commits_at_once = several.between(2, 8);
  }

  void what_is_kept() {
    const bool takes = random_.fork(10).chance(50);
    if (takes) plan_.snapshot_every_bytes = random_.fork(11).between(4 << 10, 100 << 10);
    if (Random kept = random_.fork(9); kept.chance(40)) plan_.keep_percent = 1 + kept.below(10);
    if (random_.fork(12).chance(70)) plan_.keep_for_members_bytes = random_.fork(13).below(50'000);
  }

  /// Clients that end without closing their sessions fill a small table, which lets idle ones go.
  void a_small_table_of_sessions() {
    plan_.sessions_max = plan_.clients * (1 + plan_.sharers);
    plan_.session_idle_ms = 1000;
    plan_.session_ttl_ms = 60000;
    plan_.time_slot_every_ms = 200;
  }

  /// How many nodes may be spoilt for good.
  [[nodiscard]] std::uint64_t spare() const { return plan_.nodes - std::max(plan_.q1, plan_.q2); }

  void course() {
    plan_.horizon_ms = pick({3000, 6000, 12000});
    // Which kinds of faults this run has, and how often they come.
    std::uint64_t kinds = 0;
    for (std::size_t i = 0; i < kDrawnKinds; ++i) {
      if (random_.chance(35)) kinds |= std::uint64_t{1} << i;
    }
    const std::uint64_t gap_ms = pick({30, 100, 300, 1000});
    spoilt_ = spare() == 0 ? 0 : random_.below(spare() + 1);
    for (std::uint64_t at = random_.between(1, 2 * gap_ms); at < plan_.horizon_ms;
         at += random_.between(1, 2 * gap_ms)) {
      const std::size_t kind = random_.below(kDrawnKinds);
      if ((kinds >> kind & 1) != 0) add(at, static_cast<Kind>(kind));
    }
    plan_.cursed_percent = pick({0, 80, 95, 95});
    if (random_.chance(15)) {
      reads_of_an_old_leader();
    } else if (random_.chance(5)) {
      a_disk_that_fills_up();
    }
    // Power failures while the cluster is born.
    if (random_.chance(10)) {
      for (std::uint64_t at = 1; at < 40; at += random_.between(1, 20)) add(at, Kind::power);
    }
    heal();
    if (random_.chance(8)) draw_leaders_that_come_back(plan_, random_);
    // From streams of their own, as above.
    if (Random lost = random_.fork(7); lost.chance(8)) lost_accepts(lost);
    Random slow = random_.fork(3);
    if (slow.chance(8)) return slow_lines_and_disks(slow);
    Random back = random_.fork(4);
    if (spare() == 0) return;
    if (back.chance(25)) {
      older_copies(back);
    } else if (back.chance(4)) {
      a_state_that_differs(back);
    }
  }

  /// Copies of the last node's directory are taken now and then, and one of them is put back.
  void older_copies(Random& random) {
    std::vector<Fault> faults;
    std::uint64_t at = random.between(100, plan_.horizon_ms / 2);
    faults.push_back({at, Kind::copy, plan_.nodes, 0, 0, 0});
    // Mostly the node is started again in between, which alone shows that the copy is older.
    at += random.between(1, plan_.horizon_ms / 4);
    if (random.chance(60)) faults.push_back({at, Kind::kill, plan_.nodes, 0, 50, 0});
    at += random.between(100, plan_.horizon_ms / 4);
    faults.push_back({at, Kind::roll_back, plan_.nodes, 0, random.between(1, 300), 0});
    plan_.faults.insert(plan_.faults.end(), faults.begin(), faults.end());
    if (spoilt_ == 0) spoil_the_last();
  }

  /// One node's state differs: that node must stop, and the others go on. All nodes are there and
  /// hear each other: a node that lags for long cannot judge, and of three nodes none could go on.
  void a_state_that_differs(Random& random) {
    if (plan_.nodes < 3) return;
    plan_.faults.clear();
    plan_.cursed_percent = 0;
    plan_.drop_ppm = plan_.reorder_ppm = 0;
    const std::uint64_t at = random.between(500, plan_.horizon_ms / 2);
    const bool some_lag = plan_.nodes >= 5 && random.chance(60);
    const std::uint64_t node = random.chance(50) && !some_lag ? plan_.nodes : Fault::kLeader;
    plan_.faults.push_back({at, Kind::differ, node, 0, 100, 0});
    // The nodes that are left are a majority, and only all of them together can judge the states.
    for (std::uint64_t id = plan_.nodes / 2 + 2; some_lag && id <= plan_.nodes; ++id) {
      plan_.faults.push_back({at - 300, Kind::isolate, id, 0, 6000, 0});
    }
    plan_.healed = (std::uint64_t{1} << plan_.nodes) - 1;
    plan_.centre = 0;
  }

  /// The healed nodes are enough without the last one.
  void spoil_the_last() {
    plan_.healed = (std::uint64_t{1} << plan_.nodes) - 1;
    if (plan_.centre == plan_.nodes) plan_.centre = 1;
  }

  /// Large entries do not fit into a link's queue beside anything else, and little is appended.
  void lost_accepts(Random& random) {
    plan_.queue_bytes_max = 3000;
    plan_.payload_bytes_max = 5000;
    plan_.batch_bytes_max = 1000;
    plan_.window = 64;
    plan_.time_slot_every_ms = 200;
    plan_.in_flight = random.between(1, 3);
    plan_.latency_us_min = 500;
    plan_.latency_us_max = 5000;
  }

  /// More is appended than lines or disks let through, and nothing goes wrong.
  void slow_lines_and_disks(Random& random) {
    plan_.unapplied_bytes_max = Plan{}.unapplied_bytes_max;
    const auto pick_of = [&](std::initializer_list<std::uint64_t> values) {
      return *(values.begin() + random.below(values.size()));
    };
    plan_.faults.clear();
    plan_.cursed_percent = 0;
    plan_.drop_ppm = plan_.duplicate_ppm = plan_.reorder_ppm = 0;
    plan_.nodes = pick_of({3, 3, 5});
    plan_.q1 = plan_.q2 = plan_.nodes / 2 + 1;
    plan_.healed = (std::uint64_t{1} << plan_.nodes) - 1;
    plan_.centre = 0;
    plan_.election_timeout_ms = 400;
    plan_.heartbeat_ms = plan_.election_timeout_ms / 8;
    plan_.window = pick_of({16, 32});
    plan_.batch_bytes_max = 512 << 10;
    plan_.waiting_bytes_max = pick_of({300000, 16 << 20});
    plan_.piece_bytes_max = 512 << 10;
    plan_.reserve_bytes = 256 << 20;
    plan_.queue_bytes_max = 16 << 20;
    plan_.turn_us_max = 20;
    plan_.latency_us_max = plan_.latency_us_min = pick_of({50, 500, 5000});
    plan_.line_bytes_per_s = pick_of({0, 300'000, 625'000, 1'250'000, 12'500'000});
    plan_.disk_bytes_per_s = pick_of({1'000'000, 5'000'000, 50'000'000});
    plan_.commit_us_min = plan_.commit_us_max = pick_of({100, 1000, 10'000, 50'000});
    plan_.clients = pick_of({1, 3});
    // On the slowest lines clients share connections: appends do not wait for what tails get.
    const bool slowest = plan_.line_bytes_per_s != 0 && plan_.line_bytes_per_s < 1'250'000;
    plan_.sharers = slowest ? 1 : 0;
    plan_.sessions_max = std::max(plan_.sessions_max, plan_.clients * (1 + plan_.sharers));
    plan_.readers = 0;
    plan_.in_flight = pick_of({1, 10, 40});
    plan_.client_window = 4096;
    plan_.payload_bytes_max = pick_of({200, 5000, 20'000, 60'000});
    plan_.deadline_ms_max = 3'600'000;
    plan_.session_ttl_ms = 60'000;
    plan_.attempt_timeout_ms = 500;
    plan_.read_percent = plan_.condition_percent = plan_.close_percent = 0;
    plan_.tail_percent = 0;
    plan_.horizon_ms = 12'000;
    if (random.chance(30)) return a_slow_disk(random);
    // As much as goes through within 10 seconds, and to clients that follow the log.
    std::uint64_t rate = plan_.disk_bytes_per_s;
    if (plan_.line_bytes_per_s != 0) {
      rate = std::min(rate, plan_.line_bytes_per_s / (plan_.nodes + plan_.clients));
    }
    const std::uint64_t bytes = plan_.clients * (plan_.payload_bytes_max / 2 + 100);
    plan_.operations = std::clamp<std::uint64_t>(10 * rate / bytes, 4, 1000);
  }

  /// One node's disk, mostly the leader's, is slow: another node leads then. Enough is appended to
  /// show it.
  void a_slow_disk(Random& random) {
    const bool leader = random.chance(70);
    plan_.slow_disks = 1;
    plan_.line_bytes_per_s = 0;
    plan_.disk_bytes_per_s = 50'000'000;
    plan_.latency_us_max = plan_.latency_us_min = 500;
    plan_.commit_us_min = plan_.commit_us_max = 1000;
    plan_.in_flight = 10;
    plan_.payload_bytes_max = 5000;
    plan_.operations = 4000;
    plan_.horizon_ms = 20'000;
    const std::uint64_t node = leader ? Fault::kLeader : plan_.nodes;
    plan_.faults.push_back({4500, Kind::slow_disk, node, 0, 30'000, random.between(100, 400)});
  }

  /// A leader has been replaced and does not know it. Little else goes wrong; one client writes now
  /// and then, and another one reads all the time.
  void reads_of_an_old_leader() {
    plan_.faults.clear();
    plan_.cursed_percent = 0;
    plan_.drop_ppm = 0;
    plan_.clients = std::max<std::uint64_t>(plan_.clients, 3);
    plan_.readers = plan_.clients / 2;
    plan_.operations = 1000;
    plan_.in_flight = pick({2, 4});
    plan_.attempt_timeout_ms = pick({100, 3000});
    const Kind kinds[] = {Kind::deaf, Kind::deaf, Kind::mute, Kind::pause};
    const Kind kind = kinds[random_.below(4)];
    const std::uint64_t timeout = plan_.election_timeout_ms;
    for (std::uint64_t at = 5 * timeout; at < plan_.horizon_ms; at += 15 * timeout) {
      add(at + random_.below(5 * timeout), kind);
    }
  }

  /// The leader's disk fills up while commands wait for their batch, and nobody can take over.
  void a_disk_that_fills_up() {
    plan_.faults.clear();
    plan_.cursed_percent = 0;
    plan_.window = pick({1, 2});
    plan_.in_flight = pick({10, 40});
    plan_.operations = 1000;
    plan_.close_percent = pick({2, 10});
    plan_.commit_us_min = 1000;
    plan_.commit_us_max = 1000 * pick({1, 4, 20});
    for (std::uint64_t at = 300; at < plan_.horizon_ms; at += random_.between(1, 400)) {
      const std::uint64_t ms = pick({50, 200, 1000});
      const std::uint64_t amount = plan_.reserve_bytes * pick({3, 7, 7, 7}) / 8;
      if (random_.chance(50)) {
        plan_.faults.push_back({at, Kind::space, Fault::kLeader, 0, ms, amount});
      } else {
        for (std::uint64_t id = 1; id <= plan_.nodes; ++id) {
          plan_.faults.push_back({at, Kind::space, id, 0, ms, amount});
        }
      }
    }
  }

  /// Those with the highest ids are spoilt, if any. The others are a quorum, and lose nothing.
  [[nodiscard]] std::uint64_t spoilt_node() { return plan_.nodes - random_.below(spoilt_); }

  void add(std::uint64_t at, Kind kind) {
    Fault fault{at, kind};
    const std::uint64_t timeout = plan_.election_timeout_ms;
    fault.a = random_.chance(40) ? Fault::kLeader : random_.between(1, plan_.nodes);
    fault.b = random_.between(1, plan_.nodes);
    fault.ms = pick({1, timeout / 4, timeout, 2 * timeout, 5 * timeout, 2000});
    switch (kind) {
      case Kind::pause:
        if (random_.chance(60)) fault.a = Fault::kLeader;
        if (random_.chance(30)) fault.ms = timeout * pick({3, 5, 10});
        break;
      case Kind::rot_vote:
      case Kind::rot_chosen:
      case Kind::rot_promise:
      case Kind::wipe:
        if (spoilt_ == 0) return;
        // Some of these end a node's usefulness: rarely.
        if ((kind == Kind::rot_promise || kind == Kind::wipe) && !random_.chance(15)) return;
        fault.a = spoilt_node();
        break;
      case Kind::space: fault.amount = plan_.reserve_bytes * pick({0, 1, 3, 7, 9}) / 8; break;
      case Kind::deaf:
        fault.a = Fault::kLeader;
        fault.b = random_.chance(50) ? 1 : random_.between(1, plan_.clients);
        fault.ms = timeout * pick({3, 5, 10});
        fault.amount = pick({100, 300, 1000});
        break;
      case Kind::mute:
        fault.a = Fault::kLeader;
        fault.b = random_.chance(50) ? 1 : random_.between(1, plan_.clients);
        fault.amount = timeout * pick({2, 4});
        fault.ms = 3 * fault.amount;
        break;
      case Kind::rate: fault.amount = pick({200, 500, 800, 1200, 2000, 4000}); break;
      case Kind::jump: fault.ms = pick({timeout, 2000, 70000}); break;
      case Kind::wall:
        fault.ms = pick({10, 5000, 86400000});
        fault.amount = random_.below(2);
        break;
      case Kind::split:
      case Kind::bridge:
        fault.amount = random_.between(1, (std::uint64_t{1} << plan_.nodes) - 1);
        break;
      case Kind::clog: fault.amount = pick({2, timeout / 4, timeout}); break;
      case Kind::client_cut:
        fault.a = random_.between(1, plan_.clients);
        if (random_.chance(60)) fault.b = Fault::kLeader;
        fault.amount = random_.below(3);
        break;
      case Kind::client_crash: fault.a = random_.between(1, plan_.clients); break;
      default: break;
    }
    plan_.faults.push_back(fault);
  }

  /// A quorum of nodes that were not spoilt, and some more; or a star around one of them.
  void heal() {
    const std::uint64_t least = std::max(plan_.q1, plan_.q2);
    std::vector<std::uint64_t> ids;
    for (std::uint64_t id = 1; id <= plan_.nodes; ++id) ids.push_back(id);
    const std::uint64_t sound = plan_.nodes - spoilt_;
    for (std::uint64_t i = sound; i > 1; --i) std::swap(ids[i - 1], ids[random_.below(i)]);
    const std::uint64_t count =
        random_.chance(50) ? plan_.nodes : random_.between(least, plan_.nodes);
    for (std::uint64_t i = 0; i < count; ++i) plan_.healed |= std::uint64_t{1} << (ids[i] - 1);
    if (plan_.nodes > 2 && random_.chance(30)) plan_.centre = ids[0];
  }

  Random random_;
  Plan plan_;
  std::uint64_t spoilt_ = 0;
};

}  // namespace

Plan draw_plan(std::uint64_t seed) {
  Plan plan = Drawing(seed).draw();
  Random away = Random(seed).fork(3);
  const auto differs = [](const Fault& fault) { return fault.kind == Kind::differ; };
  const bool apart = is_slow(plan) || std::ranges::any_of(plan.faults, differs);
  if (plan.nodes > 2 && !apart && away.chance(12)) draw_absences(plan, away);
  return plan;
}

}  // namespace stele::sim
