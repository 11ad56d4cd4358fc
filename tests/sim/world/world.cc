#include "tests/sim/world/world.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "paxos/base/check.h"
#include "tests/sim/checker/describe.h"
#include "tests/sim/world/faults.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long a healed cluster may take for what its clients still want (invariant 12).
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
  void start_client(std::size_t index);
  void witness(Host from, Host to, const net::Message& message);
  void check_confirmed(Host node, Host client, const net::ReadAnswer& result);
  void check_told(const net::AppendResults& results) const;

  void heal();
  void run_until_content();
  void require_calm();
  void require_convergence();
  void require_whole_logs();
  void require_no_faults();
  void require_outcasts_out();
  void check_end();
  [[nodiscard]] bool healed(const SimNode& node) const {
    return (plan_.healed >> (node.host() - 1) & 1) != 0;
  }
  [[nodiscard]] Duration clock_time_max() const;
  [[nodiscard]] bool all_keep_up() const;
  void require_steady_leaders(std::uint64_t stopped) const;
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
  std::map<NodeId, Address> cluster_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::vector<std::uint64_t> clients_made_;
  bool epilogue_ = false;
  std::unique_ptr<Faults> faults_;
  std::set<std::pair<SessionId, Sequence>> told_;
  /// Linearizable reads that have reached a node, and which ballots were passed by then.
  std::map<std::tuple<Host, Host, std::uint64_t>, Ballot> reads_;  // Node, client, request.
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
                 witness(from, to, message);
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
  heal();
  run_until_content();
  if (is_slow(plan_)) require_steady_leaders(coverage_.of(Path::leaders_stopped) - stopped);
  require_calm();
  require_convergence();
  require_whole_logs();
  require_outcasts_out();
  require_no_faults();
  check_end();
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
  // It counts its requests anew.
  std::erase_if(reads_,
                [&](const auto& read) { return std::get<1>(read.first) == kFirstClient + index; });
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
void World::witness(Host from, Host to, const net::Message& message) {
  if (const auto* results = std::get_if<net::AppendResults>(&message)) {
    for (const CommandResult& result : results->results) {
      switch (result.outcome) {
        case Outcome::ok:
          if (!told_.insert({result.session, result.sequence}).second) {
            coverage_.count(Path::duplicates_answered);
          }
          break;
        case Outcome::resend: coverage_.count(Path::voids_and_resends); break;
        case Outcome::skipped: coverage_.count(Path::skips); break;
        case Outcome::session_expired: coverage_.count(Path::sessions_expired); break;
        case Outcome::no_space: coverage_.count(Path::refused_no_space); break;
        case Outcome::overloaded: coverage_.count(Path::refused_overloaded); break;
        case Outcome::shutting_down: coverage_.count(Path::refused_shutting_down); break;
        case Outcome::unknown: coverage_.count(Path::told_unknown); break;
        case Outcome::not_leader: coverage_.count(Path::told_not_leader); break;
        default: break;
      }
    }
    check_told(*results);
  } else if (const auto* paxos = std::get_if<paxos::Message>(&message)) {
    checker_->on_receive({from}, {to}, *paxos);
  } else if (const auto* opened = std::get_if<net::SessionOpened>(&message)) {
    if (opened->outcome == Outcome::ok) coverage_.count(Path::sessions_opened);
  } else if (const auto* read = std::get_if<net::Read>(&message)) {
    // A read that is asked again may be answered as of the first time. A local read promises
    // nothing.
    const std::tuple key{to, from, read->request};
    if (!read->linearizable) reads_.erase(key);
    if (read->linearizable) reads_.try_emplace(key, checker_->ballot_passed());
  } else if (const auto* result = std::get_if<net::ReadAnswer>(&message)) {
    check_confirmed(from, to, *result);
  } else if (std::holds_alternative<net::TailEnd>(message)) {
    coverage_.count(Path::tails_ended);
  }
}

/// A node that serves a linearizable read has led in a ballot that was not passed yet when the
/// question reached it.
void World::check_confirmed(Host node, Host client, const net::ReadAnswer& result) {
  const auto read = reads_.find({node, client, result.request});
  if (read == reads_.end() || result.outcome != Outcome::ok) return;
  if (checker_->last_ballot_won({node}) >= read->second) return;
  throw Violation("10", sim::name_of(node) +
                            " served a linearizable read, but a quorum had promised " +
                            describe(read->second) + " before it was asked");
}

/// What is told of a sequence is what the chosen slots made of it.
void World::check_told(const net::AppendResults& results) const {
  using Kind = ModelLog::Fate::Kind;
  for (const CommandResult& result : results.results) {
    Kind kind{};
    switch (result.outcome) {
      case Outcome::ok: kind = Kind::appended; break;
      case Outcome::skipped: kind = Kind::skipped; break;
      case Outcome::condition_failed: kind = Kind::condition_failed; break;
      default: continue;
    }
    for (std::uint32_t i = 0; i < result.count; ++i) {
      const Sequence sequence = result.sequence + i;
      const ModelLog::Fate* fate = checker_->log().fate(result.session, sequence);
      // The answer to a close has the first sequence that its client did not know the fate of.
      const bool closes = result.outcome == Outcome::ok && result.lsn == Lsn{};
      if (closes && result.count == 1) continue;
      const bool right = fate != nullptr && fate->kind == kind &&
                         (kind != Kind::appended || fate->lsn == result.lsn + i);
      if (right) continue;
      throw Violation("9", "of sequence " + std::to_string(sequence.value) + " in session " +
                               std::to_string(result.session.value) +
                               " something else is told than what became of it");
    }
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
  faults_->end(plan_.healed);
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
    const Lsn end = checker_->log().last().next_lsn;
    for (const auto& client : clients_) content = content && client->tail_reached(end);
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
  // A node that connects late may have promised a higher ballot, which the leader passes once.
  run_for(std::max<Duration>(10 * timeout, seconds(3)));
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

/// Every healed node learns everything, if it hears any others that do.
void World::require_convergence() {
  // Values may come one by one, over another node: the last one is waited for while it goes on.
  Time until = scheduler_.now() + seconds(20);
  Slot last;
  while (scheduler_.now() < until) {
    std::set<Slot> ends;
    for (const auto& node : nodes_) {
      if (healed(*node) && !node->outcast()) ends.insert(node->chosen_end());
    }
    if (ends.size() == 1 && *ends.begin() == checker_->log().slot_end()) return;
    if (std::exchange(last, *ends.begin()) != *ends.begin()) until = scheduler_.now() + seconds(20);
    run_for(milliseconds(1));
  }
  std::string what = "not all healed nodes learn what is chosen:";
  for (const auto& node : nodes_) {
    if (healed(*node))
      what += " " + name_of(*node) + " " + std::to_string(node->chosen_end().value);
  }
  throw Violation("12", what + " of " + std::to_string(checker_->log().slot_end().value));
}

/// Every healed node serves the whole log: rotten records are repaired.
void World::require_whole_logs() {
  for (const auto& node : nodes_) {
    if (!healed(*node) || node->outcast()) continue;
    const Time until = scheduler_.now() + seconds(20);
    clients_.front()->scan(node->id(), Lsn{1}, checker_->log().last().next_lsn);
    while (clients_.front()->scanning()) {
      if (scheduler_.now() >= until) {
        throw Violation("12", name_of(*node) + " does not serve the whole log");
      }
      run_for(milliseconds(5));
    }
  }
}

/// A node that has forgotten what it told, or has another state than a majority, takes no part.
void World::require_outcasts_out() {
  const Time until = scheduler_.now() + seconds(20);
  while (true) {
    std::string what;
    for (const auto& node : nodes_) {
      if (!node->outcast() || node->node() == nullptr || !healed(*node)) continue;
      bool heard = false;
      for (const auto& other : nodes_) {
        if (other->outcast() || other->node() == nullptr || !healed(*other)) continue;
        heard = heard || other->node()->connected(node->id());
      }
      // One that differs is still talked to.
      if (heard && node->node()->halted().empty()) what = name_of(*node) + " is listened to";
    }
    if (what.empty()) return;
    if (scheduler_.now() >= until) throw Violation("3", what + ", and must not be");
    run_for(milliseconds(20));
  }
}

/// What was wrong and is repaired is not told any more.
void World::require_no_faults() {
  for (const auto& node : nodes_) {
    if (node->outcast() || !healed(*node) || node->node() == nullptr || !node->sound()) continue;
    const Time until = scheduler_.now() + seconds(20);
    while (true) {
      const std::string fault = node->node()->status().fault;
      // In a star a node hears few others: then it tells of a node that refuses it, though that one
      // is at fault, or that it hears no leader.
      const bool others =
          plan_.centre != 0 && (fault.starts_with("node ") || fault.starts_with("hears no leader"));
      const bool slow = plan_.slow_disks != 0 && fault.starts_with("the disk answered");
      if (fault.empty() || others || slow) break;
      if (scheduler_.now() >= until) {
        throw Violation("12", name_of(*node) + " is sound and says: " + fault);
      }
      run_for(milliseconds(20));
    }
  }
}

void World::check_end() {
  // Log time is the leaders' own time, one after the other.
  const auto log_time = us(checker_->log().last().log_time_us);
  if (log_time > clock_time_max()) throw Violation("11", "log time runs ahead of all clocks");
  for (const auto& node : nodes_) {
    if (plan_.real_files != 0) node->check_files();
    if (!node->outcast()) checker_->check_disk(node->id());
    const log::Replica* replica = node->node() == nullptr ? nullptr : node->node()->replica();
    if (healed(*node) && replica != nullptr && !replica->proposer().leads() &&
        replica->reads_waiting() != 0) {
      throw Violation("12", name_of(*node) + " does not lead, and " +
                                std::to_string(replica->reads_waiting()) + " reads wait there");
    }
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
