// Writers, a reader and a tail on a thread of their own, and the history of what they saw.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <stele/client.h>
#include "tests/history/history.h"

namespace stele::test {

/// Begins with the constructor; all functions are for the test's thread.
class Load {
 public:
  struct Writer {
    std::size_t in_flight = 16;
    std::chrono::milliseconds timeout = std::chrono::minutes(2);
    std::size_t payload_bytes = 40;
  };

  Load(const ClientOptions& options, std::vector<Writer> writers, bool with_tail);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  /// Waits until that many more appends are acknowledged than at the call; false if they are not.
  [[nodiscard]] bool progresses(std::uint64_t more) const;

  /// Entries that the tail has delivered, from the first one on.
  [[nodiscard]] std::uint64_t tailed() const;

  /// Appends and reads no more, and waits until everything begun has ended.
  void stop_writing();
  /// Waits until the tail has delivered that many entries (0: not at all), and returns what was
  /// seen.
  History finish(std::uint64_t entries);

 private:
  class Runner;
  std::atomic<std::uint64_t> acknowledged_{0};
  std::unique_ptr<Runner> runner_;
  std::thread thread_;
};

}  // namespace stele::test
