// The real loop: Asio's io_context on one thread.
#pragma once

#include <asio/io_context.hpp>
#include <random>

#include "net/loop/loop.h"

namespace stele::net {

class AsioLoop final : public Loop {
 public:
  explicit AsioLoop(asio::io_context& context);

  [[nodiscard]] Time now() const override;
  [[nodiscard]] std::uint64_t wall_us() const override;
  void post(std::function<void()> task) override;
  [[nodiscard]] std::unique_ptr<Timer> after(Duration delay, std::function<void()> task) override;
  [[nodiscard]] std::uint64_t random() override { return random_(); }

  [[nodiscard]] asio::io_context& context() { return context_; }

 private:
  asio::io_context& context_;
  std::mt19937_64 random_;
};

}  // namespace stele::net
