// Finds a peer that stops in the midst of a frame.
#pragma once

#include <chrono>
#include <cstddef>

namespace stele::net {

/// A peer that stops in the midst of a frame must not keep the memory that others wait for, nor
/// take for ever. One that waits for memory itself is not read from, and has not stopped. Pure.
class FrameWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// `timeout`: of silence.
  explicit FrameWatch(std::chrono::nanoseconds timeout) : timeout_(timeout) {}

  /// The peer is read from again; `holds`: it holds memory for a frame that has begun to arrive.
  void on_read(bool holds, Time now) {
    if (holds) heard_at_ = now;
    if (holds && !holds_) began_at_ = now;
    holds_ = holds;
  }
  void on_frame() { holds_ = false; }
  [[nodiscard]] bool holds() const { return holds_; }
  /// When to look, while it holds memory.
  [[nodiscard]] Time due() const {
    return heard_at_ + std::chrono::duration_cast<Time::duration>(timeout_);
  }
  /// Why the connection must end, as a sentence; null if it may go on. `awaited`: others wait for
  /// memory; `frame_bytes`: of the frame.
  [[nodiscard]] const char* verdict(Time now, bool awaited, std::size_t frame_bytes) const {
    if (now - heard_at_ >= timeout_) return "it stopped in the middle of a frame";
    const auto allowed = timeout_ + frame_bytes * kPerByteMax;
    if (awaited && now - began_at_ >= allowed) {
      return "it takes too long for a frame whose memory others wait for";
    }
    return nullptr;
  }

  /// A frame may take so long per byte (1 MB/s) if others wait for its memory.
  static constexpr std::chrono::microseconds kPerByteMax{1};

 private:
  std::chrono::nanoseconds timeout_;
  bool holds_ = false;
  Time began_at_{};  // Of the frame.
  Time heard_at_{};
};

}  // namespace stele::net
