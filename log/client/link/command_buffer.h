// Commands of several clients that leave as one message.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "paxos/base/value.h"

namespace stele::log {

/// Buffers that have left are used again: new memory for each would come from the kernel, page by
/// page, and go back there. Loop thread only.
class CommandBuffer {
 public:
  void add(std::span<const std::byte> commands) {
    if (!commands_) commands_ = take_buffer();
    commands_->insert(commands_->end(), commands.begin(), commands.end());
  }
  [[nodiscard]] bool empty() const { return commands_ == nullptr; }
  [[nodiscard]] std::size_t bytes() const { return commands_ ? commands_->size() : 0; }
  /// All of them. Requires that it is not empty.
  [[nodiscard]] Slice all() const { return {commands_, std::span<const std::byte>(*commands_)}; }
  /// They have been given to a link, which may still hold them.
  void on_sent() { sent_.push_back(std::move(commands_)); }

  /// More goes at once, so that the node has something to do meanwhile.
  static constexpr std::size_t kBytesMax = 64 << 10;
  /// Buffers that are kept.
  static constexpr std::size_t kKeptMax = 8;

 private:
  using Buffer = std::shared_ptr<std::vector<std::byte>>;

  Buffer take_buffer() {
    while (sent_.size() > kKeptMax) sent_.pop_front();
    if (sent_.empty() || sent_.front().use_count() != 1) {
      return std::make_shared<std::vector<std::byte>>();
    }
    Buffer buffer = std::move(sent_.front());
    sent_.pop_front();
    buffer->clear();
    return buffer;
  }

  Buffer commands_;
  std::deque<Buffer> sent_;  // In the order in which they have left.
};

}  // namespace stele::log
