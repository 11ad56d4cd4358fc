#include "bench/measure/usage.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <ctime>

namespace stele::bench {

TEST_SUITE("bench.usage") {
  TEST_CASE("usage_of: what a process has used; nothing once it is gone") {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    REQUIRE(::pipe(to.data()) == 0);
    REQUIRE(::pipe(from.data()) == 0);
    constexpr std::size_t kBytes = 40 << 20;
    const pid_t child = ::fork();
    if (child == 0) {
      // Only calls that are safe after a fork of a program with threads.
      void* memory =
          ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory != MAP_FAILED) std::memset(memory, 1, kBytes);
      char byte = 0;
      if (::write(from[1], &byte, 1) != 1 || ::read(to[0], &byte, 1) != 1) ::_exit(1);
      const timespec shortest{0, 1};
      for (int i = 0; i < 10; ++i) ::nanosleep(&shortest, nullptr);  // Gives up the core.
      if (::write(from[1], &byte, 1) != 1) ::_exit(1);
      ::pause();
    }
    REQUIRE(child > 0);
    char byte = 0;
    REQUIRE(::read(from[0], &byte, 1) == 1);
    const Usage before = usage_of({child});
    REQUIRE(::write(to[1], &byte, 1) == 1);
    REQUIRE(::read(from[0], &byte, 1) == 1);
    const Usage after = usage_of({child});
    CHECK(after.rss_anon_bytes >= kBytes);
    CHECK((after - before).switches >= 10);
    const Usage both = usage_of({child, child});
    CHECK(both.rss_anon_bytes < 2 * after.rss_anon_bytes);  // The most of one.
    CHECK(both.switches >= 2 * after.switches);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const Usage gone = usage_of({child});
    CHECK(gone.rss_anon_bytes == 0);
    CHECK((gone - after).cpu_seconds == 0);
    CHECK((gone - after).switches == 0);
    for (const int file : {to[0], to[1], from[0], from[1]}) ::close(file);
  }

  TEST_CASE("usage_of: time in use") {
    const Usage before = usage_of({::getpid()});
    const std::clock_t begin = std::clock();
    while (std::clock() - begin < CLOCKS_PER_SEC / 5) continue;
    const double used = (usage_of({::getpid()}) - before).cpu_seconds;
    CHECK(used == doctest::Approx(0.2).epsilon(0.3));
  }
}

}  // namespace stele::bench
