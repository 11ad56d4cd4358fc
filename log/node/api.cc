// stele::Node: the host as programs see it.

#include <stele/node.h>

#include <asio/post.hpp>
#include <utility>

#include "log/node/node_options.h"
#include "log/node/tcp_host.h"

namespace stele {

struct Node::Impl {
  asio::io_context& context;
  NodeOptions options;
  Events& events;
  std::function<void(const Error&)> on_failure;
  std::unique_ptr<log::TcpHost> host = nullptr;
  bool stopped = false;  // async_stop was called.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  /// Tells of an operation in a turn of its own, unless the node is gone by then.
  void tell(const Executor& executor, const std::shared_ptr<detail::Completion<std::string>>& done,
            const Result<void>& outcome) {
    asio::post(executor, [done, outcome, living = std::weak_ptr<bool>(alive)] {
      if (living.expired()) return;
      if (outcome) return done->complete(std::nullopt, {});
      done->complete(outcome.error().code, outcome.error().detail);
    });
  }
};

Node::Node(asio::io_context& context, NodeOptions options, Events& events,
           std::function<void(const Error&)> on_failure)
    : executor_(context.get_executor()),
      impl_(new Impl{context, std::move(options), events, std::move(on_failure)}) {}

Node::~Node() = default;

void Node::start(std::unique_ptr<detail::Completion<std::string>> done) {
  auto tell = [this, told = std::shared_ptr(std::move(done))](const Result<void>& started) {
    impl_->tell(executor_, told, started);
  };
  if (impl_->host) return tell(fail(Errc::invalid_argument, "async_start was called before"));
  if (impl_->stopped) return tell(fail(Errc::shutting_down, "the node was stopped before"));
  auto options = log::complete(impl_->options);
  if (!options) return tell(tl::unexpected<Error>(options.error()));
  impl_->host = std::make_unique<log::TcpHost>(impl_->context, *std::move(options), impl_->events,
                                               impl_->on_failure);
  impl_->host->start(std::move(tell));
}

void Node::stop(std::unique_ptr<detail::Completion<std::string>> done) {
  auto tell = [this, told = std::shared_ptr(std::move(done))] { impl_->tell(executor_, told, {}); };
  impl_->stopped = true;
  if (!impl_->host) return tell();
  impl_->host->stop(std::move(tell));
}

NodeReport Node::report() const {
  return impl_->host ? impl_->host->report() : log::report_without(impl_->options.id);
}

}  // namespace stele
