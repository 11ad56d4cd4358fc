#include "log/store/disk/gathering.h"

#include <algorithm>

#include "log/store/disk/commit_pace.h"
#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// Of a sync's time.
constexpr int kPart = 2;

}  // namespace

void Gathering::on_committed(Time now, Duration sync_cost, std::size_t bytes) {
  committed_bytes_ = bytes;
  if (sync_cost >= CommitPace::kSlowSync)
    until_ = now + std::min<Duration>(sync_cost / kPart, kMax);
}

std::optional<Time> Gathering::begin(Time now, std::size_t bytes) {
  if (now >= until_ || bytes == 0) return std::nullopt;
  if (without_ > 0) {
    --without_;
    return std::nullopt;
  }
  begun_bytes_ = bytes;
  return until_;
}

bool Gathering::complete(std::size_t bytes) const {
  const std::size_t all = begun_bytes_ + committed_bytes_;
  return bytes >= all - all / 8;
}

void Gathering::end(Duration waited, Duration sync_cost, std::size_t bytes) {
  STELE_CHECK(bytes >= begun_bytes_);
  // What shares a commit saves its part of another sync.
  const double shared = 1 - static_cast<double>(begun_bytes_) / (static_cast<double>(bytes) + 1);
  const std::chrono::duration<double> saved = shared * std::chrono::duration<double>(sync_cost);
  if (saved < std::chrono::duration<double>(waited)) without_ = kWithout;
}

}  // namespace stele::log
