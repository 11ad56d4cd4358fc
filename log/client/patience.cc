#include "log/client/patience.h"

#include <algorithm>
#include <utility>

namespace stele::log {
namespace {

/// So much in a queue is an upload under way.
constexpr std::size_t kUploadBytesMin = 16 << 10;
/// A node keeps an idle tail alive once a second.
constexpr Duration kTailSilenceMax = std::chrono::seconds(3);
/// A node is given so many times what its answers have taken of late.
constexpr int kPatience = 4;
/// Of that at most so many attempts' time-outs are believed.
constexpr int kGapTimeouts = 4;
/// It is given so many attempts' time-outs at most.
constexpr int kPatienceTimeouts = 16;
/// A node that says that it leads is given so many times what others are at most.
constexpr double kAllowanceMax = 8;
constexpr Duration kTellAfter = std::chrono::seconds(2);
constexpr Duration kTellEvery = std::chrono::seconds(10);

}  // namespace

void Patience::on_target_left(Time now) {
  restart(now);
  allowance_ = 1;
  asks_whether_it_leads_ = false;
}

void Patience::on_append_progress(Time now) {
  appends_gap_ = std::max(now - appends_since_, appends_gap_ - appends_gap_ / 16);
  // A node that stood still once is not waited for for ever the next time.
  appends_gap_ = std::min<Duration>(appends_gap_, kGapTimeouts * timeout_);
  appends_since_ = now;
  left_silent_ = 0;
}

/// What only lies in the queue for the moment is none: it leaves, whether anybody reads it or not.
void Patience::look_at_upload(const NodeLink* asked, const Owed& owed, Time now) {
  const std::uint64_t left = asked == nullptr ? 0 : asked->left_bytes();
  const bool uploads = target_queued_ >= kUploadBytesMin && left != target_left_;
  if (!owed.appends || uploads) appends_since_ = now;
  if (!owed.tail) tail_since_ = now;
  target_queued_ = asked == nullptr ? 0 : asked->queued_bytes();
  target_left_ = left;
}

bool Patience::look_at_download(const NodeLink* asked, Time now) {
  const std::size_t receiving = asked == nullptr ? 0 : asked->receiving_bytes();
  if (std::exchange(target_receiving_, receiving) == receiving || receiving == 0) return false;
  tail_since_ = now;
  return true;
}

bool Patience::is_silent(NodeLink& target, const Owed& owed, Time now) {
  if (owed.tail && now - tail_since_ >= kTailSilenceMax) return true;
  const double appends = owed.appends ? static_cast<double>((now - appends_since_).count()) /
                                            static_cast<double>(for_appends().count())
                                      : 0;
  const double waited = std::max(appends, owed.reads);
  if (waited >= allowance_) return true;
  if (waited < 0.5) {
    allowance_ = 1;
    asks_whether_it_leads_ = false;
  } else if (waited >= allowance_ / 2 && allowance_ < kAllowanceMax && !asks_whether_it_leads_) {
    asks_whether_it_leads_ = target.send(net::StatusAsk{0});
  }
  return false;
}

/// If several did not answer, more is slow than one of them.
Duration Patience::for_appends() const {
  const Duration patience = std::max(timeout_, kPatience * appends_gap_) * (1 << left_silent_);
  return std::min<Duration>(patience, kPatienceTimeouts * timeout_);
}

void Patience::on_silent(const Owed& owed) {
  if (owed.appends) left_silent_ = std::min(left_silent_ + 1, kLeftSilentMax);
}

bool Patience::take_question() { return std::exchange(asks_whether_it_leads_, false); }

void Patience::on_says_that_it_leads() { allowance_ = std::min(2 * allowance_, kAllowanceMax); }

bool Patience::is_to_be_told(bool appends_wait, bool others_wait, Time now) {
  if (!appends_wait) appends_served_at_ = now;
  if (!others_wait) served_at_ = now;
  if (now - std::min(appends_served_at_, served_at_) < kTellAfter) return false;
  if (told_at_ != Time{} && now - told_at_ < kTellEvery) return false;
  told_at_ = now;
  return true;
}

}  // namespace stele::log
