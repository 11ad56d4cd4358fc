#include "tests/sim/world/epilogue.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/checker/violation.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long a healed cluster may take for what its clients still want.
constexpr Duration kLivenessBound = seconds(40);

std::string name_of(const SimNode& node) { return sim::name_of(node.host()); }

}  // namespace

void Epilogue::heal() {
  // A node that is not born yet waits for all the others, however many a quorum has.
  for (const auto& node : world_.nodes) {
    if (node->born() || node->outcast()) continue;
    world_.plan.healed = (std::uint64_t{1} << world_.plan.nodes) - 1;
    world_.plan.centre = 0;
  }
  world_.faults.end(world_.plan.healed);
  world_.trace.event(world_.scheduler.now(), 7, world_.plan.healed, world_.plan.centre,
                     [] { return "--- heal"; });
  world_.network.heal_all();
  world_.network.be_kind(ms(world_.plan.election_timeout_ms) / 10);
  bool all = true;
  for (auto& node : world_.nodes) {
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
      for (auto& other : world_.nodes) {
        world_.network.cut(node->host(), other->host());
        world_.network.cut(other->host(), node->host());
      }
    }
  }
  if (!all) world_.coverage.count(Path::healed_in_part);
  if (world_.plan.centre != 0) make_star();
  for (std::size_t i = 0; i < world_.clients.size(); ++i) {
    if (world_.clients[i]) {
      world_.clients[i]->begin_epilogue();
    } else {
      world_.start_client(i);
    }
  }
}

/// All nodes hear the one in the centre, and nobody else.
void Epilogue::make_star() {
  world_.coverage.count(Path::healed_as_a_star);
  for (auto& a : world_.nodes) {
    for (auto& b : world_.nodes) {
      if (a->host() == world_.plan.centre || b->host() == world_.plan.centre || a == b) continue;
      world_.network.cut(a->host(), b->host());
    }
  }
}

void Epilogue::run_until_content() {
  const Time until = world_.scheduler.now() + kLivenessBound;
  while (world_.scheduler.now() < until) {
    bool content = true;
    for (const auto& client : world_.clients) content = content && client && client->content();
    const Lsn end = world_.checker.log().last().next_lsn;
    for (const auto& client : world_.clients) content = content && client->tail_reached(end);
    if (content) return;
    run_for(milliseconds(20));
  }
  std::string what = "the healed cluster makes no progress";
  for (const auto& client : world_.clients) {
    if (!client->content()) what += "; " + client->waits_for();
  }
  throw Violation("12", what);
}

/// A leader that hears q2 is not unseated: after a while nobody campaigns any more.
void Epilogue::require_calm() {
  const Duration timeout = ms(world_.plan.election_timeout_ms);
  // A node that connects late may have promised a higher ballot, which the leader passes once.
  run_for(std::max<Duration>(10 * timeout, seconds(3)));
  const std::uint64_t before = world_.coverage.of(Path::elections);
  const std::uint64_t time_before = world_.checker.log().last().log_time_us;
  const Duration calm = 20 * timeout;
  run_for(calm);
  if (world_.coverage.of(Path::elections) != before) {
    throw Violation("12", "in a healed cluster leaders are unseated");
  }
  // An idle log has its time all the same, late by one time slot at most.
  const auto passed = us(world_.checker.log().last().log_time_us - time_before);
  if (passed + 2 * ms(world_.plan.time_slot_every_ms) + timeout < calm) {
    throw Violation("12", "log time stands still");
  }
}

/// Every healed node learns everything, if it hears any others that do.
void Epilogue::require_convergence() {
  // Values may come one by one, over another node: the last one is waited for while it goes on.
  Time until = world_.scheduler.now() + seconds(20);
  Slot last;
  while (world_.scheduler.now() < until) {
    std::set<Slot> ends;
    for (const auto& node : world_.nodes) {
      if (healed(*node) && !node->outcast()) ends.insert(node->chosen_end());
    }
    if (ends.size() == 1 && *ends.begin() == world_.checker.log().slot_end()) return;
    if (std::exchange(last, *ends.begin()) != *ends.begin())
      until = world_.scheduler.now() + seconds(20);
    run_for(milliseconds(1));
  }
  std::string what = "not all healed nodes learn what is chosen:";
  for (const auto& node : world_.nodes) {
    if (healed(*node))
      what += " " + name_of(*node) + " " + std::to_string(node->chosen_end().value);
  }
  throw Violation("12", what + " of " + std::to_string(world_.checker.log().slot_end().value));
}

/// Every healed node serves the whole log: rotten records are repaired.
void Epilogue::require_whole_logs() {
  for (const auto& node : world_.nodes) {
    if (!healed(*node) || node->outcast()) continue;
    const Time until = world_.scheduler.now() + seconds(20);
    world_.clients.front()->scan(node->id(), world_.checker.log().last().first_lsn,
                                 world_.checker.log().last().next_lsn);
    while (world_.clients.front()->scanning()) {
      if (world_.scheduler.now() >= until) {
        throw Violation("12", name_of(*node) + " does not serve the whole log");
      }
      run_for(milliseconds(5));
    }
  }
}

/// A node that has forgotten what it told, or has another state than a majority, takes no part.
void Epilogue::require_outcasts_out() {
  const Time until = world_.scheduler.now() + seconds(20);
  while (true) {
    std::string what;
    for (const auto& node : world_.nodes) {
      if (!node->outcast() || node->node() == nullptr || !healed(*node)) continue;
      bool heard = false;
      for (const auto& other : world_.nodes) {
        if (other->outcast() || other->node() == nullptr || !healed(*other)) continue;
        heard = heard || other->node()->connected(node->id());
      }
      // One that differs is still talked to.
      if (heard && node->node()->halted().empty()) what = name_of(*node) + " is listened to";
    }
    if (what.empty()) return;
    if (world_.scheduler.now() >= until) throw Violation("3", what + ", and must not be");
    run_for(milliseconds(20));
  }
}

/// What was wrong and is repaired is not told any more.
void Epilogue::require_no_faults() {
  for (const auto& node : world_.nodes) {
    if (node->outcast() || !healed(*node) || node->node() == nullptr || !node->sound()) continue;
    const Time until = world_.scheduler.now() + seconds(20);
    while (true) {
      const std::string fault = node->node()->status().fault;
      // In a star a node hears few others: then it tells of a node that refuses it, though that one
      // is at fault, or that it hears no leader.
      const bool others = world_.plan.centre != 0 &&
                          (fault.starts_with("node ") || fault.starts_with("hears no leader"));
      const bool slow = world_.plan.slow_disks != 0 && fault.starts_with("the disk answered");
      if (fault.empty() || others || slow) break;
      if (world_.scheduler.now() >= until) {
        throw Violation("12", name_of(*node) + " is sound and says: " + fault);
      }
      run_for(milliseconds(20));
    }
  }
}

void Epilogue::check_end(Time start) {
  // Log time is the leaders' own time, one after the other.
  const auto log_time = us(world_.checker.log().last().log_time_us);
  if (log_time > clock_time_max(start)) throw Violation("11", "log time runs ahead of all clocks");
  for (const auto& node : world_.nodes) {
    if (world_.plan.real_files != 0) node->check_files();
    if (!node->outcast()) world_.checker.check_disk(node->id());
    const log::Replica* replica = node->node() == nullptr ? nullptr : node->node()->replica();
    if (healed(*node) && replica != nullptr && !replica->proposer().leads() &&
        replica->reads_waiting() != 0) {
      throw Violation("12", name_of(*node) + " does not lead, and " +
                                std::to_string(replica->reads_waiting()) + " reads wait there");
    }
  }
  for (const auto& a : world_.nodes) {
    for (const auto& b : world_.nodes) {
      if (!a->outcast() && !b->outcast()) world_.checker.check_equal(a->id(), b->id());
    }
  }
  const auto wrong = test::check(world_.history, {world_.checker.log().entries()});
  if (!wrong.empty()) throw Violation("users", wrong.front());
  for (const test::Trimmed& told : world_.history.trimmed) {
    if (told.from < told.first && told.first <= world_.checker.log().last().first_lsn.value)
      continue;
    throw Violation("14", "a reader was told that LSN " + std::to_string(told.from) +
                              " is trimmed, and that the log begins at " +
                              std::to_string(told.first));
  }
}

/// More time than this cannot have passed by any sequence of leaders' clocks.
Duration Epilogue::clock_time_max(Time start) const {
  std::uint64_t rate = 1000;
  Duration jumps{0};
  for (const Fault& fault : world_.plan.faults) {
    const bool changes_rate = fault.kind == Fault::Kind::rate || fault.kind == Fault::Kind::deaf;
    if (changes_rate) rate = std::max(rate, fault.amount);
    if (fault.kind == Fault::Kind::jump) jumps += ms(fault.ms);
  }
  return (world_.scheduler.now() - start) * static_cast<Duration::rep>(rate) / 1000 + jumps;
}

}  // namespace stele::sim
