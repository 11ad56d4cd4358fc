#include "net/link/receive_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

#include "paxos/base/check.h"

namespace stele::net {
namespace {

/// Sizes are multiples of this, so that buffers fit again.
constexpr std::size_t kStepBytes = 16 << 10;

std::byte* map(std::size_t bytes) {
  void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(mapped);
}

}  // namespace

BufferPool::~BufferPool() {
  for (const Kept& buffer : kept_) ::munmap(buffer.bytes, buffer.size);
}

std::shared_ptr<std::byte[]> BufferPool::take(std::size_t bytes) {
#ifdef STELE_SANITIZED
  return std::shared_ptr<std::byte[]>(new std::byte[bytes]);  // Of the exact size.
#else
  if (bytes < kPooledBytesMin) return std::shared_ptr<std::byte[]>(new std::byte[bytes]);
  Kept taken{nullptr, (bytes + kStepBytes - 1) / kStepBytes * kStepBytes};
  {
    const std::lock_guard lock(mutex_);
    // The one that came back last is the warmest; one that is much too large is left for others.
    const auto found = std::find_if(kept_.rbegin(), kept_.rend(), [&](const Kept& kept) {
      return kept.size >= taken.size && kept.size <= 2 * taken.size;
    });
    if (found != kept_.rend()) {
      taken = *found;
      kept_bytes_ -= taken.size;
      kept_.erase(std::next(found).base());
    } else {
      bytes_ += taken.size;
    }
  }
  if (taken.bytes == nullptr) taken.bytes = map(taken.size);
  return {taken.bytes, [pool = shared_from_this(), taken](std::byte*) { pool->give_back(taken); }};
#endif
}

void BufferPool::give_back(Kept buffer) {
  std::vector<Kept> dropped;
  {
    const std::lock_guard lock(mutex_);
    kept_.push_back(buffer);
    kept_bytes_ += buffer.size;
    // The coldest go first.
    auto first = kept_.begin();
    for (; bytes_ > bytes_kept_max_ && kept_bytes_ > kAlwaysKeptBytes; ++first) {
      bytes_ -= first->size;
      kept_bytes_ -= first->size;
      dropped.push_back(*first);
    }
    kept_.erase(kept_.begin(), first);
  }
  for (const Kept& old : dropped) ::munmap(old.bytes, old.size);
}

bool ReceiveMemory::reserve(std::size_t bytes) {
  if (!waiting_.empty() && !calling_) return false;
  if (reserved_ != 0 && reserved_ + bytes > bytes_max_) return false;
  reserved_ += bytes;
  return true;
}

bool ReceiveMemory::reserve_if_plenty(std::size_t bytes) {
  if (!waiting_.empty() || reserved_ + bytes > bytes_max_ / 2) return false;
  reserved_ += bytes;
  return true;
}

void ReceiveMemory::release(std::size_t bytes) {
  if (bytes == 0) return;
  STELE_CHECK(bytes <= reserved_);
  reserved_ -= bytes;
  let_others();
}

void ReceiveMemory::wait(std::function<void()> again) {
  if (calling_) {
    waits_again_ = true;
    waiting_.push_front(std::move(again));
  } else {
    waiting_.push_back(std::move(again));
  }
}

void ReceiveMemory::let_others() {
  if (std::exchange(calling_, true)) return;
  waits_again_ = false;
  while (!waiting_.empty() && !waits_again_) {
    const auto again = std::move(waiting_.front());
    waiting_.pop_front();
    again();
  }
  calling_ = false;
}

}  // namespace stele::net
