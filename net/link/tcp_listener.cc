#include "net/link/tcp_listener.h"

#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <cerrno>
#include <utility>

#include "net/link/tcp_link.h"

namespace stele::net {
namespace {

using asio::ip::tcp;
using V6Only = asio::detail::socket_option::boolean<IPPROTO_IPV6, IPV6_V6ONLY>;

}  // namespace

/// One of the addresses that a listener's name stands for.
struct TcpListener::Core : std::enable_shared_from_this<Core> {
  Core(AsioLoop& l, TcpOptions o, std::shared_ptr<OnLink> f, std::shared_ptr<std::size_t> open)
      : loop(l),
        guard(l.guard()),
        acceptor(l.context()),
        options(std::move(o)),
        on_link(std::move(f)),
        open_links(std::move(open)),
        pause(l.context()) {}

  /// `alone`: the other family has no listener of its own.
  asio::error_code bind(const tcp::endpoint& endpoint, bool alone) {
    asio::error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && !alone && endpoint.address().is_v6()) acceptor.set_option(V6Only(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    return error;
  }

  void accept() {
    if (*open_links >= options.accepted_max) return accept_later();
    acceptor.async_accept([self = shared_from_this()](asio::error_code error, tcp::socket socket) {
      self->guard->run([&] { self->on_accepted(error, std::move(socket)); });
    });
  }
  void on_accepted(asio::error_code error, tcp::socket socket) {
    if (!*on_link) return;
    // Out of descriptors, most likely: try again a little later rather than spin.
    if (error) return accept_later();
    ++*open_links;
    const std::shared_ptr<void> place(nullptr, [open = open_links](void*) { --*open; });
    (*on_link)(accepted_link(loop, std::move(socket), options, place));
    if (*on_link) accept();
  }
  void accept_later() {
    pause.expires_after(std::chrono::milliseconds(100));
    pause.async_wait([self = shared_from_this()](asio::error_code cancelled) {
      self->guard->run([&] {
        if (!cancelled && *self->on_link) self->accept();
      });
    });
  }

  AsioLoop& loop;
  std::shared_ptr<Guard> guard;
  tcp::acceptor acceptor;
  TcpOptions options;
  std::shared_ptr<OnLink> on_link;
  std::shared_ptr<std::size_t> open_links;  // On all addresses of the listener.
  asio::steady_timer pause;
};

TcpListener::TcpListener(std::shared_ptr<OnLink> on_link) : on_link_(std::move(on_link)) {}

TcpListener::~TcpListener() {
  *on_link_ = nullptr;
  asio::error_code ignored;
  for (const auto& core : cores_) {
    core->acceptor.close(ignored);
    core->pause.cancel();
  }
}

std::uint16_t TcpListener::port() const {
  asio::error_code ignored;
  return cores_.front()->acceptor.local_endpoint(ignored).port();
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(AsioLoop& loop, const Address& address,
                                                         const Resolver::Endpoints& endpoints,
                                                         TcpOptions options, OnLink on_link) {
  const auto refuse = [&](Errc code, const std::string& why) {
    return stele::fail(code, "cannot listen on " + to_string(address) + ": " + why);
  };
  asio::error_code error = asio::error::host_not_found;
  std::unique_ptr<TcpListener> listener(
      new TcpListener(std::make_shared<OnLink>(std::move(on_link))));
  const auto open_links = std::make_shared<std::size_t>(0);
  for (const tcp::endpoint& endpoint : endpoints) {
    auto core = std::make_shared<Core>(loop, options, listener->on_link_, open_links);
    error = core->bind(endpoint, endpoints.size() == 1);
    // A name may stand for a family that this machine does not have.
    const bool absent = error.value() == EAFNOSUPPORT || error.value() == EADDRNOTAVAIL;
    if (absent && endpoints.size() > 1) continue;
    if (error) {
      return refuse(error == asio::error::address_in_use ? Errc::in_use : Errc::invalid_argument,
                    error.message());
    }
    listener->cores_.push_back(std::move(core));
  }
  if (listener->cores_.empty()) return refuse(Errc::invalid_argument, error.message());
  for (const auto& core : listener->cores_) core->accept();
  return listener;
}

}  // namespace stele::net
