#include "tests/sim/world/faults.h"

#include <algorithm>
#include <string>
#include <utility>

#include "tests/sim/checker/describe.h"

namespace stele::sim {
namespace {

using std::chrono::milliseconds;

}  // namespace

void Faults::schedule() {
  const Time start = world_.scheduler.now();
  for (const Fault& fault : world_.plan.faults) {
    world_.scheduler.at(start + ms(fault.at_ms), [this, &fault] { apply(fault); });
  }
}

void Faults::end(std::uint64_t healed) {
  ended_ = true;
  healed_ = healed;
}

SimNode& Faults::leader() {
  for (auto& node : world_.nodes) {
    if (node->leads()) return *node;
  }
  return *world_.nodes.front();
}

void Faults::restart_later(SimNode& node, std::uint64_t after_ms) {
  world_.scheduler.after(ms(after_ms), [this, &node] {
    if (!ended_ || (healed_ >> (node.host() - 1) & 1) != 0) node.start();
  });
}

void Faults::cut(Host a, Host b, bool both, std::uint64_t for_ms) {
  if (a == b) return;
  world_.network.cut(a, b);
  if (both) world_.network.cut(b, a);
  world_.scheduler.after(ms(for_ms), [this, a, b, both] {
    if (ended_) return;
    world_.network.heal(a, b);
    if (both) world_.network.heal(b, a);
  });
}

/// Cuts a node off from all clients but one.
void Faults::cut_clients(Host node, std::size_t but, std::uint64_t for_ms) {
  for (std::size_t i = 0; i < world_.clients.size(); ++i) {
    if (i != but) cut(node, kFirstClient + i, true, for_ms);
  }
}

void Faults::split(const Fault& fault) {
  const bool bridge = fault.kind == Fault::Kind::bridge;
  world_.coverage.count(bridge ? Path::bridges : Path::splits);
  for (std::uint64_t a = 1; a <= world_.plan.nodes; ++a) {
    for (std::uint64_t b = a + 1; b <= world_.plan.nodes; ++b) {
      const bool apart = (fault.amount >> (a - 1) & 1) != (fault.amount >> (b - 1) & 1);
      if (bridge && (a == fault.a || b == fault.a)) continue;
      if (apart) cut(a, b, true, fault.ms);
    }
  }
}

/// Strikes a leader while what it proposes has reached some and not all: first some hear it no
/// more, then it is gone for a while.
void Faults::on_leader_began(NodeId id) {
  if (ended_ || !random_.chance(world_.plan.cursed_percent)) return;
  const std::uint64_t timeout = world_.plan.election_timeout_ms;
  const Duration soon =
      random_.between(Duration(0), random_.chance(50) ? milliseconds(10) : ms(timeout));
  const std::uint64_t deaf_to_it = random_.bits();
  const std::uint64_t gone_ms = timeout * random_.between(1, 5);
  const Fault::Kind kinds[] = {Fault::Kind::kill, Fault::Kind::power, Fault::Kind::pause,
                               Fault::Kind::isolate};
  const Fault::Kind kind = kinds[random_.below(4)];
  world_.scheduler.after(soon / 2, [this, id, deaf_to_it, gone_ms] {
    if (ended_) return;
    for (std::uint64_t other = 1; other <= world_.plan.nodes; ++other) {
      if ((deaf_to_it >> other & 1) != 0) cut(id.value, other, false, gone_ms);
    }
  });
  world_.scheduler.after(soon,
                         [this, fault = Fault{0, kind, id.value, 0, gone_ms, 0}] { apply(fault); });
}

/// Takes a node out of the cluster without its noticing: its clock is slow, and one client stays.
void Faults::estrange(const Fault& fault, SimNode& node) {
  const bool mute = fault.kind == Fault::Kind::mute;
  world_.coverage.count(mute ? Path::mute_nodes : Path::deaf_nodes);
  node.set_clock_rate(mute ? 100 : fault.amount);
  for (auto& other : world_.nodes) {
    cut(node.host(), other->host(), !mute, fault.ms);
    if (!mute || other->host() == node.host()) continue;
    world_.network.clog(other->host(), node.host(), ms(fault.amount));
    world_.scheduler.after(ms(fault.ms), [this, from = other->host(), to = node.host()] {
      world_.network.clog(from, to, Duration(0));
    });
  }
  cut_clients(node.host(), fault.b - 1, fault.ms);
}

void Faults::apply(const Fault& fault) {
  if (ended_) return;
  using Kind = Fault::Kind;
  world_.trace.event(world_.scheduler.now(), 6, static_cast<std::uint64_t>(fault.kind), fault.a,
                     [&] {
                       return "--- " + std::string(sim::name_of(fault.kind)) + " " +
                              std::to_string(fault.a) + " " + std::to_string(fault.b) + " " +
                              std::to_string(fault.ms) + " " + std::to_string(fault.amount);
                     });
  switch (fault.kind) {
    case Kind::kill_all:
    case Kind::power_all:
      world_.coverage.count(fault.kind == Kind::kill_all ? Path::all_killed
                                                         : Path::all_powered_off);
      for (auto& node : world_.nodes) {
        fault.kind == Kind::kill_all ? node->kill() : node->lose_power();
        restart_later(*node, random_.between(1, fault.ms));
      }
      return;
    case Kind::split:
    case Kind::bridge: return split(fault);
    case Kind::client_crash:
      world_.coverage.count(Path::client_crashes);
      world_.clients.at(fault.a - 1).reset();
      world_.scheduler.after(ms(fault.ms),
                             [this, index = fault.a - 1] { world_.start_client(index); });
      return;
    case Kind::client_cut: {
      world_.coverage.count(Path::client_cuts);
      // Both ways, or only the answers (1) or the questions (2) are held up.
      const Host client = kFirstClient + fault.a - 1;
      const Host node = fault.b == Fault::kLeader ? leader().host() : fault.b;
      if (fault.amount == 1) return cut(node, client, false, fault.ms);
      return cut(client, node, fault.amount == 0, fault.ms);
    }
    default: break;
  }
  SimNode& node = fault.a == Fault::kLeader ? leader() : *world_.nodes.at(fault.a - 1);
  apply_to_node(fault, node);
}

/// How many other nodes know nothing of the node that its copy lacks.
std::size_t Faults::unaware_of(const SimNode& node) const {
  std::size_t unaware = 0;
  for (const auto& any : world_.nodes) {
    if (any->id() == node.id()) continue;
    if (any->outcast() || !any->knows_more(node.id(), *node.copy())) ++unaware;
  }
  return unaware;
}

void Faults::apply_to_node(const Fault& fault, SimNode& node) {
  using Kind = Fault::Kind;
  const auto counted = [&](Path path) { world_.coverage.count(path); };
  switch (fault.kind) {
    case Kind::kill:
    case Kind::power: {
      auto strike = [this, &node, fault] {
        if (ended_) return;
        fault.kind == Kind::kill ? node.kill() : node.lose_power();
        restart_later(node, fault.ms);
      };
      // In the midst of a commit there is most to find in the files.
      const bool waits = world_.plan.real_files != 0 && node.running() && random_.chance(50);
      return waits ? node.within_next_commit(std::move(strike)) : strike();
    }
    case Kind::stop:
      return node.stop([this, &node, after = fault.ms] { restart_later(node, after); });
    case Kind::pause:
      node.pause();
      world_.scheduler.after(ms(fault.ms), [&node] { node.resume(); });
      return;
    case Kind::slow_disk:
      return node.slow_disk(world_.scheduler.now() + ms(fault.ms), fault.amount);
    case Kind::stall: return node.stall_disk(world_.scheduler.now() + ms(fault.ms));
    case Kind::eio: return node.fail_next_commit();
    case Kind::space:
      node.set_free_bytes(fault.amount);
      world_.scheduler.after(ms(fault.ms), [&node] { node.set_free_bytes(UINT64_MAX); });
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
      for (const auto& any : world_.nodes) {
        if (!any->born() && !any->outcast()) return;
      }
      node.kill();
      node.wipe();
      return restart_later(node, fault.ms);
    case Kind::copy: return node.copy_directory();
    case Kind::roll_back:
      if (!node.copy() || node.outcast()) return;
      // Every quorum must have a node that has heard of what the copy lacks: others cannot know.
      if (unaware_of(node) + 1 >= std::min(world_.plan.q1, world_.plan.q2)) return;
      node.kill();
      node.roll_back();
      return restart_later(node, fault.ms);
    case Kind::differ:
      for (const auto& any : world_.nodes) {
        if (!any->born() || !any->running()) return;
      }
      node.kill();
      node.differ();
      return restart_later(node, fault.ms);
    case Kind::rate: counted(Path::clock_rates); return node.set_clock_rate(fault.amount);
    case Kind::jump: counted(Path::clock_jumps); return node.jump_clock(ms(fault.ms));
    case Kind::wall: {
      counted(Path::wall_clock_jumps);
      const auto jump = static_cast<std::int64_t>(fault.ms * 1000);
      return node.jump_wall_clock(fault.amount == 0 ? jump : -jump);
    }
    default: return apply_to_connections(fault, node);
  }
}

void Faults::apply_to_connections(const Fault& fault, SimNode& node) {
  using Kind = Fault::Kind;
  const auto counted = [&](Path path) { world_.coverage.count(path); };
  switch (fault.kind) {
    case Kind::cut:
    case Kind::cut_one_way:
      counted(fault.kind == Kind::cut ? Path::cuts : Path::one_way_cuts);
      return cut(node.host(), fault.b, fault.kind == Kind::cut, fault.ms);
    case Kind::deaf:
    case Kind::mute: return estrange(fault, node);
    case Kind::isolate:
      counted(Path::isolated_nodes);
      for (auto& other : world_.nodes) cut(node.host(), other->host(), true, fault.ms);
      return cut_clients(node.host(), world_.clients.size(), fault.ms);
    case Kind::clog:
      counted(Path::clogs);
      world_.network.clog(node.host(), fault.b, ms(fault.amount));
      world_.scheduler.after(ms(fault.ms), [this, from = node.host(), to = fault.b] {
        world_.network.clog(from, to, Duration(0));
      });
      return;
    case Kind::reset: return world_.network.reset(node.host(), fault.b);
    default: return;
  }
}

}  // namespace stele::sim
