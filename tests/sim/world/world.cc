#include "tests/sim/world/world.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "paxos/base/check.h"
#include "tests/sim/checker/witness.h"
#include "tests/sim/world/epilogue.h"
#include "tests/sim/world/faults.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Time kStart = seconds(1);
constexpr std::uint64_t kEventsMax = 20'000'000;

std::string name_of(const SimNode& node) { return sim::name_of(node.host()); }

/// For real files: in memory if possible, and gone in the end.
struct Directory {
  explicit Directory(bool wanted) {
    if (!wanted) return;
    std::error_code none;
    const bool shm = std::filesystem::is_directory("/dev/shm", none);
    path = (shm ? std::string("/dev/shm") : std::filesystem::temp_directory_path().string()) +
           "/stele-sim.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw Violation("plan", "no directory for real files");
  }
  ~Directory() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string path;
};

class World {
 public:
  World(const Plan& plan, std::ostream* trace);

  void run();
  [[nodiscard]] Verdict verdict() const;

 private:
  void start_client(std::size_t index);
  [[nodiscard]] bool all_keep_up() const;
  void require_steady_leaders(std::uint64_t stopped) const;
  void check_bounds();
  void run_to(Time until);

  Plan plan_;
  Directory directory_;
  Random random_;
  Scheduler scheduler_;
  Coverage coverage_;
  Trace trace_;
  Network network_;
  std::unique_ptr<Checker> checker_;
  test::History history_;
  std::uint64_t writers_ = 0;
  std::map<NodeId, Address> cluster_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::uint64_t> clients_made_;
  bool epilogue_ = false;
  std::unique_ptr<Faults> faults_;
  std::unique_ptr<Witness> witness_;
};

World::World(const Plan& plan, std::ostream* trace)
    : plan_(plan),
      directory_(plan.real_files != 0),
      random_(Random(plan.seed).fork(2)),
      trace_(trace),
      network_(scheduler_, random_.fork(1),
               {us(plan.latency_us_min), us(plan.latency_us_max), plan.drop_ppm, plan.duplicate_ppm,
                plan.reorder_ppm, plan.queue_bytes_max, plan.line_bytes_per_s},
               coverage_, trace_, [this](Host from, Host to, const net::Message& message) {
                 witness_->on_message(from, to, message);
               }) {
  std::vector<NodeId> ids;
  for (std::uint64_t id = 1; id <= plan_.nodes; ++id) {
    ids.push_back({id});
    cluster_[{id}] = {sim::name_of(id), static_cast<std::uint16_t>(7000 + id)};
  }
  const auto configuration = paxos::Configuration::make(ids, plan_.q1, plan_.q2);
  if (!configuration) throw Violation("plan", configuration.error().detail);
  if (configuration->q1() != configuration->q2()) coverage_.count(Path::flexible_quorums);
  checker_ =
      std::make_unique<Checker>(*configuration, plan_.window,
                                std::min<std::size_t>(8 << 20, plan_.reserve_bytes / 8), coverage_);
  witness_ = std::make_unique<Witness>(*checker_, coverage_);
  checker_->set_keep_for_members(plan_.keep_for_members_bytes);
  if (plan_.sessions_max != 0) {
    checker_->set_sessions(plan_.sessions_max, plan_.session_idle_ms * 1000);
  }
  for (NodeId id : ids) {
    nodes_.push_back(std::make_unique<SimNode>(
        SimNode::Surroundings{plan_, scheduler_, network_, *checker_, coverage_, trace_, cluster_,
                              [this](NodeId leader) { faults_->on_leader_began(leader); },
                              directory_.path},
        id, random_.fork(100 + id.value)));
  }
  faults_ = std::make_unique<Faults>(
      Faults::Surroundings{plan_, scheduler_, network_, coverage_, trace_, nodes_, clients_,
                           [this](std::size_t index) { start_client(index); }},
      random_.fork(2));
  clients_.resize(plan_.clients);
  clients_made_.resize(plan_.clients);
}

void World::run() {
  for (auto& node : nodes_) {
    scheduler_.after(random_.between(Duration(0), milliseconds(5)), [&node] { node->start(); });
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    scheduler_.after(random_.between(Duration(0), milliseconds(50)),
                     [this, i] { start_client(i); });
  }
  check_bounds();
  const Time start = scheduler_.now();
  faults_->schedule();
  run_to(start + 10 * ms(plan_.election_timeout_ms));
  const std::uint64_t stopped = coverage_.of(Path::leaders_stopped);
  run_to(start + ms(plan_.horizon_ms) / 3);
  const std::uint64_t fetched = all_keep_up() ? coverage_.of(Path::catch_ups) : UINT64_MAX;
  run_to(start + ms(plan_.horizon_ms));
  if (is_slow(plan_) && plan_.slow_disks == 0 && coverage_.of(Path::catch_ups) > fetched) {
    throw Violation("12", "a value is sent twice, though lines and disks keep their rate");
  }
  epilogue_ = true;
  Epilogue epilogue({plan_, scheduler_, network_, *checker_, coverage_, trace_, history_, nodes_,
                     clients_, *faults_, [this](std::size_t index) { start_client(index); },
                     [this](Time until) { run_to(until); }},
                    random_);
  epilogue.heal();
  epilogue.run_until_content();
  if (is_slow(plan_)) require_steady_leaders(coverage_.of(Path::leaders_stopped) - stopped);
  epilogue.require_calm();
  epilogue.require_convergence();
  epilogue.require_whole_logs();
  epilogue.require_outcasts_out();
  epilogue.require_no_faults();
  epilogue.check_end(kStart);
}

/// They are all connected, and none must catch up.
bool World::all_keep_up() const {
  Slot least{UINT64_MAX};
  Slot most;
  for (const auto& node : nodes_) {
    least = std::min(least, node->chosen_end());
    most = std::max(most, node->chosen_end());
  }
  return least + plan_.window >= most && least != Slot{1};
}

/// Invariant 12: a leader whose line and disk keep their rate keeps the lead. One whose disk is far
/// slower than those of all others gives it up, once, to one of those.
void World::require_steady_leaders(std::uint64_t stopped) const {
  if (plan_.slow_disks == 0 && stopped != 0) {
    throw Violation("12", "a leader stops, though lines and disks keep their rate");
  }
  if (plan_.slow_disks == 0) return;
  if (stopped > 1) throw Violation("12", "a quick leader stops, or a slow one leads again");
  for (const auto& node : nodes_) {
    if (node->leads() && node->disk_is_slow()) throw Violation("12", "a slow disk keeps the lead");
  }
}

/// Invariant 12: queues stay within their bounds.
void World::check_bounds() {
  // One command may exceed the bound on what waits in a leader.
  const std::uint64_t entry = plan_.payload_bytes_max + 64;
  const std::uint64_t command = std::min<std::uint64_t>(
      log::AppendPipe::kCommandBytesMax + entry, 64 + std::max(plan_.in_flight, 4UL) * entry);
  for (const auto& node : nodes_) {
    const log::Replica* replica = node->node() == nullptr ? nullptr : node->node()->replica();
    if (replica == nullptr || replica->waiting_bytes() <= plan_.waiting_bytes_max + command) {
      continue;
    }
    throw Violation("12", name_of(*node) + " has " + std::to_string(replica->waiting_bytes()) +
                              " bytes of commands waiting");
  }
  scheduler_.after(milliseconds(1), [this] { check_bounds(); });
}

void World::run_to(Time until) {
  while (scheduler_.step(until)) {
    if (scheduler_.events() > kEventsMax) throw Violation("12", "the run does not end");
  }
}

void World::start_client(std::size_t index) {
  if (clients_[index]) return;
  std::vector<Address> addresses;
  for (const auto& [id, address] : cluster_) addresses.push_back(address);
  const std::uint64_t generation = ++clients_made_[index];
  witness_->forget_client(kFirstClient + index);
  clients_[index] = std::make_unique<SimClient>(
      SimClient::Surroundings{plan_, scheduler_, network_, history_, coverage_, trace_, writers_},
      kFirstClient + index, random_.fork(10000 * generation + index).bits(), addresses);
  if (epilogue_) {
    clients_[index]->begin_epilogue();
  } else {
    clients_[index]->start();
  }
}

Verdict World::verdict() const {
  Verdict verdict;
  verdict.trace_hash = trace_.hash();
  verdict.events = scheduler_.events();
  verdict.virtual_time = scheduler_.now();
  verdict.coverage = coverage_;
  return verdict;
}

/// A node that finds a bug in itself ends the run, wherever it is.
template <class Act>
void with_checks(Act act) {
  const CheckScope scope;
  try {
    act();
  } catch (const CheckFailed& failed) {
    throw Violation("check", failed.what());
  }
}

}  // namespace

Verdict run(const Plan& plan, std::ostream* trace) {
  Verdict verdict;
  try {
    std::optional<World> world;
    with_checks([&] { world.emplace(plan, trace); });
    try {
      with_checks([&] { world->run(); });
      verdict = world->verdict();
    } catch (const Violation& violation) {
      verdict = world->verdict();
      verdict.invariant = violation.invariant;
      verdict.what = violation.what();
      if (trace != nullptr)
        *trace << "invariant " << violation.invariant << ": " << violation.what() << '\n';
    }
  } catch (const Violation& violation) {
    verdict.invariant = violation.invariant;
    verdict.what = violation.what();
  }
  return verdict;
}

}  // namespace stele::sim
