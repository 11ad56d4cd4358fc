#include "log/client/link/node_link.h"

#include <stele/version.h>
#include "net/wire/frame.h"

namespace stele::log {

NodeLink::NodeLink(net::Loop& loop, net::Dialer& dialer, NodeLinkListener& listener,
                   Address address)
    : loop_(loop),
      dialer_(dialer),
      listener_(listener),
      address_(std::move(address)),
      name_(to_string(address_)) {}

void NodeLink::dial() {
  dialled_at_ = loop_.now();
  link_ = dialer_.dial(address_, *this);
  link_->expect(net::Speaker::server, net::kFrameBytesMax);
  net::Hello hello;
  hello.kind = net::Hello::Kind::client;
  hello.software = std::string("stele client ") + kVersion;
  link_->send(hello);
}

bool NodeLink::may_dial() const {
  constexpr Duration kPause = std::chrono::milliseconds(50);
  return !link_ && (dialled_at_ == Time{} || loop_.now() - dialled_at_ >= kPause);
}

void NodeLink::fail(const std::string& reason) {
  if (!link_) return;
  link_.reset();
  ready_ = false;
  listener_.on_lost(*this, reason);
}

void NodeLink::close_gently() {
  if (!link_) return;
  link_->close_gently();
  link_.reset();
  ready_ = false;
}

void NodeLink::on_message(net::Message message) {
  if (const auto* refused = std::get_if<net::Refused>(&message)) {
    return fail("it refused: " + refused->reason);
  }
  if (ready_) return listener_.on_message(*this, message);
  auto* hello = std::get_if<net::Hello>(&message);
  if (hello == nullptr) return fail("it did not answer the handshake");
  if (hello->protocol_version != net::kProtocolVersion) {
    return fail("it speaks protocol version " + std::to_string(hello->protocol_version) +
                ", this client version " + std::to_string(net::kProtocolVersion));
  }
  hello_ = std::move(*hello);
  ready_ = true;
  listener_.on_ready(*this);
}

}  // namespace stele::log
