#include "paxos/leader/read_confirmation.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace stele::paxos {
namespace {

constexpr std::size_t kBeatsMax = 1024;

}  // namespace

bool ReadConfirmation::beat_under_way() const {
  return std::ranges::any_of(waiting_, [](const Waiting& read) { return read.beat != 0; });
}

bool ReadConfirmation::add(std::uint64_t read) {
  const bool under_way = beat_under_way();
  waiting_.push_back({read, 0, {}});
  return !under_way;
}

std::uint64_t ReadConfirmation::start_beat(Time now, Slot barrier) {
  ++beat_;
  started_at_.push_back(now);
  if (started_at_.size() > kBeatsMax) started_at_.pop_front();
  for (Waiting& read : waiting_) {
    if (read.beat != 0) continue;
    read.beat = beat_;
    read.barrier = barrier;
  }
  return beat_;
}

bool ReadConfirmation::on_answer(NodeId node, std::uint64_t beat) {
  if (beat == 0) return false;
  std::uint64_t& last = answered_[node];
  if (beat < last) return false;
  last = beat;
  return true;
}

bool ReadConfirmation::confirm(std::size_t q2, std::vector<Ready>& ready) {
  if (waiting_.empty()) return false;
  std::vector<std::uint64_t> beats;
  for (const auto& [node, beat] : answered_) beats.push_back(beat);
  beats.resize(std::max(beats.size(), q2));  // The others have answered none.
  std::sort(beats.begin(), beats.end(), std::greater<>());
  const std::uint64_t confirmed = beats[q2 - 1];
  for (const Waiting& read : std::exchange(waiting_, {})) {
    if (read.beat != 0 && read.beat <= confirmed) {
      ready.push_back({read.read, read.barrier});
    } else {
      waiting_.push_back(read);
    }
  }
  return !waiting_.empty() && !beat_under_way();
}

void ReadConfirmation::refuse_all(std::vector<std::uint64_t>& refused) {
  for (const Waiting& read : std::exchange(waiting_, {})) refused.push_back(read.read);
}

std::optional<Time> ReadConfirmation::started_at(std::uint64_t beat) const {
  const std::uint64_t age = beat_ - beat;
  if (age >= started_at_.size()) return std::nullopt;
  return started_at_[started_at_.size() - 1 - age];
}

}  // namespace stele::paxos
