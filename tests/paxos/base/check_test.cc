#include "paxos/base/check.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <exception>

namespace stele {

TEST_SUITE("paxos.check") {
  TEST_CASE("within a scope a failed check throws what says where and why") {
    const auto fails = [] { STELE_CHECK(1 == 2, std::string("numbers differ")); };
    const CheckScope scope;
    { const CheckScope inner; }
    try {
      fails();
      FAIL("nothing was thrown");
    } catch (const CheckFailed& failed) {
      const std::string told = failed.what();
      CHECK(told.find("1 == 2") != std::string::npos);
      CHECK(told.find("check_test.cc") != std::string::npos);
      CHECK(told.find("numbers differ") != std::string::npos);
    }
  }

  TEST_CASE("elsewhere it ends the process on the spot, whatever is caught around it") {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      std::set_terminate([] { ::_exit(std::current_exception() == nullptr ? 1 : 42); });
      try {
        STELE_CHECK(1 == 2);
      } catch (...) {
        ::_exit(2);
      }
      ::_exit(3);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
  }
}

}  // namespace stele
