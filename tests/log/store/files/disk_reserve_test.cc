#include "log/store/files/disk_reserve.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/support/directory.h"

namespace stele::log {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

/// What the file takes up on the disk.
std::uint64_t on_disk(const TestDirectory& directory) {
  struct stat status {};
  if (::stat(directory.sub(kReserveName).c_str(), &status) != 0) return 0;
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

}  // namespace

TEST_SUITE("log.disk_reserve") {
  TEST_CASE("takes up room on the disk, and gives it up piece by piece") {
    const TestDirectory directory;
    DiskReserve reserve(directory.path(), 5 * kMiB);
    CHECK_FALSE(std::filesystem::exists(directory.sub(kReserveName)));  // Nothing is changed yet.
    reserve.refill(UINT64_MAX);
    CHECK(reserve.held_bytes() == 5 * kMiB);
    CHECK(on_disk(directory) >= 5 * kMiB);
    CHECK(reserve.release());
    CHECK(reserve.held_bytes() == 4 * kMiB);
    CHECK(on_disk(directory) < 5 * kMiB);
    CHECK(reserve.release(3 * kMiB));
    CHECK(reserve.held_bytes() == kMiB);
    CHECK(reserve.release(3 * kMiB));
    CHECK(reserve.held_bytes() == 0);
    CHECK(on_disk(directory) == 0);
    CHECK_FALSE(reserve.release());
  }

  TEST_CASE("grows again only with much more room than it needs") {
    const TestDirectory directory;
    DiskReserve reserve(directory.path(), 4 * kMiB);
    reserve.refill(15 * kMiB);
    CHECK(reserve.held_bytes() == 0);
    reserve.refill(16 * kMiB);
    CHECK(reserve.held_bytes() == 4 * kMiB);
  }

  TEST_CASE("wanted: from a write that found no room until there is room for all of it") {
    const TestDirectory directory;
    DiskReserve reserve(directory.path(), 4 * kMiB);
    reserve.refill(UINT64_MAX);
    CHECK_FALSE(reserve.wanted());
    REQUIRE(reserve.release());
    CHECK(reserve.wanted());
    reserve.refill(4 * kMiB);
    CHECK(reserve.wanted());
    reserve.refill(4 * kMiB + 1);
    CHECK_FALSE(reserve.wanted());
  }

  TEST_CASE("a restart finds what is left") {
    const TestDirectory directory;
    {
      DiskReserve reserve(directory.path(), 4 * kMiB);
      reserve.refill(UINT64_MAX);
      REQUIRE(reserve.release(3 * kMiB));
    }
    DiskReserve again(directory.path(), 4 * kMiB);
    CHECK(again.held_bytes() == kMiB);
    again.refill(UINT64_MAX);
    CHECK(again.held_bytes() == 4 * kMiB);
  }

  TEST_CASE("of 0 bytes it is nothing") {
    const TestDirectory directory;
    DiskReserve reserve(directory.path(), 0);
    CHECK_FALSE(std::filesystem::exists(directory.sub(kReserveName)));
    CHECK_FALSE(reserve.release());
    reserve.refill(UINT64_MAX);
    CHECK_FALSE(std::filesystem::exists(directory.sub(kReserveName)));
  }
}

}  // namespace stele::log
