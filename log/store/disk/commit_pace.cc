#include "log/store/disk/commit_pace.h"

#include <algorithm>

#include "log/store/files/journal_record.h"

namespace stele::log {
namespace {

/// So much of its weight an overlap keeps with each later one.
constexpr double kKept = 0.9;
/// What overlaps must add up to before they say something, in times of what a commit takes for
/// itself.
constexpr double kOverlapMin = 1;
/// So many commits overlap where they usually do not, to show whether they do now.
constexpr int kTried = 4;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void CommitPace::on_begun(Time now, std::size_t bytes) {
  Commit commit{now, bytes};
  for (const Commit& other : commits_) {
    if (other.synced) continue;
    commit.alone = false;
    commit.ahead_bytes += other.bytes;
  }
  begun_at_ = now;
  commits_.push_back(commit);
}

void CommitPace::on_synced(Time now, std::size_t index) {
  commits_[index].synced = true;
  commits_[index].synced_at = now;
}

void CommitPace::drop(std::size_t count) {
  for (; count > 0; --count) {
    add(commits_.front());
    ended_at_ = std::max(ended_at_, commits_.front().synced_at);
    commits_.pop_front();
  }
}

void CommitPace::add(const Commit& commit) {
  const Duration took = commit.synced_at - commit.begun;
  if (commit.alone) {
    cost_.add(commit.bytes, took);
    if (!one_after_the_other_) looked_at_ = commit.synced_at;
    return;
  }
  // What was measured of overlaps is too old.
  if (one_after_the_other_ && tried_ == 0) waited_s_ = overlap_s_ = 0;
  // Bytes go to the disk one after the other, whatever its syncs do. If the syncs do so too, a
  // commit ends a sync and its own bytes after the one before. If they overlap, it ends as if that
  // had not been there. After a stall it ends at once.
  const Duration alone = cost() + cost_.of_bytes(commit.ahead_bytes + commit.bytes);
  const double overlap = seconds(ended_at_ - commit.begun - cost_.of_bytes(commit.ahead_bytes));
  const double gap = seconds(commit.synced_at - ended_at_);
  const double beside = std::max(0.0, seconds(commit.begun + alone - ended_at_));
  const double after = seconds(cost() + cost_.of_bytes(commit.bytes));
  if (overlap > 0 && after > beside) {
    const double weight = std::min(overlap, after);
    overlap_s_ = kKept * overlap_s_ + weight;
    waited_s_ =
        kKept * waited_s_ + weight * std::clamp((gap - beside) / (after - beside), 0.0, 1.0);
  }
  if (one_after_the_other_ && ++tried_ < kTried) return;
  tried_ = 0;
  if (one_after_the_other_) looked_at_ = commit.synced_at;
  if (overlap_s_ < kOverlapMin * seconds(cost())) return;
  one_after_the_other_ = waited_s_ > overlap_s_ / 2;
}

bool CommitPace::looks(Time now, std::size_t bytes) const {
  if (!one_after_the_other_ && cost_.of_bytes(bytes) > kLookBytesCosts * cost()) return false;
  return now - looked_at_ >= std::max<Duration>(kLookAgain, kLookAgainCosts * cost());
}

bool CommitPace::may_begin(Time now, std::size_t bytes) const {
  const auto under_way = static_cast<std::size_t>(
      std::ranges::count_if(commits_, [](const Commit& commit) { return !commit.synced; }));
  if (under_way == 0) return commits_.size() < kUnsyncedMax;
  if (under_way >= kSeveral || commits_.size() >= kUnsyncedMax || cost() < kSlowSync) return false;
  return looks(now, bytes) == one_after_the_other_ && now >= next_begin();
}

}  // namespace stele::log
