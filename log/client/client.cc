#include <stele/client.h>

#include <string>

#include "log/client/client_core.h"
#include "log/client/link/shared_link.h"
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
  impl_->run(
      [&](auto& core) { core.append(bytes, lsn, log::bounded(timeout), std::move(completion)); });
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
