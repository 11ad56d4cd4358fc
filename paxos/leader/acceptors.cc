#include "paxos/leader/acceptors.h"

#include <algorithm>
#include <utility>

#include "paxos/base/check.h"
#include "paxos/leader/disk_watch.h"

namespace stele::paxos {
namespace {

/// An acceptor that does not answer is sent things again after longer and longer times: twice as
/// long each time, so often.
constexpr int kResentMax = 3;
/// It is given so many times what its answers have taken of late.
constexpr int kPatience = 3;
/// More for the own disk: only one that stands still is a reason to give up.
constexpr int kOwnPatience = 5;

}  // namespace

void Acceptors::reset() {
  known_.clear();
  for (NodeId node : configuration_.members()) known_[node];
}

void Acceptors::begin_leading(Time now) {
  STELE_CHECK(known_.size() == configuration_.members().size());
  for (auto& [node, acceptor] : known_) acceptor.heard_at = acceptor.disk_at = now;
}

// --- What comes ------------------------------------------------------------------------

void Acceptors::on_ack(Time now, NodeId node, const HeartbeatAck& ack,
                       std::optional<Time> sent_at) {
  on_disk_answer(now, node);
  Acceptor& acceptor = known_[node];
  acceptor.chosen_end = std::max(acceptor.chosen_end, ack.chosen_end);
  acceptor.no_space = ack.no_space;
  acceptor.no_upkeep = ack.no_upkeep;
  acceptor.space_told_at = now;
  if (!sent_at) return;
  // What it was is forgotten within a few time-outs, however often there are answers.
  const auto timeout = static_cast<double>(timeout_.count());
  const auto passed = static_cast<double>((now - std::exchange(acceptor.delay_at, now)).count());
  const double kept = static_cast<double>(acceptor.delay.count()) * timeout / (timeout + passed);
  acceptor.delay = std::max(Duration(static_cast<Duration::rep>(kept)), now - *sent_at);
}

void Acceptors::on_full(Time now, NodeId node) {
  STELE_CHECK(contains(node));
  known_[node].no_space = true;
  known_[node].space_told_at = now;
}

std::size_t Acceptors::on_refused(NodeId node) {
  STELE_CHECK(contains(node));
  known_[node].nacked = true;
  const auto refused =
      std::ranges::count_if(known_, [](const auto& known) { return known.second.nacked; });
  return static_cast<std::size_t>(refused);
}

void Acceptors::on_connected(Time now, NodeId node) {
  known_.at(node).prepared_at = {};
  known_.at(node).owed_since = now;
}

bool Acceptors::may_prepare(Time now, NodeId node) const {
  const Time at = known_.at(node).prepared_at;
  return at == Time{} || now - at >= timeout_ / 4;
}

// --- Who lives -------------------------------------------------------------------------

bool Acceptors::answers(Time now, NodeId node, Duration slots_take) const {
  return node == self_ ? !own_disk_stalls(now, slots_take) : heard_within(now, node, timeout_);
}

bool Acceptors::hears_quorum(Time now, Duration slots_take) const {
  const auto heard = std::ranges::count_if(
      known_, [&](const auto& known) { return answers(now, known.first, slots_take); });
  return static_cast<std::size_t>(heard) >= configuration_.q2();
}

bool Acceptors::own_disk_stalls(Time now, Duration slots_take) const {
  const Acceptor& own = known_.at(self_);
  // What a slow disk is given at once may take as long as slots may.
  const Duration longest = std::max({timeout_, kOwnPatience * own.delay, slots_take});
  if (now - own.disk_at < longest) return false;
  const auto ahead = std::ranges::count_if(known_, [&](const auto& known) {
    return known.second.disk_at - own.disk_at >= timeout_ / 2;
  });
  return static_cast<std::size_t>(ahead) >= configuration_.q2();
}

/// How long an answer of it may take: its disk may have much to do.
Duration Acceptors::patience(const Acceptor& acceptor) const {
  return std::max<Duration>(timeout_ / 2, kPatience * acceptor.delay);
}

// --- Disks -----------------------------------------------------------------------------

Acceptors::Room Acceptors::room(Time now, Duration slots_take) const {
  return room(now, slots_take, &Acceptor::no_space);
}

Acceptors::Room Acceptors::room_for_upkeep(Time now, Duration slots_take) const {
  return room(now, slots_take, &Acceptor::no_upkeep);
}

/// `lacks`: what an acceptor says if it has none.
Acceptors::Room Acceptors::room(Time now, Duration slots_take, bool Acceptor::*lacks) const {
  if (with_space(now, false, slots_take, lacks) >= configuration_.q2()) return Room::enough;
  std::size_t without = 0;
  for (const auto& [node, acceptor] : known_) {
    const Duration fresh = std::max(timeout_, patience(acceptor));
    if (acceptor.*lacks && now - acceptor.space_told_at < fresh) ++without;
  }
  // A silent node need not have a full disk.
  return known_.size() - without < configuration_.q2() ? Room::none : Room::unknown;
}

bool Acceptors::anybody_full() const {
  return std::ranges::any_of(known_, [](const auto& known) { return known.second.no_space; });
}

bool Acceptors::others_have_space(Time now) const {
  return with_space(now, true, {}, &Acceptor::no_space) >= configuration_.q2();
}

/// One that has not been asked yet in this ballot counts as one that has room.
std::size_t Acceptors::with_space(Time now, bool others_only, Duration slots_take,
                                  bool Acceptor::*lacks) const {
  std::size_t count = 0;
  for (const auto& [node, acceptor] : known_) {
    if (others_only && node == self_) continue;
    if (!(acceptor.*lacks) && answers(now, node, slots_take)) ++count;
  }
  return count;
}

std::vector<Duration> Acceptors::other_delays(Time now) const {
  std::vector<Duration> delays;
  for (const auto& [node, acceptor] : known_) {
    const bool known = now - acceptor.disk_at < timeout_;
    if (node != self_ && known && !acceptor.no_space) delays.push_back(acceptor.delay);
  }
  return delays;
}

// --- What they have got ----------------------------------------------------------------

bool Acceptors::any_above(Time now, Slot chosen_end) const {
  return std::ranges::any_of(known_, [&](const auto& known) {
    return now - known.second.disk_at < timeout_ && known.second.chosen_end > chosen_end;
  });
}

std::optional<NodeId> Acceptors::best_to_lead(Time now, bool quicker) const {
  std::optional<NodeId> target;
  for (const auto& [node, acceptor] : known_) {
    const Duration fresh = std::max(timeout_, patience(acceptor));
    const bool answered = acceptor.space_told_at != Time{};  // In this ballot.
    if (node == self_ || !answered || now - acceptor.disk_at >= fresh) continue;
    if (quicker && !DiskWatch::quicker(acceptor.delay, own_delay())) continue;
    if (target) {
      const Acceptor& best = known_.at(*target);
      const bool better =
          (best.no_space && !acceptor.no_space) ||
          (best.no_space == acceptor.no_space && acceptor.chosen_end > best.chosen_end);
      if (!better) continue;
    }
    target = node;
  }
  return target;
}

void Acceptors::set_progress(NodeId node, Progress progress) {
  const auto found = known_.find(node);
  if (found == known_.end()) return;
  Acceptor& acceptor = found->second;
  if (std::exchange(acceptor.sent_more, false)) acceptor.sent_end = progress.sent;
  acceptor.on_the_way = progress.arrived < acceptor.sent_end;
}

// What is on its way arrives, or its connection ends (on_connected). Beyond that an acceptor drops
// what its disk does not keep up with, and a link what its queue has no room for. So an acceptor is
// sent what it owes again also if it votes for later slots. A vote is idempotent.
bool Acceptors::is_to_be_sent_again(Time now, NodeId node, std::optional<Slot> owed, Slot next) {
  Acceptor& acceptor = known_.at(node);
  if (!owed || *owed != acceptor.owed) {
    acceptor.owed = owed.value_or(next);
    acceptor.owed_since = now;
    acceptor.resent = 0;
    return false;
  }
  if (acceptor.on_the_way) {
    acceptor.owed_since = now;
    return false;
  }
  if (now - acceptor.owed_since < patience(acceptor) * (1 << acceptor.resent)) return false;
  acceptor.owed_since = now;
  acceptor.resent = std::min(acceptor.resent + 1, kResentMax);
  return true;
}

}  // namespace stele::paxos
