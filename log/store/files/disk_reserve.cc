#include "log/store/files/disk_reserve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace stele::log {
namespace {

/// Closes itself; -1 if it could not be opened.
class File {
 public:
  explicit File(const std::string& path, int flags = O_RDWR | O_CREAT)
      : file_(::open(path.c_str(), flags | O_CLOEXEC, 0640)) {}
  ~File() {
    if (file_ >= 0) ::close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int get() const { return file_; }
  /// What it takes up, holes not counted.
  [[nodiscard]] std::uint64_t held() const {
    struct stat status {};
    if (file_ < 0 || ::fstat(file_, &status) != 0) return 0;
    const auto blocks = static_cast<std::uint64_t>(status.st_blocks) * 512;
    return std::min(blocks, static_cast<std::uint64_t>(status.st_size));
  }

 private:
  int file_;
};

}  // namespace

DiskReserve::DiskReserve(const std::string& directory, std::uint64_t bytes)
    : path_(directory + "/" + kReserveName), bytes_(bytes) {
  if (bytes_ != 0) held_ = File(path_, O_RDONLY).held();
}

/// What cannot be had is done without: it is tried again.
void DiskReserve::grow() {
  const File file(path_);
  if (file.get() < 0) return;
  const bool done = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes_)) == 0;
  held_ = file.held();
  in_vain_ = done && held_ < bytes_;
  if (!done) wanted_ = true;  // What was measured is not to be had: a quota, perhaps.
}

bool DiskReserve::release(std::uint64_t bytes) {
  ++wants_;
  wanted_ = true;
  const std::lock_guard lock(mutex_);
  if (held_ == 0) return false;
  const std::uint64_t left = held_ - std::min(held_, std::max(bytes, kPieceBytes));
  const File file(path_);
  if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(left)) != 0) return false;
  held_ = left;
  return true;
}

void DiskReserve::refill(std::uint64_t free_bytes, std::optional<std::uint64_t> wants_before) {
  const bool newest = !wants_before || *wants_before == wants_;
  if (newest && free_bytes > std::max(bytes_, kPieceBytes)) wanted_ = false;
  const std::lock_guard lock(mutex_);
  if (held_ < bytes_ && !in_vain_ && free_bytes / 4 >= bytes_) grow();
}

std::uint64_t DiskReserve::held_bytes() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace stele::log
