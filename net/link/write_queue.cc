#include "net/link/write_queue.h"

#include <array>
#include <utility>

#include "paxos/base/check.h"

namespace stele::net {
namespace {

/// Buffers of one system call.
constexpr std::size_t kGatherMax = 64;
constexpr std::array<std::byte, 8> kPadding{};

}  // namespace

bool WriteQueue::push(OutFrame frame) {
  const std::size_t bytes = frame.bytes();
  if (queued_bytes_ != 0 && queued_bytes_ + bytes > bytes_max_) {
    refused_ = true;
    return false;
  }
  queued_bytes_ += bytes;
  frames_.push_back(std::move(frame));
  return true;
}

void WriteQueue::clear() {
  frames_.clear();
  queued_bytes_ = written_ = 0;
}

WriteQueue::Buffers WriteQueue::gather() {
  STELE_CHECK(!frames_.empty());
  gathered_.clear();
  for (const OutFrame& frame : frames_) {
    if (gathered_.size() + 2 > kGatherMax) break;
    gather(frame);
  }
  skip(written_);
  return {&gathered_};
}

/// All buffers of a frame; a frame with more parts than one call takes is cut, and goes on from
/// there with the next call.
void WriteQueue::gather(const OutFrame& frame) {
  gathered_.emplace_back(frame.head.data(), frame.head.size());
  for (const Slice& part : frame.body) {
    gathered_.emplace_back(part.bytes.data(), part.bytes.size());
  }
  const std::size_t padding = FramePrefix::padded(frame.body_bytes) - frame.body_bytes;
  if (padding != 0) gathered_.emplace_back(kPadding.data(), padding);
}

/// Leaves out what an earlier call has written of the first frame.
void WriteQueue::skip(std::size_t bytes) {
  std::size_t first = 0;
  while (bytes >= gathered_[first].size() && bytes != 0) bytes -= gathered_[first++].size();
  gathered_[first] += bytes;
  gathered_.erase(gathered_.begin(), gathered_.begin() + static_cast<std::ptrdiff_t>(first));
}

void WriteQueue::on_left(std::size_t bytes) {
  STELE_CHECK(bytes <= queued_bytes());
  left_bytes_ += bytes;
  written_ += bytes;
  while (!frames_.empty() && written_ >= frames_.front().bytes()) {
    written_ -= frames_.front().bytes();
    queued_bytes_ -= frames_.front().bytes();
    frames_.pop_front();
  }
}

bool WriteQueue::take_drained() {
  if (!refused_ || queued_bytes_ >= bytes_max_ / 2) return false;
  refused_ = false;
  return true;
}

}  // namespace stele::net
