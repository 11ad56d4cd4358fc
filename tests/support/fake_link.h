// A connection whose other end is the test.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/link/link.h"

namespace stele::log {

/// Keeps what is sent; the test speaks through `handler`. Lists itself in `all` while it lives.
class FakeLink final : public net::Link {
 public:
  FakeLink(Address to, net::LinkHandler* h, std::vector<FakeLink*>& all)
      : address(std::move(to)), handler(h), all_(all) {
    all_.push_back(this);
  }
  ~FakeLink() override { std::erase(all_, this); }
  void start(net::LinkHandler& h) override { handler = &h; }
  bool send(const net::Message& message) override {
    if (full || sent.size() >= sent_max) return false;
    sent.push_back(message);
    queued += queued_each;
    return true;
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return queued; }
  [[nodiscard]] std::uint64_t left_bytes() const override { return left; }
  [[nodiscard]] std::size_t receiving_bytes() const override { return receiving; }
  void close_gently() override { handler = nullptr; }
  void expect(net::Speaker, std::size_t) override {}
  [[nodiscard]] std::string peer_name() const override { return "fake"; }

  Address address;
  net::LinkHandler* handler;
  std::vector<net::Message> sent;
  std::size_t queued = 0;
  std::size_t queued_each = 0;  // By each message.
  std::uint64_t left = 0;
  std::size_t receiving = 0;
  bool full = false;  // Nothing can be sent.
  std::size_t sent_max = SIZE_MAX;
  bool shaken = false;  // The test has answered its hello.

 private:
  std::vector<FakeLink*>& all_;
};

/// Every connection is there at once; `links` are those that live.
class FakeDialer final : public net::Dialer {
 public:
  [[nodiscard]] std::unique_ptr<net::Link> dial(const Address& address,
                                                net::LinkHandler& handler) override {
    ++dials;
    return std::make_unique<FakeLink>(address, &handler, links);
  }
  std::vector<FakeLink*> links;
  std::size_t dials = 0;
};

}  // namespace stele::log
