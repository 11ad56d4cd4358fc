// The parts of the simulated network: connections, and links and dialers over them. For
// network.cc alone.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/wire/frame.h"
#include "tests/sim/network/network.h"

namespace stele::sim {

struct Network::Frame {
  std::shared_ptr<std::vector<std::byte>> bytes;  // Null: the end of the connection.
  bool between_nodes = false;
  std::string text;  // For the trace.
};

struct Network::End {
  Host host = 0;
  std::uint64_t boot = 0;  // Of the host, when this end was made.
  SimLink* link = nullptr;
  net::LinkHandler* handler = nullptr;
  std::size_t frame_bytes_max = net::kHelloBytesMax;
  net::Speaker speaker = net::Speaker::stranger;  // The other end.
  bool open = false;
  // What this end sends.
  std::size_t queued = 0;
  std::uint64_t left = 0;
  bool refused = false;  // Somebody waits for on_writable.
  Time last_arrival{};
  std::deque<std::shared_ptr<Frame>> line;  // What waits for the host's line.
  std::size_t line_sent = 0;                // What the line has taken of the first frame.
  std::deque<std::shared_ptr<Frame>> held;
  std::uint64_t holds = 0;
};

struct Network::Connection {
  std::uint64_t id = 0;
  bool established = false;
  End ends[2];
  std::vector<std::shared_ptr<Frame>> early;  // Sent before the connection stood.
};

class Network::SimLink final : public net::Link {
 public:
  SimLink(Network& network, Shared connection, int side)
      : network_(network), connection_(std::move(connection)), side_(side) {
    end().link = this;
  }
  ~SimLink() override {
    end().link = nullptr;
    end().handler = nullptr;
    network_.close(connection_, side_);
  }
  void start(net::LinkHandler& handler) override { end().handler = &handler; }
  bool send(const net::Message& message) override {
    return network_.send(connection_, side_, message);
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return end().queued; }
  [[nodiscard]] std::uint64_t left_bytes() const override { return end().left; }
  [[nodiscard]] std::size_t receiving_bytes() const override {
    return connection_->ends[1 - side_].line_sent;
  }
  void close_gently() override { end().handler = nullptr; }
  void expect(net::Speaker speaker, std::size_t frame_bytes_max) override {
    end().speaker = speaker;
    end().frame_bytes_max = frame_bytes_max;
  }
  [[nodiscard]] std::string peer_name() const override {
    return name_of(connection_->ends[1 - side_].host);
  }

 private:
  [[nodiscard]] End& end() const { return connection_->ends[side_]; }
  Network& network_;
  Shared connection_;
  int side_;
};

class Network::SimDialer final : public net::Dialer {
 public:
  SimDialer(Network& network, Host host) : network_(network), host_(host) {}
  [[nodiscard]] std::unique_ptr<net::Link> dial(const Address& address,
                                                net::LinkHandler& handler) override {
    return network_.dial(host_, address, handler);
  }

 private:
  Network& network_;
  Host host_;
};

}  // namespace stele::sim
