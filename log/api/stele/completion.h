// How completion handlers of any kind become one call. Not for users: it changes without notice.
#pragma once

#include <stele/error.h>

#include <asio/associated_executor.hpp>
#include <asio/dispatch.hpp>
#include <asio/error_code.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <memory>
#include <optional>
#include <utility>

namespace stele::detail {

/// Gets called once, on the loop of its operation, with the outcome.
template <class Result>
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void complete(std::optional<Errc> error, Result result) = 0;
};

/// Runs the handler through its associated executor, which it keeps at work until then.
template <class Result, class Handler>
class HandlerCompletion final : public Completion<Result> {
 public:
  using Executor = asio::io_context::executor_type;

  HandlerCompletion(Handler handler, const Executor& executor)
      : handler_(std::move(handler)),
        work_(asio::make_work_guard(asio::get_associated_executor(handler_, executor))) {}

  void complete(std::optional<Errc> error, Result result) override {
    const auto executor = work_.get_executor();
    const asio::error_code code = error ? make_error_code(*error) : asio::error_code();
    asio::dispatch(executor,
                   [handler = std::move(handler_), code, told = std::move(result)]() mutable {
                     std::move(handler)(code, std::move(told));
                   });
    work_.reset();
  }

 private:
  Handler handler_;
  asio::executor_work_guard<asio::associated_executor_t<Handler, Executor>> work_;
};

template <class Result, class Handler>
std::unique_ptr<Completion<Result>> wrap(Handler handler,
                                         const asio::io_context::executor_type& executor) {
  return std::make_unique<HandlerCompletion<Result, Handler>>(std::move(handler), executor);
}

}  // namespace stele::detail
