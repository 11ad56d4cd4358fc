// The client library: append to a cluster's log and read it, in the style of Asio.
//
//   asio::io_context context;
//   stele::Client client(context, {.addresses = {{"127.0.0.1", 7101}}});
//   client.async_append(asio::buffer("hello", 5), 5s,
//                       [](asio::error_code error, stele::AppendResult result) { … });
//   context.run();  // Returns after client.close(), or when the client is destroyed.
#pragma once

#include <stele/client_types.h>
#include <stele/completion.h>
#include <stele/error.h>
#include <stele/retention.h>

#include <asio/async_result.hpp>
#include <asio/buffer.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace stele {

/// A handle on a Stele cluster. Not thread-safe: use it on the thread that runs the context.
/// Completion handlers run through their associated executor, never from within the call that took
/// them; they must not run the context themselves. What a handler throws leaves the context's
/// run(), and the client goes on with the next one. Only close() ends an operation early: Asio's
/// cancellation has no effect. A timeout of nothing, or less, ends at once; one of more than a
/// hundred years is one of a hundred years. When it is destroyed, everything pending completes with
/// shutting_down.
class Client {
 public:
  /// The executor of handlers that have none of their own.
  using Executor = asio::io_context::executor_type;

  /// Nothing is connected before the first operation.
  Client(asio::io_context& context, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Appends one entry; completes with its LSN once it is chosen, durable on a quorum, and applied
  /// by the leader. Retries through leader changes until `timeout`; takes effect at most once;
  /// appends of one client get their LSNs in the order of the calls. `payload` is copied; its bound
  /// is the cluster's (1 MiB unless configured). Errors: too_large, overloaded (this client's
  /// queue, or the cluster's table of sessions, is full), no_space, session_expired, timed_out,
  /// stopped, refused, unreachable, shutting_down; invalid_argument, for an LSN that cannot be
  /// (2^62 and above). The result says whether the entry may yet be in the log.
  template <asio::completion_token_for<void(asio::error_code, AppendResult)> Token>
  auto async_append(asio::const_buffer payload, std::chrono::milliseconds timeout, Token&& token) {
    return async_append_at(payload, Lsn{}, timeout, std::forward<Token>(token));
  }

  /// The same, but only if the entry gets exactly `lsn`; otherwise condition_failed.
  template <asio::completion_token_for<void(asio::error_code, AppendResult)> Token>
  auto async_append_at(asio::const_buffer payload, Lsn lsn, std::chrono::milliseconds timeout,
                       Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, AppendResult)>(
        [this](auto handler, asio::const_buffer bytes, Lsn at, std::chrono::milliseconds within) {
          start_append(bytes, at, within, wrap<AppendResult>(std::move(handler)));
        },
        token, payload, lsn, timeout);
  }

  /// Reads a range of entries: as many as fit into `options.bytes_max` bytes, but at least one if
  /// there is any; go on from `lsn_next`. Errors: trimmed, corrupt (that node cannot read it),
  /// timed_out, refused, unreachable, shutting_down, invalid_argument (an LSN of 2^62 and above).
  template <asio::completion_token_for<void(asio::error_code, ReadResult)> Token>
  auto async_read(ReadOptions options, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ReadResult)>(
        [this](auto handler, const ReadOptions& what) {
          start_read(what, wrap<ReadResult>(std::move(handler)));
        },
        token, options);
  }

  /// Waits for entries from `lsn_begin` on ({}: those appended from now on) and completes with the
  /// next ones, through leader changes, none twice, none missing. Call again with `lsn_next`:
  /// between the calls the cluster goes on pushing, up to 1 MiB ahead. One tail per client at a
  /// time: the next one takes the place of one that waits, which is `stopped`. Errors: trimmed,
  /// corrupt, stopped, refused, shutting_down, invalid_argument (an LSN of 2^62 and above).
  template <asio::completion_token_for<void(asio::error_code, ReadResult)> Token>
  auto async_tail(Lsn lsn_begin, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ReadResult)>(
        [this](auto handler, Lsn begin) {
          start_tail(begin, wrap<ReadResult>(std::move(handler)));
        },
        token, lsn_begin);
  }

  /// Trims the log: entries below `before` are gone then, for every reader, and their space comes
  /// back. In the order of this client's appends, exactly once. Completes with the first LSN, which
  /// may have been beyond `before` already. Errors: those of async_append, but too_large and
  /// no_space (it works on full disks); out_of_range (`before` is after the end of the log), held.
  template <asio::completion_token_for<void(asio::error_code, ChangeResult)> Token>
  auto async_trim(Lsn before, TrimOptions options, std::chrono::milliseconds timeout,
                  Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ChangeResult)>(
        [this](auto handler, Lsn lsn, TrimOptions how, std::chrono::milliseconds within) {
          start_trim(lsn, how, within, wrap<ChangeResult>(std::move(handler)));
        },
        token, before, options, timeout);
  }

  /// From now on the log is trimmed by the leader as far as `retention` allows; an empty one ends
  /// that. Errors: those of async_trim, but out_of_range and held; invalid_argument.
  template <asio::completion_token_for<void(asio::error_code, ChangeResult)> Token>
  auto async_set_retention(Retention retention, std::chrono::milliseconds timeout, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ChangeResult)>(
        [this](auto handler, Retention what, std::chrono::milliseconds within) {
          start_set_retention(what, within, wrap<ChangeResult>(std::move(handler)));
        },
        token, retention, timeout);
  }

  /// Keeps entries from `lsn` on until `ttl` of log time has passed (366 days at most), or until it
  /// is released; a hold of that name is set anew. Errors: those of async_trim, but held; trimmed
  /// (`lsn` is gone), too_many (256 holds), invalid_argument.
  template <asio::completion_token_for<void(asio::error_code, ChangeResult)> Token>
  auto async_set_hold(std::string name, Lsn lsn, std::chrono::milliseconds ttl,
                      std::chrono::milliseconds timeout, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ChangeResult)>(
        [this](auto handler, const std::string& named, Lsn from, std::chrono::milliseconds keep,
               std::chrono::milliseconds within) {
          start_set_hold(named, from, keep, within, wrap<ChangeResult>(std::move(handler)));
        },
        token, std::move(name), lsn, ttl, timeout);
  }

  /// Ends a hold. Errors: those of async_trim, but out_of_range and held; not_found,
  /// invalid_argument.
  template <asio::completion_token_for<void(asio::error_code, ChangeResult)> Token>
  auto async_release_hold(std::string name, std::chrono::milliseconds timeout, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, ChangeResult)>(
        [this](auto handler, const std::string& named, std::chrono::milliseconds within) {
          start_release_hold(named, within, wrap<ChangeResult>(std::move(handler)));
        },
        token, std::move(name), timeout);
  }

  /// What is kept, and by what; linearizable, from the leader. Errors: timed_out, refused,
  /// unreachable, shutting_down.
  template <asio::completion_token_for<void(asio::error_code, RetentionReport)> Token>
  auto async_retention(std::chrono::milliseconds timeout, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, RetentionReport)>(
        [this](auto handler, std::chrono::milliseconds within) {
          start_retention(within, wrap<RetentionReport>(std::move(handler)));
        },
        token, timeout);
  }

  /// Asks every node what it is doing. No errors: a node that does not answer is not `reachable`;
  /// the list is empty if the client was closed or destroyed meanwhile.
  template <asio::completion_token_for<void(asio::error_code, std::vector<NodeStatus>)> Token>
  auto async_status(std::chrono::milliseconds timeout, Token&& token) {
    return asio::async_initiate<Token, void(asio::error_code, std::vector<NodeStatus>)>(
        [this](auto handler, std::chrono::milliseconds within) {
          start_status(within, wrap<std::vector<NodeStatus>>(std::move(handler)));
        },
        token, timeout);
  }

  /// Takes appends again after one that failed (ClientOptions::stop_at_failure); to be called once
  /// everything that was given before has been told.
  void go_on();

  /// Ends the session and closes all connections, so that the context's run() can return. What is
  /// pending completes with shutting_down. A later operation connects again.
  void close();

  /// The context's. Any thread.
  [[nodiscard]] Executor get_executor() const { return executor_; }

 private:
  template <class Result>
  using Completion = detail::Completion<Result>;
  template <class Result, class Handler>
  std::unique_ptr<Completion<Result>> wrap(Handler handler) {
    return detail::wrap<Result>(std::move(handler), executor_);
  }

  void start_append(asio::const_buffer payload, Lsn lsn, std::chrono::milliseconds timeout,
                    std::unique_ptr<Completion<AppendResult>> completion);
  void start_read(const ReadOptions& options, std::unique_ptr<Completion<ReadResult>> completion);
  void start_tail(Lsn lsn_begin, std::unique_ptr<Completion<ReadResult>> completion);
  void start_change(std::uint8_t kind, std::span<const std::byte> body, const std::string& wrong,
                    std::chrono::milliseconds timeout,
                    std::unique_ptr<Completion<ChangeResult>> completion);
  void start_trim(Lsn before, TrimOptions options, std::chrono::milliseconds timeout,
                  std::unique_ptr<Completion<ChangeResult>> completion);
  void start_set_retention(const Retention& retention, std::chrono::milliseconds timeout,
                           std::unique_ptr<Completion<ChangeResult>> completion);
  void start_set_hold(const std::string& name, Lsn lsn, std::chrono::milliseconds ttl,
                      std::chrono::milliseconds timeout,
                      std::unique_ptr<Completion<ChangeResult>> completion);
  void start_release_hold(const std::string& name, std::chrono::milliseconds timeout,
                          std::unique_ptr<Completion<ChangeResult>> completion);
  void start_retention(std::chrono::milliseconds timeout,
                       std::unique_ptr<Completion<RetentionReport>> completion);
  void start_status(std::chrono::milliseconds timeout,
                    std::unique_ptr<Completion<std::vector<NodeStatus>>> completion);

  struct Impl;
  Executor executor_;
  std::unique_ptr<Impl> impl_;
};

/// The same for programs without a loop: each call waits for its outcome. What
/// ClientOptions::on_waiting throws leaves the call, which nothing is known of then. Not
/// thread-safe.
class BlockingClient {
 public:
  /// Nothing is connected before the first call.
  explicit BlockingClient(ClientOptions options);
  /// Ends the session; waits a second at most until what is queued has left.
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  /// As Client::async_append. The error's sentence says whether the entry may yet be in the log.
  Result<Lsn> append(std::span<const std::byte> payload, std::chrono::milliseconds timeout);
  /// As Client::async_read.
  Result<ReadResult> read(const ReadOptions& options);
  /// As Client::async_trim: the first LSN. The error's sentence says whether it may yet be made.
  Result<Lsn> trim(Lsn before, TrimOptions options, std::chrono::milliseconds timeout);
  /// As Client::async_set_retention.
  Result<void> set_retention(const Retention& retention, std::chrono::milliseconds timeout);
  /// As Client::async_set_hold.
  Result<void> set_hold(const std::string& name, Lsn lsn, std::chrono::milliseconds ttl,
                        std::chrono::milliseconds timeout);
  /// As Client::async_release_hold.
  Result<void> release_hold(const std::string& name, std::chrono::milliseconds timeout);
  /// As Client::async_retention.
  Result<RetentionReport> retention(std::chrono::milliseconds timeout);
  /// As Client::async_status.
  std::vector<NodeStatus> status(std::chrono::milliseconds timeout);

 private:
  template <class Start>
  Result<Lsn> change(Start start);
  template <class Outcome>
  Outcome wait_for(const std::shared_ptr<std::optional<Outcome>>& outcome);

  asio::io_context context_;
  std::unique_ptr<Client> client_;
};

}  // namespace stele
