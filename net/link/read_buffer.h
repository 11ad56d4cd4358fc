// Cuts a stream of bytes into frames, which stay in the buffer into which they were read.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "net/link/receive_memory.h"
#include "net/wire/frame.h"

namespace stele::net {

/// Read into space(), say how much with filled(), take frames with next(). A frame keeps its buffer
/// alive; the buffer is used again once no frame does. One small buffer at first, larger ones for a
/// busy connection, and what it takes for a large frame.
class ReadBuffer {
 public:
  ReadBuffer() = default;
  /// What is larger than the first buffer comes from `memory`, within its bound.
  explicit ReadBuffer(std::shared_ptr<ReceiveMemory> memory) : memory_(std::move(memory)) {}
  ~ReadBuffer() { discard(); }
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  /// Empty if a frame has begun to arrive for which there is no memory now: wait for the memory,
  /// and ask again. Otherwise at least one byte, valid until the next call of any other function.
  [[nodiscard]] std::span<std::byte> space();
  void filled(std::size_t bytes) { end_ += bytes; }

  /// The next whole frame, nothing if it has not arrived. Errors: malformed; the stream is then
  /// dead.
  [[nodiscard]] Result<std::optional<InFrame>> next();

  /// Drops everything: what was read and what is to come is for nobody.
  void discard();

  /// Applies to all frames that next() has not given out yet.
  void set_frame_bytes_max(std::size_t bytes) { frame_bytes_max_ = bytes; }
  /// From here on it takes memory without a bound, but for that on one frame.
  void leave_bound();
  /// A frame has begun to arrive.
  [[nodiscard]] bool within_frame() const { return begin_ != end_; }
  /// Holds memory that others may wait for, for a frame that has begun to arrive.
  [[nodiscard]] bool holds_memory() const { return reserved_ != 0 && begin_ != end_; }

  /// The size of the frame that has begun to arrive; 0 as long as it is not known.
  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }

  static constexpr std::size_t kChunkBytesMin = 4 << 10;
  static constexpr std::size_t kChunkBytesMax = 256 << 10;

 private:
  [[nodiscard]] bool reserve(std::size_t bytes, bool needed);
  void move_to_chunk(std::size_t bytes);
  void drop_chunk();

  std::shared_ptr<ReceiveMemory> memory_;
  bool bounded_ = true;
  std::size_t reserved_ = 0;  // Bytes of the memory's bound that it holds.
  std::shared_ptr<std::byte[]> chunk_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;  // Where the first frame that is not taken begins; a multiple of 8.
  std::size_t end_ = 0;
  std::size_t chunk_bytes_ = kChunkBytesMin;
  std::size_t frame_bytes_ = 0;  // Of the frame that has begun to arrive, if known.
  std::size_t frame_bytes_max_ = kHelloBytesMax;
};

}  // namespace stele::net
