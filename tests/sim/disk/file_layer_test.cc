#include "tests/sim/disk/file_layer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "tests/support/directory.h"

namespace stele::sim {
namespace {

/// A file of three pages, all 'a', synced.
class Bench {
 public:
  Bench() {
    std::ofstream(path) << std::string(3 * 4096, 'a');
    file.emplace().watch(path);
    descriptor = ::open(path.c_str(), O_RDWR);
    REQUIRE(descriptor >= 0);
  }
  ~Bench() { ::close(descriptor); }

  void put(off_t page, char letter) const {
    const std::string bytes(4096, letter);
    REQUIRE(::pwrite(descriptor, bytes.data(), bytes.size(), page * 4096) == 4096);
  }
  /// One letter for each page.
  [[nodiscard]] std::string pages() const {
    std::ifstream stream(path);
    const std::string all{std::istreambuf_iterator<char>(stream), {}};
    return {all[0], all[4096], all[8192]};
  }

  [[nodiscard]] bool passes_cache() const {
    const int direct = ::open(path.c_str(), O_RDONLY | O_DIRECT);
    if (direct >= 0) ::close(direct);
    return direct >= 0;
  }
  [[nodiscard]] std::string pages_on_medium() const {
    alignas(4096) char bytes[3 * 4096];
    const int direct = ::open(path.c_str(), O_RDONLY | O_DIRECT);
    REQUIRE(::pread(direct, bytes, sizeof(bytes), 0) == sizeof(bytes));
    ::close(direct);
    return {bytes[0], bytes[4096], bytes[8192]};
  }

  log::TestDirectory directory;
  std::string path = directory.sub("file");
  std::optional<WatchedFiles> file;
  int descriptor = -1;
};

}  // namespace

TEST_SUITE("sim.file_layer") {
  TEST_CASE("lose_power: any version since the last sync, page by page; what was synced stays") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      Bench bench;
      bench.put(0, 'b');
      REQUIRE(::fdatasync(bench.descriptor) == 0);
      bench.put(1, 'c');
      bench.put(2, 'd');
      bench.put(2, 'e');
      Random random(seed);
      bench.file->lose_power(random);
      const std::string pages = bench.pages();
      CHECK(pages[0] == 'b');
      seen.insert(pages);
    }
    CHECK(seen == std::set<std::string>{"baa", "bad", "bae", "bca", "bcd", "bce"});
  }

  TEST_CASE("die_after: later writes and syncs do not happen, earlier ones stay in the cache") {
    Bench bench;
    bench.file->die_after(1);
    bench.put(0, 'b');
    bench.put(1, 'c');
    ::fdatasync(bench.descriptor);
    bench.file->lose_process();
    CHECK(bench.pages() == "baa");
    // Nor was it synced.
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Bench again;
      again.file->die_after(1);
      again.put(0, 'b');
      ::fdatasync(again.descriptor);
      Random random(seed);
      again.file->lose_power(random);
      seen.insert(again.pages());
    }
    CHECK(seen == std::set<std::string>{"aaa", "baa"});
  }

  TEST_CASE("fail_sync_after: the medium may lack what readers see, unless they pass the cache") {
    std::set<std::string> on_medium;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      Bench bench;
      if (!bench.passes_cache()) return;
      bench.file->fail_sync_after(2, Random(seed));
      bench.put(0, 'b');
      bench.put(1, 'c');
      bench.put(2, 'd');
      CHECK(::fdatasync(bench.descriptor) == -1);
      bench.put(0, 'z');  // After the end.
      bench.file->lose_process();
      CHECK(::fdatasync(bench.descriptor) == 0);
      CHECK(bench.pages() == "bcd");
      bench.put(2, 'e');  // Is written again, and synced.
      CHECK(::fdatasync(bench.descriptor) == 0);
      const std::string pages = bench.pages_on_medium();
      on_medium.insert(pages);
      Random random(seed);
      bench.file->lose_power(random);
      CHECK(bench.pages() == pages);
    }
    CHECK(on_medium == std::set<std::string>{"aae", "ace", "bae", "bce"});
  }

  TEST_CASE("the files of one process die together") {
    log::TestDirectory directory;
    const std::string paths[] = {directory.sub("one"), directory.sub("two")};
    for (const std::string& path : paths) std::ofstream(path) << 'a';
    WatchedFiles files;
    for (const std::string& path : paths) files.watch(path);
    files.die_after(1);
    for (const std::string& path : paths) {
      const int descriptor = ::open(path.c_str(), O_RDWR);
      REQUIRE(::pwrite(descriptor, "b", 1, 0) == 1);
      ::close(descriptor);
    }
    files.lose_process();
    const auto letter = [](const std::string& path) {
      return std::string(1, static_cast<char>(std::ifstream(path).get()));
    };
    CHECK(letter(paths[0]) + letter(paths[1]) == "ba");
  }

  TEST_CASE("a write through a descriptor that syncs itself is safe at once") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Bench bench;
      const int syncing = ::open(bench.path.c_str(), O_WRONLY | O_DSYNC);
      const std::string bytes(4096, 'z');
      REQUIRE(::pwrite(syncing, bytes.data(), bytes.size(), 0) == 4096);
      ::close(syncing);
      Random random(seed);
      bench.file->lose_power(random);
      CHECK(bench.pages() == "zaa");
    }
  }
}

}  // namespace stele::sim
