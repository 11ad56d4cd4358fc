#include "apps/common/ending.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <asio/post.hpp>
#include <csignal>
#include <future>
#include <optional>
#include <utility>

#include "apps/common/exit_codes.h"
#include "paxos/base/check.h"

namespace stele::apps {
namespace {

constexpr std::uint64_t kReached = 1 << 20;
/// A signal to a process and to its group comes twice, within this time.
constexpr std::chrono::milliseconds kSameSignal{500};
constexpr std::chrono::seconds kTellWithin{1};

sigset_t end_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void hold_end_signals() {
  const sigset_t set = end_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Ending::Ending(asio::io_context& context, std::function<void(int)> ask,
               std::function<void(const std::string&)> give_up)
    : context_(context), ask_(std::move(ask)), give_up_(std::move(give_up)) {
  const sigset_t set = end_signals();
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
  said_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  STELE_CHECK(signals_ >= 0 && said_ >= 0, "no descriptors for signals");
  thread_ = std::thread([this] { watch(); });
}

Ending::~Ending() {
  static_cast<void>(::eventfd_write(said_, kReached));
  thread_.join();
  ::close(signals_);
  ::close(said_);
}

void Ending::begin() { static_cast<void>(::eventfd_write(said_, 1)); }

void Ending::watch() {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> until;
  std::optional<Clock::time_point> asked;
  const auto end_at_once = [this](const std::string& why, int exit_code) {
    // The place where it is written may hang, too.
    std::promise<void> told;
    std::future<void> done = told.get_future();
    std::thread([this, &told, &why] {
      give_up_(why + ": it ends at once, as if it was killed, which loses nothing acknowledged");
      told.set_value();
    }).detach();
    static_cast<void>(done.wait_for(kTellWithin));
    ::_exit(exit_code);
  };
  while (true) {
    std::array<pollfd, 2> wanted{pollfd{signals_, POLLIN, 0}, pollfd{said_, POLLIN, 0}};
    int wait_ms = -1;
    if (until) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    const int ready = ::poll(wanted.data(), wanted.size(), wait_ms);
    if (ready < 0) continue;
    if (std::uint64_t said = 0; ::eventfd_read(said_, &said) == 0) {
      if (said >= kReached) return;
      if (!until) until = Clock::now() + kEndWithin;
    }
    if (ready == 0) {
      end_at_once("the end takes more than " + std::to_string(kEndWithin.count()) +
                      " s, most likely since the disk does not answer",
                  kDataDirectory);
    }
    signalfd_siginfo signal{};
    if (wanted[0].revents == 0 || ::read(signals_, &signal, sizeof signal) != sizeof signal) {
      continue;
    }
    if (asked && Clock::now() - *asked >= kSameSignal) {
      end_at_once("it was told to end a second time", kFailed);
    }
    if (std::exchange(asked, asked.value_or(Clock::now()))) continue;
    if (!until) until = Clock::now() + kEndWithin;
    asio::post(context_, [this, number = static_cast<int>(signal.ssi_signo)] { ask_(number); });
  }
}

}  // namespace stele::apps
