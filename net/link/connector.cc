#include "net/link/connector.h"

#include <algorithm>
#include <utility>

namespace stele::net {

using asio::ip::tcp;

std::shared_ptr<Connector> Connector::start(asio::io_context& context, Endpoints endpoints,
                                            std::chrono::microseconds within, Done done) {
  std::shared_ptr<Connector> connector(
      new Connector(context, std::move(endpoints), within, std::move(done)));
  connector->try_next();
  return connector;
}

Connector::Connector(asio::io_context& context, Endpoints endpoints,
                     std::chrono::microseconds within, Done done)
    : context_(context),
      endpoints_(std::move(endpoints)),
      next_after_(std::min<std::chrono::microseconds>(
          kNextAfter, within / (2 * std::max<std::size_t>(endpoints_.size(), 1)))),
      done_(std::move(done)),
      timer_(context) {
  tries_.reserve(endpoints_.size());  // They stay where they are.
}

void Connector::try_next() {
  if (tries_.size() == endpoints_.size()) return;
  const std::size_t index = tries_.size();
  tries_.emplace_back(context_);
  ++under_way_;
  tries_.back().async_connect(endpoints_[index],
                              [self = shared_from_this(), index](asio::error_code error) {
                                self->on_connected(index, error);
                              });
  timer_.expires_after(next_after_);
  timer_.async_wait([self = shared_from_this()](asio::error_code error) {
    if (!error && self->done_) self->try_next();
  });
}

void Connector::on_connected(std::size_t index, asio::error_code error) {
  --under_way_;
  if (!done_) return;
  if (!error) {
    tcp::socket socket = std::move(tries_[index]);
    const Done done = std::move(done_);
    cancel();
    return done({}, std::move(socket));
  }
  asio::error_code ignored;
  tries_[index].close(ignored);
  if (tries_.size() < endpoints_.size()) {
    timer_.cancel();
    return try_next();
  }
  if (under_way_ != 0) return;
  const Done done = std::move(done_);
  cancel();
  done(error, tcp::socket(context_));
}

void Connector::cancel() {
  done_ = nullptr;
  timer_.cancel();
  asio::error_code ignored;
  for (tcp::socket& socket : tries_) socket.close(ignored);
}

}  // namespace stele::net
