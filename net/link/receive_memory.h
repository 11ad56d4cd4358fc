// The memory into which connections receive: large buffers that are used again, and a bound on
// those of all connections together.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace stele::net {

/// Buffers for frames. Those of kPooledBytesMin and more are mapped by themselves, so that they
/// leave no holes in the heap; those that come back are kept for the next ones, as long as all
/// together have no more than `bytes_kept_max`, and a few in any case. Any thread: what a frame
/// holds may be dropped anywhere.
class BufferPool : public std::enable_shared_from_this<BufferPool> {
 public:
  explicit BufferPool(std::size_t bytes_kept_max) : bytes_kept_max_(bytes_kept_max) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// At least `bytes`, with anything in them. Comes back to the pool when nobody holds it.
  [[nodiscard]] std::shared_ptr<std::byte[]> take(std::size_t bytes);

  static constexpr std::size_t kPooledBytesMin = 64 << 10;
  /// Kept in any case: without them a connection that holds much would get every buffer from the
  /// kernel, page by page.
  static constexpr std::size_t kAlwaysKeptBytes = 4 << 20;

 private:
  struct Kept {
    std::byte* bytes;
    std::size_t size;
  };
  void give_back(Kept buffer);

  std::size_t bytes_kept_max_;
  std::mutex mutex_;            // Guards kept_, kept_bytes_ and bytes_.
  std::vector<Kept> kept_;      // In the order of their return.
  std::size_t kept_bytes_ = 0;  // Of the buffers in kept_.
  std::size_t bytes_ = 0;       // Of all buffers, those in use, too.
};

/// What connections that share a bound hold for frames that have begun to arrive, beyond a first
/// small buffer each. Loop thread only.
class ReceiveMemory {
 public:
  /// `bytes_max`: for these frames; `bytes_kept_max`: of the pool, frames that are whole included.
  ReceiveMemory(std::size_t bytes_max, std::size_t bytes_kept_max)
      : bytes_max_(bytes_max), pool_(std::make_shared<BufferPool>(bytes_kept_max)) {}

  /// For a frame that cannot go on without: false if there is no room, or if others wait for some.
  /// One of any size fits when nobody holds anything.
  [[nodiscard]] bool reserve(std::size_t bytes);
  /// For speed only: leaves half of the bound to those who need it.
  [[nodiscard]] bool reserve_if_plenty(std::size_t bytes);
  void release(std::size_t bytes);
  /// A holder of more than it needs should give it back.
  [[nodiscard]] bool scarce() const { return reserved_ > bytes_max_ / 2 || !waiting_.empty(); }
  /// Calls `again` once, when something has been released and it is the first in the queue; if it
  /// waits again from within, it stays the first: large frames come through among many small ones.
  void wait(std::function<void()> again);
  /// Somebody who waited is gone: others may have room.
  void let_others();
  /// Somebody waits for memory that is held.
  [[nodiscard]] bool awaited() const { return !waiting_.empty(); }

  [[nodiscard]] BufferPool& pool() { return *pool_; }
  [[nodiscard]] std::size_t reserved() const { return reserved_; }

 private:
  std::size_t bytes_max_;
  std::size_t reserved_ = 0;
  std::deque<std::function<void()>> waiting_;  // First come, first served.
  bool calling_ = false;                       // The first one that waits is being called.
  bool waits_again_ = false;                   // The one that is called has found no room.
  std::shared_ptr<BufferPool> pool_;
};

}  // namespace stele::net
