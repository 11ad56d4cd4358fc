#include "log/client/append_outcome.h"

#include <doctest/doctest.h>

#include <array>
#include <memory>

namespace stele::log {
namespace {

using std::chrono::seconds;

class Nobody final : public AppendDone {
 public:
  void complete(std::optional<Errc>, AppendResult) override {}
};

/// An append whose caller waits until second 10.
PendingAppend waiting() {
  PendingAppend append;
  append.deadline = Time{seconds(10)};
  append.done = std::make_unique<Nobody>();
  append.attempts = 1;
  return append;
}

/// What the caller of sequence 5 is told in second 1, or later, of a result for 4 to 6.
Told told(Outcome outcome, const PendingAppend& append, Time now = Time{seconds(1)}) {
  return told_of(append, {{1}, {4}, 3, outcome, {70}, {}}, {5}, now, "one before it failed");
}

}  // namespace

TEST_SUITE("log.append_outcome") {
  TEST_CASE("ok: the LSN is the one of its own place in the result") {
    const Told ok = told(Outcome::ok, waiting());
    CHECK_FALSE(ok.error);
    CHECK(ok.result.lsn == Lsn{71});
  }

  TEST_CASE("forgotten: it may be in the log") {
    const Told forgotten = told(Outcome::forgotten, waiting());
    CHECK(forgotten.error == Errc::session_expired);
    CHECK(forgotten.result.may_be_appended);
    CHECK_FALSE(forgotten.result.detail.empty());
  }

  TEST_CASE("condition_failed: it is not in the log") {
    const Told failed = told(Outcome::condition_failed, waiting());
    CHECK(failed.error == Errc::condition_failed);
    CHECK_FALSE(failed.result.may_be_appended);
  }

  TEST_CASE("skipped: taken back, and surely not in the log, in time or late") {
    PendingAppend append = waiting();
    append.skip = true;
    const Told in_time = told(Outcome::skipped, append);
    CHECK(in_time.error == Errc::stopped);
    CHECK_FALSE(in_time.result.may_be_appended);
    CHECK(in_time.result.detail == "one before it failed");
    const Told late = told(Outcome::skipped, append, append.deadline);
    CHECK(late.error == Errc::timed_out);
    CHECK_FALSE(late.result.may_be_appended);
  }

  TEST_CASE("skipped, though it was not taken back: somebody else did, and it may be in the log") {
    const Told strange = told(Outcome::skipped, waiting());
    CHECK(strange.error == Errc::timed_out);
    CHECK(strange.result.may_be_appended);
  }

  TEST_CASE("an attempt counts no more only after an outcome without any effect, for ever") {
    constexpr std::array kRefusals = {Outcome::not_leader,    Outcome::overloaded,
                                      Outcome::too_large,     Outcome::no_space,
                                      Outcome::shutting_down, Outcome::resend};
    constexpr std::array kOthers = {
        Outcome::ok,      Outcome::forgotten,        Outcome::skipped,
        Outcome::unknown, Outcome::condition_failed, Outcome::session_expired};
    for (const Outcome outcome : kRefusals) CHECK(is_refusal(outcome));
    for (const Outcome outcome : kOthers) CHECK_FALSE(is_refusal(outcome));
  }
}

}  // namespace stele::log
