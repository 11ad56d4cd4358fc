#include "net/read_buffer.h"

#include <algorithm>
#include <cstring>

namespace stele::net {
namespace {

/// Below this much room a read is not worth its call.
constexpr std::size_t kRoomMin = 1024;
/// A frame that is that much smaller than its chunk gets a buffer of its own: what is kept of it,
/// perhaps for long, must not keep all that.
constexpr std::size_t kChunkPerFrameMax = 8;

}  // namespace

std::span<std::byte> ReadBuffer::space() {
  const std::size_t pending = end_ - begin_;
  if (pending == 0 && chunk_ && chunk_.use_count() == 1) begin_ = end_ = 0;
  if (end_ == capacity_ && capacity_ != 0) {
    chunk_bytes_ = std::min(2 * chunk_bytes_, kChunkBytesMax);  // A busy connection.
  }
  const std::size_t needed = std::max(frame_bytes_, FramePrefix::kBytes);
  const std::size_t room_min = needed > pending ? std::min(needed - pending, kRoomMin) : kRoomMin;
  if (begin_ + needed > capacity_ || capacity_ - end_ < room_min) {
    move_to_chunk(std::max({chunk_bytes_, needed, pending + kRoomMin}));
  }
  return {chunk_.get() + end_, capacity_ - end_};
}

void ReadBuffer::discard() {
  chunk_.reset();
  capacity_ = begin_ = end_ = frame_bytes_ = 0;
}

void ReadBuffer::move_to_chunk(std::size_t bytes) {
  std::shared_ptr<std::byte[]> fresh(new std::byte[bytes]);
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
  if (!prefix) return tl::unexpected<Error>(prefix.error());
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
