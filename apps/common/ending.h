// How a program that runs nodes ends: when it is asked to, and within seconds, whatever hangs.
#pragma once

#include <asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace stele::apps {

/// SIGINT and SIGTERM wait for an Ending from now on, in this thread and those it starts. To be
/// called before there are other threads.
void hold_end_signals();

class Ending {
 public:
  /// `ask` runs on the context once, with the first signal's number. `give_up` runs on another
  /// thread, with a sentence, before the process ends at once: at a second signal that comes a
  /// moment after the first, or kEndWithin after that or after begin().
  Ending(asio::io_context& context, std::function<void(int)> ask,
         std::function<void(const std::string&)> give_up);
  /// To be destroyed once the end has been reached.
  ~Ending();
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;

  /// The program ends by itself. Any thread.
  void begin();

  static constexpr std::chrono::seconds kEndWithin{5};

 private:
  void watch();

  asio::io_context& context_;
  std::function<void(int)> ask_;
  std::function<void(const std::string&)> give_up_;
  int signals_ = -1;
  int said_ = -1;  // An eventfd: begin() adds 1, the destructor kReached.
  std::thread thread_;
};

}  // namespace stele::apps
