#include "apps/common/failed_check.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "paxos/base/check.h"

namespace stele::apps {

TEST_SUITE("apps.failed_check") {
  TEST_CASE("a failed check is the last line of the log, and the process aborts") {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      std::signal(SIGABRT, SIG_DFL);
      ::dup2(ends[1], STDERR_FILENO);
      auto log = EventLog::make("info", "text");
      if (!log) ::_exit(1);
      tell_failed_checks(**log);
      STELE_CHECK(1 == 2, std::string("numbers differ"));
      ::_exit(2);
    }
    ::close(ends[1]);
    std::string told;
    char bytes[512];
    for (ssize_t got = 0; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
      told.append(bytes, static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    CHECK(told.find("check_failed") != std::string::npos);
    CHECK(told.find("numbers differ") != std::string::npos);
  }
}

}  // namespace stele::apps
