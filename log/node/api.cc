// stele::Node: the host as programs see it.

#include <stele/node.h>

#include <asio/post.hpp>
#include <utility>

#include "log/node/node_options.h"
#include "log/node/tcp_host.h"
#include "paxos/base/check.h"

namespace stele {

struct Node::Impl {
  asio::io_context& context;
  NodeOptions options;
  Events& events;
  std::function<void(const Error&)> on_failure;
  std::unique_ptr<log::TcpHost> host;
};

Node::Node(asio::io_context& context, NodeOptions options, Events& events,
           std::function<void(const Error&)> on_failure)
    : executor_(context.get_executor()),
      impl_(new Impl{context, std::move(options), events, std::move(on_failure), nullptr}) {}

Node::~Node() = default;

void Node::start(std::unique_ptr<detail::Completion<std::string>> done) {
  STELE_CHECK(impl_->host == nullptr);
  auto tell = [this, told = std::shared_ptr(std::move(done))](const Result<void>& started) {
    asio::post(executor_, [told, started] {
      if (started) return told->complete(std::nullopt, {});
      told->complete(started.error().code, started.error().detail);
    });
  };
  auto options = log::complete(impl_->options);
  if (!options) return tell(tl::unexpected<Error>(options.error()));
  impl_->host = std::make_unique<log::TcpHost>(impl_->context, *std::move(options), impl_->events,
                                               impl_->on_failure);
  impl_->host->start(std::move(tell));
}

void Node::stop(std::unique_ptr<detail::Completion<std::string>> done) {
  auto tell = [this, told = std::shared_ptr(std::move(done))] {
    asio::post(executor_, [told] { told->complete(std::nullopt, {}); });
  };
  if (!impl_->host) return tell();
  impl_->host->stop(std::move(tell));
}

NodeReport Node::report() const {
  STELE_CHECK(impl_->host != nullptr);
  return impl_->host->report();
}

}  // namespace stele
