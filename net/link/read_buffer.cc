#include "net/link/read_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace stele::net {
namespace {

/// Below this much room a read is not worth its call.
constexpr std::size_t kRoomMin = 1024;
/// A frame that is that much smaller than its chunk gets a buffer of its own: what is kept of it,
/// perhaps for long, must not keep all that.
constexpr std::size_t kChunkPerFrameMax = 8;

/// Whether nobody else holds the chunk any more, and what they did with it is done: they may have
/// dropped it on another thread. use_count() alone does not wait for that; letting a copy go does.
bool is_only_holder(const std::shared_ptr<std::byte[]>& chunk) {
  if (chunk.use_count() != 1) return false;
  static_cast<void>(std::shared_ptr<std::byte[]>(chunk));
  return true;
}

}  // namespace

std::span<std::byte> ReadBuffer::space() {
  const std::size_t pending = end_ - begin_;
  if (pending == 0 && chunk_) {
    // A buffer made for one large frame goes with it, so that nobody waits for memory while holding
    // what others wait for; any other, if they need the room more than this connection its speed.
    const bool made_for_frame = capacity_ > chunk_bytes_;
    if (made_for_frame || (reserved_ != 0 && memory_->scarce())) {
      drop_chunk();
    } else if (is_only_holder(chunk_)) {
      begin_ = end_ = 0;
    }
  }
  // A busy connection: one read has filled a buffer that was not made for one large frame.
  if (end_ == capacity_ && capacity_ == chunk_bytes_) {
    chunk_bytes_ = std::min(2 * chunk_bytes_, kChunkBytesMax);
  }
  const std::size_t needed = std::max(frame_bytes_, FramePrefix::kBytes);
  const std::size_t room_min = needed > pending ? std::min(needed - pending, kRoomMin) : kRoomMin;
  if (begin_ + needed > capacity_ || capacity_ - end_ < room_min) {
    const std::size_t least = std::max({kChunkBytesMin, needed, pending + room_min});
    const std::size_t good = std::max({chunk_bytes_, needed, pending + kRoomMin});
    if (reserve(good, false)) {
      move_to_chunk(good);
    } else if (reserve(least, true)) {
      move_to_chunk(least);
    } else {
      return {};
    }
  }
  return {chunk_.get() + end_, capacity_ - end_};
}

/// Holds room for a chunk of `bytes`, in place of the present one's.
bool ReadBuffer::reserve(std::size_t bytes, bool needed) {
  if (!memory_ || !bounded_) return true;
  const std::size_t target = bytes > kChunkBytesMin ? bytes : 0;
  if (target > reserved_) {
    const std::size_t more = target - reserved_;
    if (!(needed ? memory_->reserve(more) : memory_->reserve_if_plenty(more))) return false;
  } else {
    memory_->release(reserved_ - target);
  }
  reserved_ = target;
  return true;
}

void ReadBuffer::discard() {
  drop_chunk();
  frame_bytes_ = 0;
}

void ReadBuffer::drop_chunk() {
  chunk_.reset();
  capacity_ = begin_ = end_ = 0;
  if (memory_) memory_->release(std::exchange(reserved_, 0));
}

void ReadBuffer::leave_bound() {
  bounded_ = false;
  if (memory_) memory_->release(std::exchange(reserved_, 0));
}

void ReadBuffer::move_to_chunk(std::size_t bytes) {
  std::shared_ptr<std::byte[]> fresh =
      memory_ ? memory_->pool().take(bytes) : std::shared_ptr<std::byte[]>(new std::byte[bytes]);
  const std::size_t pending = end_ - begin_;
  if (pending != 0) std::memcpy(fresh.get(), chunk_.get() + begin_, pending);
  chunk_ = std::move(fresh);
  capacity_ = bytes;
  begin_ = 0;
  end_ = pending;
}

Result<std::optional<InFrame>> ReadBuffer::next() {
  const std::size_t pending = end_ - begin_;
  if (pending < FramePrefix::kBytes) {
    frame_bytes_ = 0;
    return std::optional<InFrame>();
  }
  const std::byte* at = chunk_.get() + begin_;
  const auto prefix = parse_prefix(
      std::span<const std::byte, FramePrefix::kBytes>(at, FramePrefix::kBytes), frame_bytes_max_);
  if (!prefix) return forward(prefix);
  frame_bytes_ = prefix->frame_bytes();
  if (pending < frame_bytes_) return std::optional<InFrame>();

  InFrame frame{chunk_,
                {at + FramePrefix::kBytes, prefix->header_bytes},
                {at + FramePrefix::kBytes + prefix->header_bytes, prefix->body_bytes}};
  if (header_checksum(frame.header) != prefix->checksum) {
    return fail(Errc::malformed, "a frame's header does not match its checksum");
  }
  if (prefix->body_bytes != 0 && frame_bytes_ * kChunkPerFrameMax <= capacity_) {
    const std::size_t bytes = prefix->header_bytes + prefix->body_bytes;
    std::shared_ptr<std::byte[]> own(new std::byte[bytes]);
    std::memcpy(own.get(), frame.header.data(), bytes);
    frame.header = {own.get(), prefix->header_bytes};
    frame.body = {own.get() + prefix->header_bytes, prefix->body_bytes};
    frame.owner = std::move(own);
  }
  begin_ += frame_bytes_;
  frame_bytes_ = 0;
  return std::optional<InFrame>(std::move(frame));
}

}  // namespace stele::net
