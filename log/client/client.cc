#include <stele/client.h>

#include <asio/post.hpp>
#include <string>

#include "log/client/client_core.h"
#include "log/client/link/shared_link.h"
#include "log/format/retention.h"
#include "net/link/tcp.h"
#include "net/loop/asio_loop.h"

namespace stele {
namespace {

/// Buffers that are used again, whatever the program's allocator does with large blocks, and no
/// bound: what a client receives is what it has asked for. (A node that stops in the middle of a
/// frame for TcpOptions::frame_timeout is dead for a client, too.)
net::TcpOptions client_tcp_options() {
  net::TcpOptions options;
  options.receive_memory = std::make_shared<net::ReceiveMemory>(SIZE_MAX, 0);
  options.connect_timeout = std::chrono::seconds(1);  // Then another node is tried.
  return options;
}

/// What the clients of one context share; ends with it.
struct ContextConnections final : asio::execution_context::service {
  explicit ContextConnections(asio::io_context& context)
      : service(context),
        loop(context),
        options(client_tcp_options()),
        dialer(loop, options),
        shared(loop, dialer) {}
  void shutdown() override { dialer.close(); }

  static inline asio::execution_context::id id;
  net::AsioLoop loop;
  net::TcpOptions options;
  net::TcpDialer dialer;
  log::SharedConnections shared;
};

}  // namespace

struct Client::Impl {
  Impl(asio::io_context& context, ClientOptions options)
      : loop(context),
        dialer(make_dialer(context, options.connection)),
        core(loop, *dialer, std::move(options)) {}

  std::unique_ptr<net::Dialer> make_dialer(asio::io_context& context, std::uint32_t connection) {
    auto& shared = asio::use_service<ContextConnections>(context);
    if (connection == ClientOptions::kOwnConnection) {
      return std::make_unique<net::TcpDialer>(loop, shared.options);
    }
    return shared.shared.dialer(connection);
  }

  /// A failed check is the client's own, also within a call of a node's that has a guard.
  template <class Act>
  void run(Act act) {
    loop.guard()->run([&] { act(core); });
  }

  net::AsioLoop loop;
  std::unique_ptr<net::Dialer> dialer;
  log::ClientCore core;
};

Client::Client(asio::io_context& context, ClientOptions options)
    : executor_(context.get_executor()),
      impl_(std::make_unique<Impl>(context, std::move(options))) {}

Client::~Client() = default;

void Client::go_on() {
  impl_->run([](auto& core) { core.go_on(); });
}

void Client::close() {
  impl_->run([](auto& core) { core.close(); });
}

void Client::start_append(asio::const_buffer payload, Lsn lsn, std::chrono::milliseconds timeout,
                          std::unique_ptr<Completion<AppendResult>> completion) {
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(payload.data()),
                                         payload.size());
  impl_->run([&](auto& core) {
    core.append({bytes, lsn}, log::bounded(timeout), std::move(completion));
  });
}

// --- What is kept ----------------------------------------------------------------------

namespace {

/// What the log has made of a command is told in the words of a change.
class ChangeDone final : public detail::Completion<AppendResult> {
 public:
  explicit ChangeDone(std::unique_ptr<detail::Completion<ChangeResult>> done)
      : done_(std::move(done)) {}
  void complete(std::optional<Errc> error, AppendResult result) override {
    done_->complete(error, {result.lsn, result.may_be_appended, std::move(result.leader),
                            result.retry_after, std::move(result.detail)});
  }

 private:
  std::unique_ptr<detail::Completion<ChangeResult>> done_;
};

constexpr const char* kHoldName =
    "the name of a hold has 1 to 64 bytes of printable ASCII, and no space";
constexpr const char* kNoLsn = "LSNs are from 1 on and below 2^62";

/// Milliseconds as microseconds; nothing if they are negative or more than can be.
std::optional<std::uint64_t> microseconds(std::chrono::milliseconds time) {
  constexpr std::int64_t kMost = std::int64_t{1} << 51;
  if (time.count() < 0 || time.count() > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(time.count()) * 1000;
}

}  // namespace

/// `wrong`: why it makes no sense; empty if it does.
void Client::start_change(std::uint8_t kind, std::span<const std::byte> body,
                          const std::string& wrong, std::chrono::milliseconds timeout,
                          std::unique_ptr<Completion<ChangeResult>> completion) {
  auto done = std::make_unique<ChangeDone>(std::move(completion));
  if (!wrong.empty()) {
    AppendResult result;
    result.detail = wrong;
    return asio::post(executor_, [shared = std::shared_ptr<ChangeDone>(std::move(done)), result] {
      shared->complete(Errc::invalid_argument, result);
    });
  }
  const log::Asked asked{body, {}, static_cast<log::CommandKind>(kind)};
  impl_->run([&](auto& core) { core.append(asked, log::bounded(timeout), std::move(done)); });
}

void Client::start_trim(Lsn before, TrimOptions options, std::chrono::milliseconds timeout,
                        std::unique_ptr<Completion<ChangeResult>> completion) {
  const bool fits = before != Lsn{} && net::is_counter(before.value);
  start_change(static_cast<std::uint8_t>(log::CommandKind::trim),
               log::body_of(log::TrimCommand{before, options.force}), fits ? "" : kNoLsn, timeout,
               std::move(completion));
}

void Client::start_set_retention(const Retention& retention, std::chrono::milliseconds timeout,
                                 std::unique_ptr<Completion<ChangeResult>> completion) {
  const auto age_us = microseconds(retention.age);
  const bool fits = age_us && net::is_counter(retention.bytes);
  start_change(static_cast<std::uint8_t>(log::CommandKind::set_retention),
               log::body_of(log::RetentionPolicy{retention.bytes, age_us.value_or(0)}),
               fits ? "" : "a retention that is out of range", timeout, std::move(completion));
}

void Client::start_set_hold(const std::string& name, Lsn lsn, std::chrono::milliseconds ttl,
                            std::chrono::milliseconds timeout,
                            std::unique_ptr<Completion<ChangeResult>> completion) {
  std::string wrong;
  const auto ttl_us = microseconds(ttl);
  if (!log::is_hold_name(std::as_bytes(std::span(name)))) wrong = kHoldName;
  if (lsn == Lsn{} || !net::is_counter(lsn.value)) wrong = kNoLsn;
  if (!ttl_us || *ttl_us == 0 || *ttl_us > log::kHoldTtlMaxUs) {
    wrong = "a hold ends after 1 ms to 366 days";
  }
  start_change(static_cast<std::uint8_t>(log::CommandKind::set_hold),
               log::body_of(log::HoldCommand{name, lsn, ttl_us.value_or(0)}), wrong, timeout,
               std::move(completion));
}

void Client::start_release_hold(const std::string& name, std::chrono::milliseconds timeout,
                                std::unique_ptr<Completion<ChangeResult>> completion) {
  const auto body = std::as_bytes(std::span(name));
  start_change(static_cast<std::uint8_t>(log::CommandKind::release_hold), body,
               log::is_hold_name(body) ? "" : kHoldName, timeout, std::move(completion));
}

void Client::start_retention(std::chrono::milliseconds timeout,
                             std::unique_ptr<Completion<RetentionReport>> completion) {
  auto done = [shared = std::shared_ptr<Completion<RetentionReport>>(std::move(completion))](
                  std::optional<Errc> error, RetentionReport report) {
    shared->complete(error, std::move(report));
  };
  impl_->run([&](auto& core) { core.retention(log::bounded(timeout), std::move(done)); });
}

void Client::start_read(const ReadOptions& options,
                        std::unique_ptr<Completion<ReadResult>> completion) {
  auto done = [shared = std::shared_ptr<Completion<ReadResult>>(std::move(completion))](
                  std::optional<Errc> error, ReadResult result) {
    shared->complete(error, std::move(result));
  };
  impl_->run([&](auto& core) { core.read(options, std::move(done)); });
}

void Client::start_tail(Lsn lsn_begin, std::unique_ptr<Completion<ReadResult>> completion) {
  auto done = [shared = std::shared_ptr<Completion<ReadResult>>(std::move(completion))](
                  std::optional<Errc> error, ReadResult result) {
    shared->complete(error, std::move(result));
  };
  impl_->run([&](auto& core) { core.tail(lsn_begin, std::move(done)); });
}

void Client::start_status(std::chrono::milliseconds timeout,
                          std::unique_ptr<Completion<std::vector<NodeStatus>>> completion) {
  auto done = [shared =
                   std::shared_ptr<Completion<std::vector<NodeStatus>>>(std::move(completion))](
                  std::vector<NodeStatus> nodes) { shared->complete({}, std::move(nodes)); };
  impl_->run([&](auto& core) { core.status(log::bounded(timeout), std::move(done)); });
}

// --- BlockingClient --------------------------------------------------------------------

BlockingClient::BlockingClient(ClientOptions options)
    : client_(std::make_unique<Client>(context_, std::move(options))) {}

BlockingClient::~BlockingClient() {
  client_->close();
  client_.reset();
  context_.restart();
  context_.run();  // What is queued for the sockets leaves, within the close's own deadline.
}

/// What ClientOptions::on_waiting throws leaves the call; the handler may be called later.
template <class Outcome>
Outcome BlockingClient::wait_for(const std::shared_ptr<std::optional<Outcome>>& outcome) {
  while (!*outcome) context_.run_one();
  return std::move(**outcome);
}

Result<Lsn> BlockingClient::append(std::span<const std::byte> payload,
                                   std::chrono::milliseconds timeout) {
  const auto outcome = std::make_shared<std::optional<Result<Lsn>>>();
  client_->async_append(asio::buffer(payload.data(), payload.size()), timeout,
                        [outcome](asio::error_code error, const AppendResult& result) {
                          if (!error) {
                            *outcome = result.lsn;
                            return;
                          }
                          const std::string fate = result.may_be_appended
                                                       ? " (it may yet be in the log)"
                                                       : " (it is not in the log)";
                          *outcome = fail(static_cast<Errc>(error.value()), result.detail + fate);
                        });
  return wait_for(outcome);
}

/// `start(handler)` begins a change.
template <class Start>
Result<Lsn> BlockingClient::change(Start start) {
  const auto outcome = std::make_shared<std::optional<Result<Lsn>>>();
  start([outcome](asio::error_code error, const ChangeResult& result) {
    if (!error) {
      *outcome = result.lsn;
      return;
    }
    const std::string fate = result.may_be_made ? " (it may yet be made)" : " (it is not made)";
    *outcome = fail(static_cast<Errc>(error.value()), result.detail + fate);
  });
  return wait_for(outcome);
}

Result<Lsn> BlockingClient::trim(Lsn before, TrimOptions options,
                                 std::chrono::milliseconds timeout) {
  return change(
      [&](auto handler) { client_->async_trim(before, options, timeout, std::move(handler)); });
}

Result<void> BlockingClient::set_retention(const Retention& retention,
                                           std::chrono::milliseconds timeout) {
  const auto done = change(
      [&](auto handler) { client_->async_set_retention(retention, timeout, std::move(handler)); });
  if (!done) return forward(done);
  return {};
}

Result<void> BlockingClient::set_hold(const std::string& name, Lsn lsn,
                                      std::chrono::milliseconds ttl,
                                      std::chrono::milliseconds timeout) {
  const auto done = change(
      [&](auto handler) { client_->async_set_hold(name, lsn, ttl, timeout, std::move(handler)); });
  if (!done) return forward(done);
  return {};
}

Result<void> BlockingClient::release_hold(const std::string& name,
                                          std::chrono::milliseconds timeout) {
  const auto done =
      change([&](auto handler) { client_->async_release_hold(name, timeout, std::move(handler)); });
  if (!done) return forward(done);
  return {};
}

Result<RetentionReport> BlockingClient::retention(std::chrono::milliseconds timeout) {
  const auto outcome = std::make_shared<std::optional<Result<RetentionReport>>>();
  client_->async_retention(timeout, [outcome](asio::error_code error, RetentionReport report) {
    if (error) {
      *outcome = fail(static_cast<Errc>(error.value()), report.detail);
    } else {
      *outcome = std::move(report);
    }
  });
  return wait_for(outcome);
}

Result<ReadResult> BlockingClient::read(const ReadOptions& options) {
  const auto outcome = std::make_shared<std::optional<Result<ReadResult>>>();
  client_->async_read(options, [outcome](asio::error_code error, ReadResult result) {
    if (error) {
      *outcome = fail(static_cast<Errc>(error.value()), result.detail);
    } else {
      *outcome = std::move(result);
    }
  });
  return wait_for(outcome);
}

std::vector<NodeStatus> BlockingClient::status(std::chrono::milliseconds timeout) {
  const auto outcome = std::make_shared<std::optional<std::vector<NodeStatus>>>();
  client_->async_status(timeout, [outcome](asio::error_code, std::vector<NodeStatus> nodes) {
    *outcome = std::move(nodes);
  });
  return wait_for(outcome);
}

}  // namespace stele
