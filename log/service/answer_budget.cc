#include "log/service/answer_budget.h"

#include <algorithm>

#include "paxos/base/check.h"

namespace stele::log {
namespace {

/// Clients that wait for room among the answers of all have their turn so often.
constexpr Duration kAgain = std::chrono::milliseconds(5);

}  // namespace

/// The upper half is for clients for which nothing is queued, a quarter of what is left for each.
/// They need not wait for those that have something.
std::size_t AnswerBudget::room(std::size_t counted_bytes) {
  const bool others_wait = again_ != nullptr && !answering_;
  if (!others_wait && bytes_ < bytes_max_ / 2) return kReadBytesMax;
  const bool has_none = counted_bytes == 0;
  const bool is_first = answering_ || !one_with_none_waits_;
  if (has_none && is_first && bytes_ < bytes_max_) {
    return std::clamp((bytes_max_ - bytes_) / 4, kScarceBytesMax, kReadBytesMax);
  }
  one_with_none_waits_ = one_with_none_waits_ || has_none;
  if (!again_) again_ = loop_.after(kAgain, [this] { answer_waiting(); });
  return 0;
}

void AnswerBudget::on_answer() {
  if (!again_ || answering_ || bytes_ >= bytes_max_ / 2) return;
  again_ = loop_.after({}, [this] { answer_waiting(); });
}

void AnswerBudget::answer_waiting() {
  again_.reset();
  one_with_none_waits_ = false;
  clients_.count_all();
  answering_ = true;
  answered_first_ = clients_.answer_all(answered_first_);
  answering_ = false;
}

void AnswerBudget::count(std::size_t before, std::size_t now) {
  STELE_CHECK(before <= bytes_);
  bytes_ += now - before;
}

void AnswerShare::end_read(std::size_t bytes_max) {
  STELE_CHECK(reading_bytes_ >= read_bytes(bytes_max));
  reading_bytes_ -= read_bytes(bytes_max);
}

void AnswerShare::count(std::size_t queued_bytes) {
  if (closed_) return;
  const std::size_t now = queued_bytes + reading_bytes_;
  budget_.count(counted_bytes_, now);
  counted_bytes_ = now;
}

void AnswerShare::close() {
  closed_ = true;
  budget_.count(counted_bytes_, 0);
  counted_bytes_ = 0;
}

std::size_t AnswerShare::read_bytes(std::size_t bytes_max) const {
  return std::max(bytes_max, entry_bytes_max_);
}

}  // namespace stele::log
