#include "tests/sim/world.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "paxos/check.h"
#include "tests/sim/describe.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// So long may a healed cluster take for what its clients still want (invariant 12).
constexpr Duration kLivenessBound = seconds(40);
constexpr Time kStart = seconds(1);
constexpr std::uint64_t kEventsMax = 20'000'000;

milliseconds ms(std::uint64_t count) { return milliseconds(static_cast<std::int64_t>(count)); }
std::chrono::microseconds us(std::uint64_t count) {
  return std::chrono::microseconds(static_cast<std::int64_t>(count));
}

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
  void apply(const Fault& fault);
  void apply_to_node(const Fault& fault, SimNode& node);
  void restart_later(SimNode& node, std::uint64_t after_ms);
  void cut(Host a, Host b, bool both, std::uint64_t for_ms);
  void split(const Fault& fault);
  void on_leader_began(NodeId node);
  void estrange(const Fault& fault, SimNode& node);
  void start_client(std::size_t index);
  void witness(const net::Message& message);
  void check_told(const net::AppendResults& results) const;

  void heal();
  void run_until_content();
  void require_calm();
  void require_convergence();
  void check_end();
  [[nodiscard]] bool healed(const SimNode& node) const {
    return (plan_.healed >> (node.host() - 1) & 1) != 0;
  }
  [[nodiscard]] SimNode& leader();
  [[nodiscard]] Duration clock_time_max() const;
  void check_bounds();
  void run_for(Duration duration) { run_to(scheduler_.now() + duration); }
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
  std::map<NodeId, net::Address> cluster_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::uint64_t> clients_made_;
  bool epilogue_ = false;
  std::set<std::pair<SessionId, Sequence>> told_;
};

World::World(const Plan& plan, std::ostream* trace)
    : plan_(plan),
      directory_(plan.real_files != 0),
      random_(Random(plan.seed).fork(2)),
      trace_(trace),
      network_(scheduler_, random_.fork(1),
               {us(plan.latency_us_min), us(plan.latency_us_max), plan.drop_ppm, plan.duplicate_ppm,
                plan.reorder_ppm, plan.queue_bytes_max},
               coverage_, trace_,
               [this](Host, Host, const net::Message& message) { witness(message); }) {
  std::vector<NodeId> ids;
  for (std::uint64_t id = 1; id <= plan_.nodes; ++id) {
    ids.push_back({id});
    cluster_[{id}] = {sim::name_of(id), static_cast<std::uint16_t>(7000 + id)};
  }
  const auto configuration = paxos::Configuration::make(ids, plan_.q1, plan_.q2);
  if (!configuration) throw Violation("plan", configuration.error().detail);
  if (configuration->q1() != configuration->q2()) coverage_.count(Path::flexible_quorums);
  checker_ = std::make_unique<Checker>(*configuration, plan_.window, coverage_);
  for (NodeId id : ids) {
    nodes_.push_back(std::make_unique<SimNode>(
        SimNode::Surroundings{plan_, scheduler_, network_, *checker_, coverage_, trace_, cluster_,
                              [this](NodeId leader) { on_leader_began(leader); }, directory_.path},
        id, random_.fork(100 + id.value)));
  }
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
  for (const Fault& fault : plan_.faults) {
    scheduler_.at(start + ms(fault.at_ms), [this, &fault] { apply(fault); });
  }
  run_to(start + ms(plan_.horizon_ms));
  heal();
  run_until_content();
  require_calm();
  require_convergence();
  check_end();
}

/// Invariant 12: queues stay within their bounds.
void World::check_bounds() {
  // One command may exceed the bound on what waits in a leader.
  const std::uint64_t entry = plan_.payload_bytes_max + 64;
  const std::uint64_t command = std::min<std::uint64_t>(
      log::ClientCore::kCommandBytesMax + entry, 64 + std::max(plan_.in_flight, 4UL) * entry);
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
  std::vector<net::Address> addresses;
  for (const auto& [id, address] : cluster_) addresses.push_back(address);
  const std::uint64_t generation = ++clients_made_[index];
  clients_[index] = std::make_unique<SimClient>(
      SimClient::Surroundings{plan_, scheduler_, network_, history_, coverage_, trace_, writers_},
      kFirstClient + index, random_.fork(10000 * generation + index).bits(), addresses);
  if (epilogue_) {
    clients_[index]->begin_epilogue();
  } else {
    clients_[index]->start();
  }
}

/// What clients are told, for coverage.
void World::witness(const net::Message& message) {
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    for (const net::AppendResult& result : results->results) {
      switch (result.outcome) {
        case net::Outcome::ok:
          if (!told_.insert({result.session, result.sequence}).second) {
            coverage_.count(Path::duplicates_answered);
          }
          break;
        case net::Outcome::resend: coverage_.count(Path::voids_and_resends); break;
        case net::Outcome::skipped: coverage_.count(Path::skips); break;
        case net::Outcome::session_expired: coverage_.count(Path::sessions_expired); break;
        case net::Outcome::no_space: coverage_.count(Path::refused_no_space); break;
        case net::Outcome::overloaded: coverage_.count(Path::refused_overloaded); break;
        case net::Outcome::shutting_down: coverage_.count(Path::refused_shutting_down); break;
        case net::Outcome::unknown: coverage_.count(Path::told_unknown); break;
        case net::Outcome::not_leader: coverage_.count(Path::told_not_leader); break;
        default: break;
      }
    }
    check_told(*results);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    if (opened->outcome == net::Outcome::ok) coverage_.count(Path::sessions_opened);
  } else if (std::holds_alternative<net::TailEnd>(message)) {
    coverage_.count(Path::tails_ended);
  }
}

/// What is told of a sequence is what the chosen slots made of it.
void World::check_told(const net::AppendResults& results) const {
  using Kind = ModelLog::Fate::Kind;
  for (const net::AppendResult& result : results.results) {
    Kind kind{};
    switch (result.outcome) {
      case net::Outcome::ok: kind = Kind::appended; break;
      case net::Outcome::skipped: kind = Kind::skipped; break;
      case net::Outcome::condition_failed: kind = Kind::condition_failed; break;
      default: continue;
    }
    for (std::uint32_t i = 0; i < result.count; ++i) {
      const Sequence sequence = result.sequence + i;
      const ModelLog::Fate* fate = checker_->log().fate(result.session, sequence);
      // The answer to a close has the sequence that would come next.
      if (fate == nullptr && result.lsn == Lsn{} && result.count == 1) continue;
      const bool right = fate != nullptr && fate->kind == kind &&
                         (kind != Kind::appended || fate->lsn == result.lsn + i);
      if (right) continue;
      throw Violation("9", "of sequence " + std::to_string(sequence.value) + " in session " +
                               std::to_string(result.session.value) +
                               " something else is told than what became of it");
    }
  }
}

// --- Faults ----------------------------------------------------------------------------

SimNode& World::leader() {
  for (auto& node : nodes_) {
    if (node->leads()) return *node;
  }
  return *nodes_.front();
}

void World::restart_later(SimNode& node, std::uint64_t after_ms) {
  scheduler_.after(ms(after_ms), [this, &node] {
    if (!epilogue_ || healed(node)) node.start();
  });
}

void World::cut(Host a, Host b, bool both, std::uint64_t for_ms) {
  if (a == b) return;
  network_.cut(a, b);
  if (both) network_.cut(b, a);
  scheduler_.after(ms(for_ms), [this, a, b, both] {
    if (epilogue_) return;
    network_.heal(a, b);
    if (both) network_.heal(b, a);
  });
}

void World::split(const Fault& fault) {
  const bool bridge = fault.kind == Fault::Kind::bridge;
  coverage_.count(bridge ? Path::bridges : Path::cuts);
  for (std::uint64_t a = 1; a <= plan_.nodes; ++a) {
    for (std::uint64_t b = a + 1; b <= plan_.nodes; ++b) {
      const bool apart = (fault.amount >> (a - 1) & 1) != (fault.amount >> (b - 1) & 1);
      if (bridge && (a == fault.a || b == fault.a)) continue;
      if (apart) cut(a, b, true, fault.ms);
    }
  }
}

/// Strikes a leader while what it proposes has reached some and not all: first some hear it no
/// more, then it is gone for a while.
void World::on_leader_began(NodeId id) {
  if (epilogue_ || !random_.chance(plan_.cursed_percent)) return;
  const std::uint64_t timeout = plan_.election_timeout_ms;
  const Duration soon =
      random_.between(Duration(0), random_.chance(50) ? milliseconds(10) : ms(timeout));
  const std::uint64_t deaf_to_it = random_.bits();
  const std::uint64_t gone_ms = timeout * random_.between(1, 5);
  const Fault::Kind kinds[] = {Fault::Kind::kill, Fault::Kind::power, Fault::Kind::pause,
                               Fault::Kind::isolate};
  const Fault::Kind kind = kinds[random_.below(4)];
  scheduler_.after(soon / 2, [this, id, deaf_to_it, gone_ms] {
    if (epilogue_) return;
    for (std::uint64_t other = 1; other <= plan_.nodes; ++other) {
      if ((deaf_to_it >> other & 1) != 0) cut(id.value, other, false, gone_ms);
    }
  });
  scheduler_.after(soon, [this, fault = Fault{0, kind, id.value, 0, gone_ms, 0}] { apply(fault); });
}

/// Takes a node out of the cluster without its noticing: its clock is slow, and one client stays.
void World::estrange(const Fault& fault, SimNode& node) {
  coverage_.count(Path::one_way_cuts);
  const bool mute = fault.kind == Fault::Kind::mute;
  node.set_clock_rate(mute ? 100 : fault.amount);
  for (auto& other : nodes_) {
    cut(node.host(), other->host(), !mute, fault.ms);
    if (!mute || other->host() == node.host()) continue;
    network_.clog(other->host(), node.host(), ms(fault.amount));
    scheduler_.after(ms(fault.ms), [this, from = other->host(), to = node.host()] {
      network_.clog(from, to, Duration(0));
    });
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (i + 1 != fault.b) cut(node.host(), kFirstClient + i, true, fault.ms);
  }
}

void World::apply(const Fault& fault) {
  if (epilogue_) return;
  using Kind = Fault::Kind;
  trace_.event(scheduler_.now(), 6, static_cast<std::uint64_t>(fault.kind), fault.a, [&] {
    return "--- " + std::string(sim::name_of(fault.kind)) + " " + std::to_string(fault.a) + " " +
           std::to_string(fault.b) + " " + std::to_string(fault.ms) + " " +
           std::to_string(fault.amount);
  });
  switch (fault.kind) {
    case Kind::kill_all:
    case Kind::power_all:
      for (auto& node : nodes_) {
        fault.kind == Kind::kill_all ? node->kill() : node->lose_power();
        restart_later(*node, random_.between(1, fault.ms));
      }
      return;
    case Kind::split:
    case Kind::bridge: return split(fault);
    case Kind::client_crash:
      coverage_.count(Path::client_crashes);
      clients_.at(fault.a - 1).reset();
      scheduler_.after(ms(fault.ms), [this, index = fault.a - 1] { start_client(index); });
      return;
    case Kind::client_cut: return cut(kFirstClient + fault.a - 1, fault.b, true, fault.ms);
    default: break;
  }
  SimNode& node = fault.a == Fault::kLeader ? leader() : *nodes_.at(fault.a - 1);
  apply_to_node(fault, node);
}

void World::apply_to_node(const Fault& fault, SimNode& node) {
  using Kind = Fault::Kind;
  const auto counted = [&](Path path) { coverage_.count(path); };
  switch (fault.kind) {
    case Kind::kill: node.kill(); return restart_later(node, fault.ms);
    case Kind::power: node.lose_power(); return restart_later(node, fault.ms);
    case Kind::stop:
      return node.stop([this, &node, after = fault.ms] { restart_later(node, after); });
    case Kind::pause:
      node.pause();
      scheduler_.after(ms(fault.ms), [&node] { node.resume(); });
      return;
    case Kind::stall: return node.stall_disk(scheduler_.now() + ms(fault.ms));
    case Kind::eio: return node.fail_next_commit();
    case Kind::space:
      node.set_free_bytes(fault.amount);
      scheduler_.after(ms(fault.ms), [&node] { node.set_free_bytes(UINT64_MAX); });
      return;
    case Kind::rot_vote: return node.rot_vote(random_);
    case Kind::rot_chosen: return node.rot_chosen(random_);
    case Kind::rot_promise:
      counted(Path::rotten_promises);
      node.kill();
      node.rot_promise();
      return restart_later(node, fault.ms);
    case Kind::wipe:
      // A cluster in which one directory is lost before all are born is never born.
      for (const auto& any : nodes_) {
        if (!any->born() && !any->outcast()) return;
      }
      node.kill();
      node.wipe();
      return restart_later(node, fault.ms);
    case Kind::rate: counted(Path::clock_rates); return node.set_clock_rate(fault.amount);
    case Kind::jump: counted(Path::clock_jumps); return node.jump_clock(ms(fault.ms));
    case Kind::wall: {
      counted(Path::wall_clock_jumps);
      const auto jump = static_cast<std::int64_t>(fault.ms * 1000);
      return node.jump_wall_clock(fault.amount == 0 ? jump : -jump);
    }
    case Kind::cut:
    case Kind::cut_one_way:
      counted(fault.kind == Kind::cut ? Path::cuts : Path::one_way_cuts);
      return cut(node.host(), fault.b, fault.kind == Kind::cut, fault.ms);
    case Kind::deaf:
    case Kind::mute: return estrange(fault, node);
    case Kind::isolate:
      counted(Path::cuts);
      for (auto& other : nodes_) cut(node.host(), other->host(), true, fault.ms);
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        cut(node.host(), kFirstClient + i, true, fault.ms);
      }
      return;
    case Kind::clog:
      counted(Path::clogs);
      network_.clog(node.host(), fault.b, ms(fault.amount));
      scheduler_.after(ms(fault.ms), [this, from = node.host(), to = fault.b] {
        network_.clog(from, to, Duration(0));
      });
      return;
    case Kind::reset: return network_.reset(node.host(), fault.b);
    default: return;
  }
}

// --- Invariant 12 ----------------------------------------------------------------------

void World::heal() {
  epilogue_ = true;
  // A node that is not born yet waits for all the others, however many a quorum has.
  for (const auto& node : nodes_) {
    if (node->born() || node->outcast()) continue;
    plan_.healed = (std::uint64_t{1} << plan_.nodes) - 1;
    plan_.centre = 0;
  }
  trace_.event(scheduler_.now(), 7, plan_.healed, plan_.centre, [] { return "--- heal"; });
  network_.heal_all();
  network_.be_kind(ms(plan_.election_timeout_ms) / 10);
  bool all = true;
  for (auto& node : nodes_) {
    node->be_kind();
    node->set_clock_rate(1000);
    node->set_free_bytes(UINT64_MAX);
    node->resume();
    if (healed(*node)) {
      node->start();
      continue;
    }
    all = false;
    if (random_.chance(50)) {
      node->kill();
    } else {
      for (auto& other : nodes_) {
        network_.cut(node->host(), other->host());
        network_.cut(other->host(), node->host());
      }
    }
  }
  if (!all) coverage_.count(Path::healed_in_part);
  if (plan_.centre != 0) {
    coverage_.count(Path::healed_as_a_star);
    for (auto& a : nodes_) {
      for (auto& b : nodes_) {
        if (a->host() == plan_.centre || b->host() == plan_.centre || a == b) continue;
        network_.cut(a->host(), b->host());
      }
    }
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i]) {
      clients_[i]->begin_epilogue();
    } else {
      start_client(i);
    }
  }
}

void World::run_until_content() {
  const Time until = scheduler_.now() + kLivenessBound;
  while (scheduler_.now() < until) {
    bool content = true;
    for (const auto& client : clients_) content = content && client && client->content();
    if (content) return;
    run_for(milliseconds(20));
  }
  std::string what = "the healed cluster makes no progress";
  for (const auto& client : clients_) {
    if (!client->content()) what += "; " + client->waits_for();
  }
  throw Violation("12", what);
}

/// A leader that hears q2 is not unseated: after a while nobody campaigns any more.
void World::require_calm() {
  const Duration timeout = ms(plan_.election_timeout_ms);
  run_for(10 * timeout);
  const std::uint64_t before = coverage_.of(Path::elections);
  const std::uint64_t time_before = checker_->log().last().log_time_us;
  const Duration calm = 20 * timeout;
  run_for(calm);
  if (coverage_.of(Path::elections) != before) {
    throw Violation("12", "in a healed cluster leaders are unseated");
  }
  // An idle log has its time all the same, late by one time slot at most.
  const auto passed = us(checker_->log().last().log_time_us - time_before);
  if (passed + 2 * ms(plan_.time_slot_every_ms) + timeout < calm) {
    throw Violation("12", "log time stands still");
  }
}

/// Every healed node learns everything, if it hears the others.
void World::require_convergence() {
  if (plan_.centre != 0) return;
  const Time until = scheduler_.now() + seconds(20);
  while (scheduler_.now() < until) {
    std::set<Slot> ends;
    for (const auto& node : nodes_) {
      if (healed(*node) && !node->outcast()) ends.insert(node->chosen_end());
    }
    if (ends.size() == 1 && *ends.begin() == checker_->log().slot_end()) return;
    run_for(milliseconds(1));
  }
  std::string what = "not all healed nodes learn what is chosen:";
  for (const auto& node : nodes_) {
    if (healed(*node))
      what += " " + name_of(*node) + " " + std::to_string(node->chosen_end().value);
  }
  throw Violation("12", what + " of " + std::to_string(checker_->log().slot_end().value));
}

void World::check_end() {
  // Log time is the leaders' own time, one after the other.
  const auto log_time = us(checker_->log().last().log_time_us);
  if (log_time > clock_time_max()) throw Violation("11", "log time runs ahead of all clocks");
  for (const auto& node : nodes_) {
    if (!node->outcast()) checker_->check_disk(node->id());
  }
  for (const auto& a : nodes_) {
    for (const auto& b : nodes_) {
      if (!a->outcast() && !b->outcast()) checker_->check_equal(a->id(), b->id());
    }
  }
  const auto wrong = test::check(history_, {checker_->log().entries()});
  if (!wrong.empty()) throw Violation("users", wrong.front());
}

/// More time than this cannot have passed by any sequence of leaders' clocks.
Duration World::clock_time_max() const {
  std::uint64_t rate = 1000;
  Duration jumps{0};
  for (const Fault& fault : plan_.faults) {
    const bool changes_rate = fault.kind == Fault::Kind::rate || fault.kind == Fault::Kind::deaf;
    if (changes_rate) rate = std::max(rate, fault.amount);
    if (fault.kind == Fault::Kind::jump) jumps += ms(fault.ms);
  }
  return (scheduler_.now() - kStart) * static_cast<Duration::rep>(rate) / 1000 + jumps;
}

Verdict World::verdict() const {
  Verdict verdict;
  verdict.trace_hash = trace_.hash();
  verdict.events = scheduler_.events();
  verdict.virtual_time = scheduler_.now();
  verdict.coverage = coverage_;
  return verdict;
}

}  // namespace

Verdict run(const Plan& plan, std::ostream* trace) {
  // A node that finds a bug in itself ends the run, wherever it is.
  const CheckHandler before =
      set_check_handler([](const std::string& line) { throw Violation("check", line); });
  Verdict verdict;
  try {
    World world(plan, trace);
    try {
      world.run();
      verdict = world.verdict();
    } catch (const Violation& violation) {
      verdict = world.verdict();
      verdict.invariant = violation.invariant;
      verdict.what = violation.what();
      if (trace != nullptr)
        *trace << "invariant " << violation.invariant << ": " << violation.what() << '\n';
    }
  } catch (const Violation& violation) {
    verdict.invariant = violation.invariant;
    verdict.what = violation.what();
  }
  set_check_handler(before);
  return verdict;
}

}  // namespace stele::sim
