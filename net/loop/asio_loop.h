// The real loop: Asio's io_context on one thread.
#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "net/loop/guard.h"
#include "net/loop/loop.h"

namespace stele::net {

/// The thread that runs `context` is the loop. `context` outlives it.
class AsioLoop final : public Loop {
 public:
  /// `on_failed_check` is called once, on the loop, with a sentence, if a check fails in what runs
  /// on it, of which nothing runs any more; not after the loop is gone. Without it the process
  /// ends.
  explicit AsioLoop(asio::io_context& context,
                    const std::function<void(const std::string&)>& on_failed_check = {});

  [[nodiscard]] Time now() const override;
  [[nodiscard]] std::uint64_t wall_us() const override;
  void post(std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<Timer> after(Duration delay, std::function<void()> task) override;
  void guard(const std::function<void()>& task) override { guard_->run(task); }
  [[nodiscard]] bool ended() const override { return guard_->ended(); }
  [[nodiscard]] std::uint64_t random() override { return random_(); }

  [[nodiscard]] asio::io_context& context() { return context_; }
  /// For handlers that Asio calls; it may outlive the loop.
  [[nodiscard]] const std::shared_ptr<Guard>& guard() const { return guard_; }

 private:
  asio::io_context& context_;
  std::shared_ptr<Guard> guard_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::mt19937_64 random_;
};

}  // namespace stele::net
