#include "log/commit_pace.h"

#include <algorithm>

#include "log/journal_record.h"

namespace stele::log {
namespace {

/// So much of its weight an overlap keeps with each later one.
constexpr double kKept = 0.9;
/// What overlaps must add up to before they say something, in times of what a commit takes for
/// itself.
constexpr double kOverlapMin = 0.5;
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
  // The bytes of a disk have one way, whatever its syncs do.
  const Duration alone = cost() + cost_.of_bytes(commit.ahead_bytes + commit.bytes);
  const Duration overlap = ended_at_ - commit.begun - cost_.of_bytes(commit.ahead_bytes);
  if (one_after_the_other_ && tried_ == 0) more_s_ = overlap_s_ = 0;  // What was is long ago.
  more_s_ = kKept * more_s_ + std::max(0.0, seconds(took - alone));
  overlap_s_ = kKept * overlap_s_ + std::max(0.0, seconds(overlap));
  if (one_after_the_other_ && ++tried_ == kTried) {
    tried_ = 0;
    looked_at_ = commit.synced_at;
  }
  if (overlap_s_ < kOverlapMin * seconds(cost())) return;
  one_after_the_other_ = more_s_ > overlap_s_ / 2;
}

bool CommitPace::may_begin(Time now) const {
  const auto under_way = static_cast<std::size_t>(
      std::ranges::count_if(commits_, [](const Commit& commit) { return !commit.synced; }));
  if (under_way == 0) return commits_.size() < kUnsyncedMax;
  if (under_way >= kSeveral || commits_.size() >= kUnsyncedMax || cost() < kSlowSync) return false;
  const bool looks = now - looked_at_ >= kLookAgain;
  return looks == one_after_the_other_ && now >= next_begin();
}

}  // namespace stele::log
