#include "log/store/disk/space_meter.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

namespace stele::log {
namespace {

/// So much is written before the disk's free space is looked at again.
constexpr std::size_t kUnmeasuredBytesMax = 64 << 10;

}  // namespace

SpaceMeter::SpaceMeter(std::string directory, DiskReserve& reserve, std::uint64_t used_bytes,
                       std::uint64_t map_bytes, std::uint64_t kept_bytes_max)
    : directory_(std::move(directory)),
      reserve_(reserve),
      map_bytes_(map_bytes),
      kept_bytes_max_(kept_bytes_max),
      used_bytes_(used_bytes) {}

void SpaceMeter::on_wrote(std::size_t bytes, std::uint64_t used_bytes) {
  used_bytes_ = used_bytes;
  unmeasured_bytes_ += bytes;
  if (unmeasured_bytes_ >= kUnmeasuredBytesMax) measure();
}

void SpaceMeter::measure() {
  unmeasured_bytes_ = 0;
  const std::uint64_t wants = reserve_.wants();
  struct statvfs disk {};
  std::uint64_t free_bytes = UINT64_MAX;
  if (::statvfs(directory_.c_str(), &disk) == 0) {
    free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
  }
  if (!failed_) reserve_.refill(free_bytes, wants);
  // What the store itself uses is known by the last commit.
  const std::uint64_t used = used_bytes_;
  const std::uint64_t map_left = map_bytes_ > used ? map_bytes_ - used : 0;
  free_bytes_ = std::min(free_bytes, map_left);
  // Of no use against the store's own bound.
  kept_bytes_ = free_bytes <= map_left ? reserve_.held_bytes() : 0;
  ++measured_;
}

Space SpaceMeter::space() const {
  // A write has found the disk full since it was measured.
  const bool full = reserve_.wanted();
  return {used_bytes_, full ? 0 : free_bytes_.load(), kept_bytes_, kept_bytes_max_, measured_};
}

}  // namespace stele::log
