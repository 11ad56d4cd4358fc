// Frames that wait to leave over one connection.
#pragma once

#include <asio/buffer.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "net/wire/frame.h"

namespace stele::net {

/// Bounded. Loop thread only.
class WriteQueue {
 public:
  /// A single larger frame passes if nothing else is queued.
  explicit WriteQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// False if there is no room; take_drained() tells when there is again.
  [[nodiscard]] bool push(OutFrame frame);
  void clear();
  [[nodiscard]] bool empty() const { return frames_.empty(); }
  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_ - written_; }
  /// All that has left so far.
  [[nodiscard]] std::uint64_t left_bytes() const { return left_bytes_; }

  /// A view, so that Asio does not copy the vector.
  struct Buffers {
    using value_type = asio::const_buffer;
    using const_iterator = const asio::const_buffer*;
    const std::vector<asio::const_buffer>* buffers;
    [[nodiscard]] const_iterator begin() const { return buffers->data(); }
    [[nodiscard]] const_iterator end() const { return buffers->data() + buffers->size(); }
  };
  /// What is first in the queue, as much as one system call takes. Valid until the next call of it,
  /// or of on_left() or clear(). Requires that the queue is not empty.
  [[nodiscard]] Buffers gather();
  /// So many bytes of those have left.
  void on_left(std::size_t bytes);
  /// True once after a frame found no room, when half of it is free.
  [[nodiscard]] bool take_drained();

 private:
  void gather(const OutFrame& frame);
  void skip(std::size_t bytes);

  std::size_t bytes_max_;
  std::deque<OutFrame> frames_;
  std::size_t queued_bytes_ = 0;  // Of all frames.
  std::size_t written_ = 0;       // Of the first frame.
  std::uint64_t left_bytes_ = 0;
  bool refused_ = false;  // A frame found no room.
  std::vector<asio::const_buffer> gathered_;
};

}  // namespace stele::net
