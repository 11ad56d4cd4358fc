#include "log/client/node_link.h"

#include <stele/version.h>
#include "net/wire/frame.h"

namespace stele::log {

ClientCore::Connection::Connection(ClientCore& core, Address address)
    : core_(core), address_(std::move(address)), name_(to_string(address_)) {}

void ClientCore::Connection::dial() {
  dialled_at_ = core_.loop_.now();
  link_ = core_.dialer_.dial(address_, *this);
  link_->expect(net::Speaker::server, net::kFrameBytesMax);
  net::Hello hello;
  hello.kind = net::Hello::Kind::client;
  hello.software = std::string("stele client ") + kVersion;
  link_->send(hello);
}

bool ClientCore::Connection::may_dial() const {
  constexpr Duration kPause = std::chrono::milliseconds(50);
  return !link_ && (dialled_at_ == Time{} || core_.loop_.now() - dialled_at_ >= kPause);
}

void ClientCore::Connection::fail(const std::string& reason) {
  if (!link_) return;
  link_.reset();
  ready_ = false;
  core_.on_lost(*this, reason);
}

void ClientCore::Connection::close_gently() {
  if (!link_) return;
  link_->close_gently();
  link_.reset();
  ready_ = false;
}

void ClientCore::Connection::on_message(net::Message message) {
  if (const auto* refused = std::get_if<net::Refused>(&message)) {
    return fail("it refused: " + refused->reason);
  }
  if (ready_) return core_.on_message(*this, message);
  auto* hello = std::get_if<net::Hello>(&message);
  if (hello == nullptr) return fail("it did not answer the handshake");
  if (hello->protocol_version != net::kProtocolVersion) {
    return fail("it speaks protocol version " + std::to_string(hello->protocol_version) +
                ", this client version " + std::to_string(net::kProtocolVersion));
  }
  hello_ = std::move(*hello);
  ready_ = true;
  core_.on_ready(*this);
}

}  // namespace stele::log
